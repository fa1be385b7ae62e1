"""What do `claracore ports` and `claracore ports why N` say?

With a running server its own truth (`GET /api/ports`), without one the plan and what the kernel says. The server is
looked for on `--listen`; where nothing is said at all, the only one of this machine is meant. Exit codes: 0 all is
well, or the port is free; 1 the plan has errors, or the port is taken; 2 the configuration cannot be read.
"""

from __future__ import annotations

import http.client
import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from claracore.cli.terminal import say, table
from claracore.cli.verb import Verb, VerbGroup, flag, option, within, word
from claracore.core.config.model import Config
from claracore.core.ports.listen import Listen, parse_listen
from claracore.core.ports.ranges import PortPlan
from claracore.core.ports.report import PortRow, PortState, RangeView, ReportView, report
from claracore.errors import ClaraCoreError, ConfigError
from claracore.host.sockets.front import identify
from claracore.host.sockets.history import load_history
from claracore.host.sockets.host import plan_here
from claracore.host.sockets.ledger import default_folder, living_instances
from claracore.host.sockets.observe import observe, reasons, why
from claracore.host.state import default_state_dir
from claracore.host.supervisor.configuration import Sources

ANSWER_SECONDS = 5.0
DEFAULT_FILE = Path("config.yaml")
AVAILABLE = {PortState.FREE, PortState.TIME_WAIT}


def show_ports(*, config: Path | None, config_dir: Path | None, listen: str | None, as_json: bool) -> None:
    """Show which port belongs to what, and why: the plan, and what is true right now."""
    try:
        said = config is not None or config_dir is not None
        address = parse_listen(listen or ("5800" if said else the_only_server()))
        found = current_report(sources_of(config, config_dir), address)
    except ClaraCoreError as error:
        say(error, err=True)
        raise SystemExit(2) from error
    say(json.dumps(asdict(found), indent=2) if as_json else as_text(found))
    if any(finding.severity == "error" for finding in found.findings):
        raise SystemExit(1)


def why_port(*, port: int, config: Path | None, config_dir: Path | None, listen: str | None) -> None:
    """Say who has a port and why; exit code 0 when it is free, 1 when it is taken."""
    seen, sentence = why(port, living_instances(default_folder(default_state_dir())))
    plan = None
    with suppress(ClaraCoreError):
        plan = planned(sources_of(config, config_dir), parse_listen(listen or "5800"))[1]
    say("\n  ".join([sentence, *reasons(port, plan)]))
    if seen.state not in AVAILABLE:
        raise SystemExit(1)


def the_only_server() -> str:
    """Return where the only ClaraCore of this machine listens; the usual port when there is none, or several."""
    urls = [
        found.url for found in living_instances(default_folder(default_state_dir())) if found.url.startswith("http:")
    ]
    return urlsplit(urls[0]).netloc if len(urls) == 1 else "5800"


def sources_of(config: Path | None, config_dir: Path | None) -> Sources:
    """Return what is to be read, as `serve` does."""
    file = config or DEFAULT_FILE
    return Sources(file if file.exists() or config_dir is None else None, config_dir, strict=False)


def current_report(sources: Sources, listen: Listen) -> ReportView:
    """Return the report of the running server on `listen`, or the plan and the kernel's view when there is none.

    Raises ConfigError or FileUnusable for a configuration that cannot be read.
    """
    if listen.port and identify(urlsplit(listen.url).hostname or listen.host, listen.port) is not None:
        answer = fetch(listen)
        if answer is not None:
            return answer
    config, made = planned(sources, listen)
    return report(made, config, observe(made, default_folder(default_state_dir())))


def planned(sources: Sources, listen: Listen) -> tuple[Config, PortPlan]:
    """Return the configuration and its plan on this host, as the next start would make it; the plan may have errors."""
    loaded = sources.read(os.environ)
    if loaded.config is None:
        raise ConfigError([finding for finding in loaded.findings if finding.severity == "error"])
    history = load_history(default_state_dir(), sources.key)
    return loaded.config, plan_here(loaded.config, listen, places=loaded.places, history=history)


def fetch(listen: Listen) -> ReportView | None:
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
            body = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status == 200:
            return msgspec.convert(body, ReportView)  # raises a ValueError for anything else
    return None


def as_text(found: ReportView) -> str:
    """Return the report for people."""
    web = found.web
    lines = [f"web interface  {web.url}  {web.state}{_by(web.holder)}", ""]
    lines += table(["range", "ports", "models"], [_range_cells(each) for each in found.ranges])
    if found.ports:
        lines += [
            "",
            *table(["port", "model", "group", "state", "held by"], [_port_cells(row) for row in found.ports]),
        ]
    for finding in found.findings:
        place = f"{finding.place}: " if finding.place else ""
        lines += ["", f"{place}{finding.severity}: {finding.message}"]
        lines += [f"  {finding.way_out}"] if finding.way_out else []
    return "\n".join(lines)


def _by(holder: str) -> str:
    return f"  by {holder}" if holder else ""


def _range_cells(each: RangeView) -> list[str]:
    return [each.name, f"{each.start}-{each.end}", str(len(each.members))]


def _port_cells(row: PortRow) -> list[str]:
    holder = "; ".join(filter(None, [row.holder, row.note]))
    return [str(row.port), row.model or "-", row.group or "-", row.state, holder]


PLAN = {
    "config": option("--config", "-c", about="The configuration file; config.yaml if not given.", kind=Path),
    "config_dir": option("--config-dir", about="Folder whose *.yaml files are merged in.", kind=Path),
    "listen": option("--listen", about="Where the web interface listens, as for `serve`."),
}
PORTS = VerbGroup(
    "Show which port belongs to what, and why.",
    {"why": Verb(why_port, {"port": word(about="The port to explain.", kind=within(1, 65535)), **PLAN})},
    alone=Verb(show_ports, {**PLAN, "as_json": flag("--json", about="Print JSON, the shape of GET /api/ports.")}),
)
