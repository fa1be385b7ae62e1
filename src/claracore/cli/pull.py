"""`claracore pull REF`: get a model from the hub.

Where a ClaraCore runs, it does the work: the download outlives this command, and the model is in its list right after.
Otherwise the files are fetched here, and the last line says how to serve them.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claracore.cli.client import JSON, URL, Server, ServerSaid, running_server, show_json
from claracore.cli.loop import run
from claracore.cli.pull_shown import Meter, meter, plan_lines
from claracore.cli.terminal import say
from claracore.cli.verb import Verb, flag, option, switch, word
from claracore.core.config.load import load
from claracore.host.library.download import Download, DownloadStore
from claracore.host.library.downloads import Downloads, DownloadsListener, NoListener
from claracore.host.library.hub_access import HubAccess
from claracore.host.library.hub_tokens import HubTokens
from claracore.host.library.views import download_view, plan_view
from claracore.host.places import config_file, models_folder
from claracore.host.setup.request import SetupOptions
from claracore.host.setup.survey_for_config import memory_budget
from claracore.host.state import default_state_dir
from claracore.host.store import files

ENDED = frozenset({"finished", "failed", "paused"})
ASKING_SECONDS = 180.0

View = dict[str, Any]


def pull(
    *, ref: str, to: Path | None, config: Path | None, dry_run: bool, projector: bool, url: str | None, as_json: bool
) -> None:
    """Get a model from the hub: choose the file, fetch, check, and serve it."""
    server = running_server(url)
    folder = Path(os.path.abspath(os.path.expanduser(to))) if to is not None else None  # noqa: PTH100, PTH111 - links stay
    if dry_run:
        wish = {"ref": ref, "to": str(folder) if folder else None, "projector": projector}
        plan = (
            _plan_of_server(server, wish) if server else run(_planned(ref, folder or usual_folder(config), projector))
        )
        show_json(plan) if as_json else say("\n".join(plan_lines(plan)))
        return
    watch: AbstractContextManager[Meter] = nullcontext(lambda _view: None) if as_json else meter()
    try:
        with watch as show:
            if server is not None:
                wish = {"ref": ref, "to": str(folder) if folder else None, "projector": projector}
                view = _by_server(server, wish, show)
            else:
                view = run(_fetch_here(ref, folder or usual_folder(config), projector, show))
    except KeyboardInterrupt:
        goes_on = (
            "it goes on in the server; Setup in the web interface shows it" if server else "the same command goes on"
        )
        say(f"\nstopped; {goes_on}", err=True)
        raise SystemExit(130) from None
    show_json(view) if as_json else say(_outcome(view, served=server is not None))
    raise SystemExit(0 if view["status"] == "finished" else 1)


def usual_folder(named: Path | None) -> Path:
    """Return where models go without a server: where one with the same configuration would put them."""
    file, folder = config_file(named), ""
    if file.exists():
        config = load(files.read(file), file=str(file), env=os.environ).config
        folder = config.download_dir if config is not None else ""
    beside = Path(os.path.abspath(file.parent))  # noqa: PTH100 - links stay
    if not folder:
        return models_folder(file, beside)
    return Path(os.path.normpath(beside / os.path.expanduser(folder)))  # noqa: PTH111 - Path's raises for a user without a home


def _plan_of_server(server: Server, wish: View) -> View:
    found: View = server.ask("POST", "/api/downloads/plan", wish, timeout_seconds=ASKING_SECONDS)
    return found


def _by_server(server: Server, wish: View, show: Callable[[View], None]) -> View:
    """Have the server fetch it, and watch until it has ended."""
    with server.open("GET", "/api/stream?topics=download", timeout_seconds=ASKING_SECONDS) as stream:
        view: View = server.ask("POST", "/api/downloads", wish, timeout_seconds=ASKING_SECONDS)
        path = f"/api/downloads/{view['id']}"
        show(view)
        events = server.events(stream)
        while view["status"] not in ENDED and not view["removed"]:
            try:
                event = next(events)
            except StopIteration:
                raise ServerSaid("the server has ended; the download goes on when it runs again") from None
            data = json.loads(event.data)
            if event.type == "download" and data["id"] == view["id"]:
                view = data
            elif event.type in {"hello", "resync"}:
                view = server.ask("GET", path)
            show(view)
    return view


def _downloads(listener: DownloadsListener | None = None) -> Downloads:
    return Downloads(HubAccess(os.environ, HubTokens(default_state_dir(), os.environ)), DownloadStore(), listener)


@dataclass(frozen=True, slots=True)
class _DownloadMeter(NoListener):
    """Shows how a download goes."""

    show: Callable[[View], None]

    def changed(self, download: Download) -> None:
        """Show how far it is, and what hinders it."""
        self.show(download_view(download).model_dump(mode="json"))


async def _planned(ref: str, folder: Path, projector: bool) -> View:
    downloads = _downloads()
    try:
        plan, found = await downloads.hub.look(ref, projector=projector)
        budget = await asyncio.to_thread(memory_budget, None, SetupOptions())
        return plan_view(plan, found, folder, budget).model_dump(mode="json")
    finally:
        await downloads.close()


async def _fetch_here(ref: str, folder: Path, projector: bool, show: Callable[[View], None]) -> View:
    """Fetch it in this process."""
    downloads = _downloads(_DownloadMeter(show))
    try:
        plan, _found = await downloads.hub.look(ref, projector=projector)
        download = await downloads.add(plan, folder)
        await downloads.idle()
        return download_view(download).model_dump(mode="json")
    finally:
        await downloads.close()


def _outcome(view: View, *, served: bool) -> str:
    """Say what came of it, and what to do next."""
    if view["removed"]:
        return "it was cancelled"
    if view["status"] != "finished":
        return f"{view['status']}: {view['error']}" if view["error"] else str(view["status"])
    first = view["files"][0]["path"]
    if view["models"]:
        name = view["models"][0]
        return f"{name} can be used now: claracore chat {name}"
    if served:
        return view["note"] or f"it is in {first}"
    return f"it is in {first}\nserve it: claracore --models-folder {view['folder']}"


PULL = Verb(
    pull,
    {
        "ref": word(about="org/repo, org/repo:Q4_K_M, the address of a .gguf file, or 'llama-server -hf org/repo'."),
        "to": option("--to", about="Folder for it, instead of the usual one.", kind=Path),
        "config": option("--config", about="Whose downloadDir is the usual one, where no server runs.", kind=Path),
        "dry_run": flag("--dry-run", about="Show what would be fetched; fetch nothing."),
        "projector": switch("--projector", about="Fetch what lets the model see or hear (mmproj) too.", default=True),
        "url": URL,
        "as_json": JSON,
    },
)
