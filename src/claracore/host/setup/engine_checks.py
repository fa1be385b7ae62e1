"""What should a person know of each engine here: which version, what it sees, what models ask of it that it cannot do?

Nobody is asked over the network: a newer version is known if `claracore engines check` has seen one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from claracore.core.config.command import split
from claracore.core.config.model import Config
from claracore.core.engines.sources import USUAL
from claracore.host.engines.find import NAME, Engine, Unusable, learn
from claracore.host.engines.folder import engines_folder
from claracore.host.engines.installed import EngineFolders
from claracore.host.engines.newest import seen_builds
from claracore.host.hardware.engine import list_devices, parse_devices
from claracore.host.setup.check import Check

GIVEN: Final = re.compile(r"--?[A-Za-z][\w-]*")
UPDATE: Final = "`claracore engines update` installs the newest"
OTHER: Final = "remove them from its cmd, or take a newer build: `claracore engines install`"


def engine_checks(engine: Engine, config: Config | None) -> Iterator[Check]:
    """Tell of the engine in use, of the builds that are installed, and of those that models name. Blocking, seconds."""
    folders = EngineFolders(engines_folder())
    usual = "" if engine.embedded else engine.argv[0]
    asked = _asked(config, usual)
    builds = {str(folders.program(each)): each.id for each in folders.engines() if each.name == USUAL}
    for path in dict.fromkeys(filter(None, [usual, *builds, *asked])):
        yield from _one(path, builds.get(path, path), asked.get(path, {}))
    if engine.embedded:
        yield from _lacking("the embedded engine", engine.abilities.flags, asked.get("", {}))
    yield from _newer(folders)


def _one(path: str, name: str, models: Mapping[str, list[str]]) -> Iterator[Check]:
    known = learn(path)
    if isinstance(known, Unusable):
        yield Check("engine", ok=False, message=f"{name}: {known.reason}", way_out=UPDATE)
        return
    version, abilities = known
    yield Check("engine", ok=True, message=f"{name}: {version or 'of unknown version'}; {_devices(path)}")
    yield from _lacking(name, abilities.flags, models)


def _devices(path: str) -> str:
    listed = list_devices([path])
    devices = parse_devices(listed) if listed is not None else None
    if devices is None:
        return "it does not tell which devices it sees"
    if not devices:
        return "for processors: it sees no graphics device"
    return f"for {devices[0].backend}: it sees {', '.join(f'{gpu.device} {gpu.name}' for gpu in devices)}"


def _lacking(name: str, flags: frozenset[str], models: Mapping[str, list[str]]) -> Iterator[Check]:
    """Say which flags models use that an engine does not know; nothing of one whose flags cannot be read."""
    for model, given in models.items():
        lacks = [flag for flag in dict.fromkeys(given) if flag not in flags]
        if flags and lacks:
            message = f"{name} does not know {', '.join(lacks)}, which model {model!r} uses"
            yield Check("engine", ok=False, message=message, way_out=OTHER)


def _asked(config: Config | None, usual: str) -> dict[str, dict[str, list[str]]]:
    """Return the flags that models give to each llama-server, by path and model; `usual` is what the word means."""
    found: dict[str, dict[str, list[str]]] = {}
    for model in config.models.values() if config is not None else ():
        try:
            words = split(model.cmd)
        except ValueError:
            continue
        if words and (words[0] == NAME or words[0].endswith(f"/{NAME}")):
            path = usual if words[0] == NAME else words[0]
            found.setdefault(path, {})[model.id] = [word for word in words[1:] if GIVEN.fullmatch(word)]
    return found


def _newer(folders: EngineFolders) -> Iterator[Check]:
    in_use = folders.in_use(USUAL)
    seen = seen_builds(folders).get(USUAL)
    if in_use is None or seen is None or seen.id == in_use.id or seen.seen_at < in_use.installed_at:
        return
    when = datetime.fromtimestamp(seen.seen_at, UTC).date().isoformat()
    yield Check("engine", ok=True, message=f"{seen.id} is newer than {in_use.id} (seen on {when})", way_out=UPDATE)
