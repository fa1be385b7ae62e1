"""`claracore engines`: which builds of llama.cpp are installed here, which one is meant, and how do others come?

The work is done here, with or without a server; one that runs is told, and takes the build in use for the next start of
a model.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import TYPE_CHECKING, Any

from claracore.cli.client import JSON, NO_SERVER, Server, ServerSaid, show_json
from claracore.cli.engines_add import ADD
from claracore.cli.engines_shown import check_lines, engines_lines, job_line, job_meter, plan_lines
from claracore.cli.loop import run
from claracore.cli.terminal import say
from claracore.cli.verb import Verb, VerbGroup, flag, option, switch, word
from claracore.core.engines.choose import AUTO
from claracore.core.engines.job import LATEST, EngineAction, EngineJob, EngineStage, EngineWish
from claracore.core.engines.sources import SOURCES, USUAL
from claracore.core.fit.machine import Backend
from claracore.host.engines.folder import engines_folder
from claracore.host.engines.installed import EngineFolders
from claracore.host.places import config_file
from claracore.host.sockets.ledger import default_folder, living_instances
from claracore.host.state import default_state_dir

if TYPE_CHECKING:
    from claracore.host.engines.manager import EngineManager

TELL_SECONDS = 30.0
"""A server that is told may have to try a build before it says so."""


def list_engines(*, as_json: bool) -> None:
    """List the installed builds, and say what `llama-server` in a command means."""
    from claracore.host.engines.views import engines_view  # noqa: PLC0415 - pydantic
    from claracore.host.setup.engine_named import configured_engine  # noqa: PLC0415 - for this verb only

    configured = configured_engine(config_file())
    view = engines_view(_folders(), configured, []).model_dump(mode="json")
    show_json(view) if as_json else say("\n".join(engines_lines(view)))


def install(
    *, name: str, version: str, backend: str, use: bool | None, build: bool, dry_run: bool, as_json: bool
) -> None:
    """Fetch the project's build for this machine, check it, try it, and keep it; or compile it here."""
    wish = EngineWish(name, version, backend, use, build)
    if not dry_run:
        _carry_out("install", wish, as_json=as_json)
        return
    if build:
        _show_build(wish, as_json=as_json)
        return
    from claracore.host.engines.views import plan_view  # noqa: PLC0415 - pydantic

    choice, devices = run(_manager().plan(wish))
    view = plan_view(choice, name, _folders(), devices).model_dump(mode="json")
    show_json(view) if as_json else say("\n".join(plan_lines(view)))


def _show_build(wish: EngineWish, *, as_json: bool) -> None:
    """Say what would be compiled, and with which options."""
    from claracore.core.engines.source_build import build_id  # noqa: PLC0415 - for who builds only
    from claracore.host.engines.source_build import SourceBuilder  # noqa: PLC0415 - as above

    source, plan = run(SourceBuilder(_folders(), os.environ).plan(wish.version, wish.backend))
    found = {"engine": build_id(source, plan), "source": source.url, "options": plan.options, "reason": plan.reason}
    show_json(found) if as_json else say(
        f"{found['engine']}: {plan.reason}\n  {source.name}\n  {' '.join(plan.options)}"
    )


def update(*, name: str, version: str, as_json: bool) -> None:
    """Install the newest build with the backend in use, and use it; the one before stays for the way back."""
    _carry_out("update", EngineWish(name, version), as_json=as_json)


def use(*, engine: str, as_json: bool) -> None:
    """Say which build is meant by `llama-server`: the next start of a model takes it, those that run stay.

    `none`: no installed build, but the one on PATH or the embedded engine.
    """
    if engine == "none":
        _manager().folders.use_none()
        heard = _tell_servers()
        show_json({"in_use": None, "servers": heard}) if as_json else say(f"no installed build is in use{_by(heard)}")
        return
    found = _manager().use(engine)
    heard = _tell_servers()
    show_json({"in_use": found.id, "servers": heard}) if as_json else say(f"{found.id} is in use{_by(heard)}")


def remove(*, engine: str, as_json: bool) -> None:
    """Delete a build that is not in use."""
    found = _manager().remove(engine)
    heard = _tell_servers()
    show_json({"removed": found.id, "servers": heard}) if as_json else say(f"{found.id} is gone")


