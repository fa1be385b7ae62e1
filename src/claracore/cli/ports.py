"""What do `claracore ports` and `claracore ports why N` say?

With a running server its own truth (`GET /api/ports`), without one the plan and what the kernel says. Exit codes: 0 all
is well, or the port is free; 1 the plan has errors, or the port is taken; 2 the configuration cannot be read.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

import typer

from claracore.config.load import load
from claracore.config.model import Config
from claracore.errors import BadRequest, ConfigError
from claracore.ports.listen import Listen, parse_listen
from claracore.ports.ranges import PortPlan
from claracore.ports.report import PortState, ReportJson, report, role_of
from claracore.ports.tenants import WELL_KNOWN
from claracore.sockets.front import identify
from claracore.sockets.history import default_state_dir, load_history
from claracore.sockets.host import ephemeral_range, plan_here, reserved_ephemeral_ports
from claracore.sockets.ledger import default_folder, living_instances
from claracore.sockets.observe import observe, why

ANSWER_SECONDS = 5.0
AVAILABLE = {PortState.FREE, PortState.TIME_WAIT}

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")]
ListenOption = Annotated[str, typer.Option("--listen", help="Where the web interface listens, as for `serve`.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, the shape of GET /api/ports.")]

ports_app = typer.Typer(help="Show which port belongs to what, and why.", invoke_without_command=True)


@ports_app.callback()
def show_ports(
    context: typer.Context,
    config: ConfigOption = Path("config.yaml"),
    listen: ListenOption = "5800",
    as_json: JsonOption = False,
) -> None:
    """Show the port plan and what is true right now."""
    if context.invoked_subcommand is not None:
        return
    try:
        found = current_report(config, parse_listen(listen))
    except (BadRequest, ConfigError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    typer.echo(json.dumps(found, indent=2) if as_json else as_text(found))
    if any(finding["severity"] == "error" for finding in found["findings"]):
        raise typer.Exit(1)


@ports_app.command("why")
def why_port(
    port: Annotated[int, typer.Argument(help="The port to explain.", min=1, max=65535)],
    config: ConfigOption = Path("config.yaml"),
    listen: ListenOption = "5800",
) -> None:
    """Say who has a port and why; exit code 0 when it is free, 1 when it is taken."""
    seen, sentence = why(port, living_instances(default_folder(default_state_dir())))
    typer.echo("\n  ".join([sentence, *reasons(port, config, listen)]))
    if seen.state not in AVAILABLE:
        raise typer.Exit(1)


def current_report(config_path: Path, listen: Listen) -> ReportJson:
    """Return the report of the running server on `listen`, or the plan and the kernel's view when there is none.

    Raises ConfigError or OSError for a configuration that cannot be read.
    """
    if listen.port and identify(urlsplit(listen.url).hostname or listen.host, listen.port) is not None:
        answer = fetch(listen)
        if answer is not None:
            return answer
    config, made = planned(config_path, listen)
    return report(made, config, observe(made, default_folder(default_state_dir())))


def planned(config_path: Path, listen: Listen) -> tuple[Config, PortPlan]:
    """Return the configuration and its plan on this host, as the next start would make it."""
    loaded = load(config_path.read_text(encoding="utf-8"), file=str(config_path), env=os.environ)
    if loaded.config is None:
        raise ConfigError(loaded.findings)
    history = load_history(default_state_dir(), str(config_path.resolve()))
    return loaded.config, plan_here(loaded.config, listen, places=loaded.places, history=history)


def fetch(listen: Listen) -> ReportJson | None:
    """Return the answer of GET /api/ports; None when the server does not give it (an API key is needed, an old server).

    CLARACORE_API_KEY is sent when it is set.
    """
    url = urlsplit(listen.url)
    connection = http.client.HTTPConnection(url.hostname or "127.0.0.1", listen.port, timeout=ANSWER_SECONDS)
    key = os.environ.get("CLARACORE_API_KEY")
    with suppress(OSError, http.client.HTTPException, ValueError):
        try:
            connection.request("GET", "/api/ports", headers={"Authorization": f"Bearer {key}"} if key else {})
            answer = connection.getresponse()
            body: Any = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status == 200 and isinstance(body, dict) and body.keys() >= ReportJson.__required_keys__:
            return cast("ReportJson", body)
    return None


def reasons(port: int, config_path: Path, listen: str) -> list[str]:
    """Return what else there is to know about a port: the plan's wish, the kernel's range, who is at home there."""
    found = []
    with suppress(ConfigError, BadRequest, OSError):
        found.append(role_of(port, planned(config_path, parse_listen(listen))[1]))
    kernel = ephemeral_range()
    if port in kernel and port not in reserved_ephemeral_ports():
        found.append(f"it lies in {kernel.start}-{kernel.stop - 1}, where the kernel takes ports for connections")
    if port in WELL_KNOWN:
        found.append(f"{WELL_KNOWN[port]} is at home there")
    return [reason for reason in found if reason]


def as_text(found: ReportJson) -> str:
    """Return the report for people."""
    web = found["web"]
    lines = [f"web interface  {web['url']}  {web['state']}{_by(web['holder'])}", ""]
    lines += table(["range", "ports", "models"], [_range_cells(its) for its in found["ranges"]])
    if found["ports"]:
        lines += [
            "",
            *table(["port", "model", "group", "state", "held by"], [_port_cells(row) for row in found["ports"]]),
        ]
    for finding in found["findings"]:
        place = f"{finding['place']}: " if finding["place"] else ""
        lines += ["", f"{place}{finding['severity']}: {finding['message']}"]
        lines += [f"  {finding['way_out']}"] if finding["way_out"] else []
    return "\n".join(lines)


def _by(holder: str) -> str:
    return f"  by {holder}" if holder else ""


def _range_cells(its: Any) -> list[str]:  # noqa: ANN401 - a row of JSON
    return [its["name"], f"{its['start']}-{its['end']}", str(len(its["members"]))]


def _port_cells(row: Any) -> list[str]:  # noqa: ANN401 - a row of JSON
    holder = "; ".join(filter(None, [row["holder"], row["note"]]))
    return [str(row["port"]), row["model"] or "-", row["group"] or "-", row["state"], holder]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines under a head."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *rows)
    ]
