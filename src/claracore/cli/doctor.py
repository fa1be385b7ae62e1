"""`claracore doctor`: what is wrong, and what is there to do about it?"""

from __future__ import annotations

import http.client
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from claracore.cli.client import JSON, URL, Server, show_json
from claracore.cli.terminal import beside, say
from claracore.cli.verb import Verb, option
from claracore.core.ports.listen import parse_listen
from claracore.errors import ClaraCoreError
from claracore.host.places import config_file
from claracore.host.setup.check import Check
from claracore.host.state import default_state_dir


def doctor(*, config: Path | None, listen: str, url: str | None, as_json: bool) -> None:
    """Look for what is wrong: engine, graphics, ports, configuration, disk, versions. Exit code 1 if something is."""
    checks = _from_server(url) or _without_server(config_file(config), listen)
    wrong = [check for check in checks if not check.ok]
    if as_json:
        show_json({"ok": not wrong, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            say("ok  " if check.ok else "look", style="green" if check.ok else "yellow bold", end="  ")
            say(beside(f"{check.name:<9} ", check.message, before=6))
            if check.way_out:
                say(beside(f"{'':<16}", check.way_out))
    raise SystemExit(1 if wrong else 0)


def _from_server(url: str | None) -> list[Check]:
    """Return what the running server says; empty when none runs."""
    server = Server(url)
    with suppress(OSError, http.client.HTTPException):
        if server.is_there():
            return [Check(**check) for check in server.ask("GET", "/api/doctor")["checks"]]
    return []


def _without_server(config: Path, listen: str) -> list[Check]:
    """Look without a server."""
    from claracore.core.config.load import load  # noqa: PLC0415 - a running server looks by itself
    from claracore.host.setup.doctor import Subject, diagnose  # noqa: PLC0415

    engine = None
    with suppress(OSError, UnicodeError, ClaraCoreError):
        loaded = load(config.read_text(encoding="utf-8"), file=str(config), env=os.environ)
        engine = loaded.config.engine if loaded.config else None
    present = config if config.exists() else None
    subject = Subject(present, None, parse_listen(listen), default_state_dir(), os.environ, engine)
    missing = Check("config", ok=False, message=f"there is no {config}", way_out="claracore setup FOLDER writes one")
    none = Check("server", ok=True, message="no server runs; this is what one would find")
    return [none, *diagnose(subject), *([] if present else [missing])]


DOCTOR = Verb(
    doctor,
    {
        "config": option("--config", about="Configuration to look at, when no server runs.", kind=Path),
        "listen": option("--listen", about="Where the server will listen.", default="5800"),
        "url": URL,
        "as_json": JSON,
    },
)