def check(*, as_json: bool) -> None:
    """Try whether each build runs, and ask for the newest. Exit code 1 if one does not, or that cannot be known."""
    from claracore.host.engines.checks import check_engines  # noqa: PLC0415 - pydantic

    view = run(check_engines(_manager())).model_dump(mode="json")
    show_json(view) if as_json else say("\n".join(check_lines(view)))
    raise SystemExit(1 if view["newest"] is None or any(one["problem"] for one in view["checks"]) else 0)


def _carry_out(action: EngineAction, wish: EngineWish, *, as_json: bool) -> None:
    """Do a job here, show how it goes, and tell the servers that run."""
    from claracore.host.engines.views import job_view  # noqa: PLC0415 - pydantic

    manager = _manager()
    job = EngineJob(secrets.token_hex(6), action, wish, begun_at=time.time())
    before, present = manager.folders.in_use(wish.name), {engine.id for engine in manager.folders.engines()}
    with job_meter(quiet=as_json) as shown:
        act = manager.install if action == "install" else manager.update
        try:
            run(act(job, shown))
        except KeyboardInterrupt:
            say("\nstopped; what was fetched is kept, and the same command goes on", err=True)
            raise SystemExit(130) from None
    job.stage, job.ended_at = EngineStage.FINISHED, time.time()
    in_use = manager.folders.in_use(wish.name)
    heard = _tell_servers() if in_use != before else []
    if as_json:
        show_json({**job_view(job).model_dump(mode="json"), "in_use": in_use.id if in_use else None, "servers": heard})
    else:
        say(job_line(job, in_use.id if in_use else None, there=job.engine in present) + _by(heard))


def _tell_servers() -> list[str]:
    """Tell the servers of this machine that another build may be in use; return the addresses of those that heard."""
    heard = []
    for url in sorted({one.url for one in living_instances(default_folder(default_state_dir())) if one.url}):
        try:
            Server(url).ask("POST", "/api/engines/look", {}, timeout_seconds=TELL_SECONDS, quiet=True)
        except ServerSaid as error:
            say(f"the server at {url} was not told: {error.message}", err=True)
        except SystemExit as error:
            if error.code != NO_SERVER:
                raise
        else:
            heard.append(url)
    return heard


def _by(heard: list[str]) -> str:
    return f"; the server at {', '.join(heard)} takes it for the next start of a model" if heard else ""


def _folders() -> EngineFolders:
    return EngineFolders(engines_folder())


def _manager() -> EngineManager:
    from claracore.host.engines.manager import EngineManager  # noqa: PLC0415 - reads the machine

    return EngineManager(_folders(), os.environ)


def _complete(incomplete: str) -> list[str]:
    return [engine.id for engine in _folders().engines() if engine.id.startswith(incomplete)]


NAME = option("--name", about=f"Which engine: {', '.join(SOURCES)}.", default=USUAL)
VERSION = option("--version", about="latest, nightly, or a tag (b11434).", default=LATEST)
ENGINE = word(about="Its id, or a part that only one has (b11434, vulkan).", complete=_complete)
_TAKES: dict[str, Any] = {"name": NAME, "version": VERSION}

ENGINES = VerbGroup(
    "Builds of llama.cpp: install, update, use, remove; which one is meant by `llama-server`.",
    {
        "list": Verb(list_engines, {"as_json": JSON}),
        "install": Verb(
            install,
            {
                **_TAKES,
                "backend": option("--backend", about=f"{', '.join((AUTO, *Backend))}.", default=AUTO),
                "build": flag("--build", about="Compile llama.cpp here, for this processor and what is installed."),
                "use": switch("--use", about="Use it, also where another one is in use.", default=None),
                "dry_run": flag("--dry-run", about="Say what would be installed, and why not another; fetch nothing."),
                "as_json": JSON,
            },
        ),
        "update": Verb(update, {**_TAKES, "as_json": JSON}),
        "use": Verb(use, {"engine": ENGINE, "as_json": JSON}),
        "remove": Verb(remove, {"engine": ENGINE, "as_json": JSON}),
        "check": Verb(check, {"as_json": JSON}),
        "add": ADD,
    },
)
