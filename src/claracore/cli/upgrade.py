"""`claracore upgrade`: have the version that is installed now take over from the one that serves."""

from __future__ import annotations

from claracore.cli.client import JSON, URL, Server, show_json
from claracore.cli.terminal import say
from claracore.cli.verb import Verb
from claracore.core.units import counted

UPGRADE_SECONDS = 3600.0
"""A model that loads is waited for; the server knows when to give up."""


def upgrade(*, url: str | None, as_json: bool) -> None:
    """Have the version that is installed now take over, without a pause: no request is lost, no model stops."""
    done = Server(url).ask("POST", "/api/upgrade", timeout_seconds=UPGRADE_SECONDS)
    if as_json:
        show_json(done)
        return
    same = done["version"] == done["former_version"]
    what = (
        f"version {done['version']}, once more,"
        if same
        else f"version {done['version']} ({done['former_version']} before)"
    )
    kept = f"; {counted(len(done['models']), 'model')} went on: {', '.join(done['models'])}" if done["models"] else ""
    say(f"{what} serves now (pid {done['pid']}){kept}")


UPGRADE = Verb(upgrade, {"url": URL, "as_json": JSON})
