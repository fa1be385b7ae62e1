"""`claracore engines add`: an engine that is a Python package gets an environment of its own, and a macro."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from claracore.cli.client import JSON, show_json
from claracore.cli.terminal import say
from claracore.cli.verb import Verb, flag, option, word
from claracore.core.difference import unified_diff
from claracore.core.engines.environments import (
    ENVIRONMENTS,
    PythonEngine,
    environment_of,
    with_macro,
    without_macro,
)
from claracore.core.units import gb
from claracore.host.engines.folder import engines_folder
from claracore.host.engines.installed import EngineFolders
from claracore.host.places import config_file


def add(*, name: str, version: str | None, dry_run: bool, undo: bool, config: Path | None, as_json: bool) -> None:
    """Make an environment with this engine in it, and a macro in the configuration that starts its server."""
    from claracore.host.engines.environments import Environments, this_system  # noqa: PLC0415 - for this verb only

    engine, folders, file = environment_of(name), EngineFolders(engines_folder()), config_file(config)
    requirement = engine.requirement(this_system(), version)
    environments = Environments(folders, lambda what: None if as_json else say(f"{what} ..."))
    if undo:
        _undo(engine, environments.id_of(engine, version), folders, file, as_json=as_json)
        return
    command = engine.command(str(environments.program(engine, version)))
    before, after = _texts(file, lambda text: with_macro(text, engine, command, folders.root.as_posix()))
    found: dict[str, Any] = {"engine": environments.id_of(engine, version), "macro": engine.macro, "command": command}
    if dry_run:
        diff = unified_diff(before, after, str(file), f"{file} (new)") if before is not None else ""
        preview = [f"{requirement} into {environments.program(engine, version)}", engine.note, diff.rstrip("\n")]
        show_json({**found, "diff": diff}) if as_json else say("\n".join(filter(None, preview)))
        return
    made = environments.add(engine, version)
    backup = _written(file, lambda text: with_macro(text, engine, command, folders.root.as_posix()))
    if as_json:
        show_json({**found, "size_bytes": made.size_bytes, "backup": str(backup) if backup else None})
        return
    say(f"{made.id} is there ({gb(made.size_bytes)})")
    if before is None:
        say(f"there is no configuration yet; this macro starts its server:\n  {engine.macro}: {command}")
    else:
        say(f"a model starts with `cmd: ${{{engine.macro}}} ...`; `claracore engines add {name} --undo` takes it back")


def _undo(engine: PythonEngine, id_: str, folders: EngineFolders, file: Path, *, as_json: bool) -> None:
    """Take the macro out of the configuration, unless something uses it, and delete the environment."""
    backup = _written(file, lambda text: without_macro(text, engine, folders.root.as_posix()))
    with folders.changing():
        gone = [each for each in folders.engines() if each.id == id_]
        for each in gone:
            folders.remove(each)
    if as_json:
        show_json({"removed": [each.id for each in gone], "backup": str(backup) if backup else None})
    else:
        say(f"{id_} is gone" if gone else f"{id_} was not there")


def _texts(file: Path, edit: Callable[[str], str]) -> tuple[str | None, str]:
    from claracore.host.store.files import read  # noqa: PLC0415 - for this verb only

    if not file.is_file():
        return None, ""
    before = read(file)
    return before, edit(before)


def _written(file: Path, edit: Callable[[str], str]) -> Path | None:
    """Change the configuration, where there is one; returns where the old text is kept."""
    from claracore.host.store.files import change  # noqa: PLC0415 - for this verb only

    return change(file, lambda text: edit(text or "")).backup if file.is_file() else None


def _complete(start: str) -> list[str]:
    return [name for name in ENVIRONMENTS if name.startswith(start)]


ADD = Verb(
    add,
    {
        "name": word(about=f"{', '.join(ENVIRONMENTS)}.", complete=_complete),
        "version": option("--version", about="Another version of the engine than the one that is known to work."),
        "dry_run": flag("--dry-run", about="Show what would be installed and written; do nothing."),
        "undo": flag("--undo", about="Take the macro and the environment away again."),
        "config": option("--config", "-c", about="The same, as `serve` has it.", kind=Path),
        "as_json": JSON,
    },
)
