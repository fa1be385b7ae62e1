"""`claracore doctor`: what is wrong, and what is there to do about it?"""

from __future__ import annotations

import http.client
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from claracore.cli.client import JsonOption, Server, UrlOption, show_json
from claracore.core.config.load import load
from claracore.core.ports.listen import parse_listen
from claracore.errors import ClaraCoreError
from claracore.host.setup.doctor import Check, Subject, diagnose
from claracore.host.sockets.front import identify
from claracore.host.state import default_state_dir


def doctor(
    config: Annotated[Path, typer.Option(help="Configuration to look at, when no server runs.")] = Path("config.yaml"),
    listen: Annotated[str, typer.Option(help="Where the server will listen.")] = "5800",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what is wrong: engine, graphics, ports, configuration, disk, versions. Exit code 1 if something is."""
    checks = _from_server(url) or _here(config, listen)
    wrong = [check for check in checks if not check.ok]
    if as_json:
        show_json({"ok": not wrong, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            mark = typer.style("ok  ", fg="green") if check.ok else typer.style("look", fg="yellow", bold=True)
            typer.echo(f"{mark}  {check.name:<9} {check.message}")
            if check.way_out:
                typer.echo(f"{'':<16}{check.way_out}")
    raise typer.Exit(1 if wrong else 0)


def _from_server(url: str | None) -> list[Check]:
    """Return what the running server says; empty when none runs."""
    server = Server(url)
    parts = urlsplit(server.url)
    with suppress(OSError, http.client.HTTPException):
        if identify(parts.hostname or "127.0.0.1", parts.port or 80) is not None:
            return [Check(**check) for check in server.ask("GET", "/api/doctor")["checks"]]
    return []


def _here(config: Path, listen: str) -> list[Check]:
    """Look without a server."""
    engine = None
    with suppress(OSError, UnicodeError, ClaraCoreError):
        loaded = load(config.read_text(encoding="utf-8"), file=str(config), env=os.environ)
        engine = loaded.config.engine if loaded.config else None
    present = config if config.exists() else None
    subject = Subject(present, None, parse_listen(listen), default_state_dir(), os.environ, engine)
    missing = Check("config", ok=False, message=f"there is no {config}", way_out="claracore setup FOLDER writes one")
    none = Check("server", ok=True, message="no server runs; this is what one would find")
    return [none, *diagnose(subject), *([] if present else [missing])]
