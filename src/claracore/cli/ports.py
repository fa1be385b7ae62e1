"""What do `claracore ports` and `claracore ports why N` say?

With a running server its own truth (`GET /api/ports`), without one the plan and what the kernel says. The server is
looked for on `--listen`; where nothing is said at all, the one that other verbs would ask is meant (`client.py`). One
that is named with `--url` is asked alone. Exit codes: 0 all is well, or the port is free; 1 the plan has errors, or the
port is taken; 2 the configuration cannot be read; 3 no server answers at `--url`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import msgspec

from claracore.cli.client import URL, Server, running_server, show_json
from claracore.cli.ending import USAGE, end
from claracore.cli.terminal import beside, say, table
from claracore.cli.verb import Verb, VerbGroup, flag, option, within, word
from claracore.core.ports.listen import Listen, parse_listen
from claracore.core.ports.report import AVAILABLE, PortRow, PortState, RangeView, ReportView
from claracore.errors import BadRequest, ClaraCoreError

ANSWER_SECONDS = 5.0
Answer = TypeVar("Answer")


class OnePort(msgspec.Struct):
    """What a server says of one port (`GET /api/ports/{port}`)."""

    state: PortState
    sentence: str
    reasons: list[str]


def show_ports(
    *, config: Path | None, config_dir: Path | None, listen: str | None, url: str | None, as_json: bool
) -> None:
    """Show which port belongs to what, and why: the plan, and what is true right now."""
    try:
        found = told_by(Server(url), "/api/ports", ReportView) if url else _report(config, config_dir, listen)
    except ClaraCoreError as error:
        end(error.message, USAGE, error.code)
    show_json(asdict(found)) if as_json else say(as_text(found))
    if any(finding.severity == "error" for finding in found.findings):
        raise SystemExit(1)


def _report(config: Path | None, config_dir: Path | None, listen: str | None) -> ReportView:
    """Return what the server says that may be there, else the plan. Raises as both."""
    address, server = server_for(config, config_dir, listen)
    found = report_of(server) if server is not None else None
    if found is None:
        from claracore.cli.planned_ports import planned_report  # noqa: PLC0415 - a running server knows better

        found = planned_report(config, config_dir, address)
    return found


def why_port(*, port: int, config: Path | None, config_dir: Path | None, listen: str | None, url: str | None) -> None:
    """Say who has a port and why; exit code 0 when it is free, 1 when it is taken."""
    server, found = None, None
    if url:
        server = Server(url)
        found = told_by(server, f"/api/ports/{port}", OnePort)
    else:
        with suppress(ClaraCoreError):
            _address, server = server_for(config, config_dir, listen)
        found = one_port(server, port) if server is not None else None
    if server is not None and found is not None:
        free = found.state in AVAILABLE
        sentences = [found.sentence, *found.reasons, f"(so says the ClaraCore that runs at {server.url})"]
    else:
        from claracore.cli.planned_ports import explain  # noqa: PLC0415 - reads a configuration

        free, sentences = explain(port, config, config_dir, listen)
    first, *reasons = sentences
    say("\n".join([beside("", first), *(beside("  ", reason) for reason in reasons)]))
    if not free:
        raise SystemExit(1)


def server_for(config: Path | None, config_dir: Path | None, listen: str | None) -> tuple[Listen, Server | None]:
    """Return the address that is meant, and the server that may be there. Raises BadRequest."""
    named = config is not None or config_dir is not None
    server = None if listen or named else usual_server()
    address = parse_listen(listen or (server.address if server else "5800"))
    return address, (server or Server(address.url)) if address.port else None


def told_by(server: Server, path: str, shape: type[Answer]) -> Answer:
    """Return what a server that was named says. Raises ServerSaid, BadRequest; SystemExit(3) when nobody answers."""
    try:
        return msgspec.convert(server.ask("GET", path, timeout_seconds=ANSWER_SECONDS), shape)
    except msgspec.ValidationError as error:
        raise BadRequest(f"what answers at {server.url} tells nothing of ports that can be read: {error}") from error


def one_port(server: Server, port: int) -> OnePort | None:
    """Return what a running server knows of a port; None as with `report_of`."""
    if server.is_there():
        with suppress(msgspec.ValidationError):
            return msgspec.convert(server.asked(f"/api/ports/{port}", timeout_seconds=ANSWER_SECONDS), OnePort)
    return None


def usual_server() -> Server | None:
    """Return the server that every verb asks; None where none runs, and where there are several to choose from."""
    try:
        return running_server(None)
    except BadRequest:
        return None


def report_of(server: Server) -> ReportView | None:
    """Return the report of a running server.

    None when none runs, or when it gives none: it needs another API key than CLARACORE_API_KEY has, or is an old one.
    """
    if server.is_there():
        with suppress(msgspec.ValidationError):
            return msgspec.convert(server.asked("/api/ports", timeout_seconds=ANSWER_SECONDS), ReportView)
    return None


def as_text(found: ReportView) -> str:
    """Return the report for people."""
    web = found.web
    lines = [beside("web interface  ", f"{web.url}  {web.state}{_by(web.holder)}")]
    if found.ollama is not None:
        second = found.ollama
        lines.append(beside("for clients of Ollama  ", f"{second.url}  {second.state}{_by(second.holder)}"))
    lines.append("")
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
    "config": option("--config", "-c", about="The configuration file; the usual one if not given.", kind=Path),
    "config_dir": option("--config-dir", about="Folder whose *.yaml files are merged in.", kind=Path),
    "listen": option("--listen", about="Where the web interface listens, as for `serve`."),
    "url": URL,
}
PORTS = VerbGroup(
    "Show which port belongs to what, and why.",
    {"why": Verb(why_port, {"port": word(about="The port to explain.", kind=within(1, 65535)), **PLAN})},
    alone=Verb(show_ports, {**PLAN, "as_json": flag("--json", about="Print JSON, the shape of GET /api/ports.")}),
)
