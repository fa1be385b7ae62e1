"""Does what is said of memory make sense, and could it take the place of groups or a matrix?"""

from __future__ import annotations

from collections.abc import Mapping

from claracore.core.config.model import DEFAULT_GROUP, Config
from claracore.core.config.report import NodePath, Say
from claracore.core.config.routing import GroupConfig
from claracore.core.memory.declared import DEVICE, EXPECTED_DEVICE
from claracore.types import Finding, Place

USE: NodePath = ("routing", "router", "use")
SETTINGS: NodePath = ("routing", "router", "settings", "memory")


def check_memory(config: Config, error: Say, note: Say) -> None:
    """Report limits of what is no device, limits that nobody looks at, and rules that do nothing beside memory."""
    limits = config.routing.router.settings.memory
    for key, sizes in (("reserve", limits.reserve), ("budget", limits.budget)):
        for name in sizes:
            if DEVICE.fullmatch(name) is None:
                error((*SETTINGS, key, name), f"found {name[:40]!r}", EXPECTED_DEVICE)
    use = config.routing.router.use
    if use == "memory":
        _note_what_is_idle(config, note)
    elif limits.reserve or limits.budget:
        note(SETTINGS, f"nothing acts on it: the router in use is {use}", "write `use: memory`, or remove it")


def _note_what_is_idle(config: Config, note: Say) -> None:
    path, groups = _declared_groups(config)
    if any({"swap", "exclusive"} & group.model_fields_set for group in groups.values()):
        note(
            path,
            "swap and exclusive unload nobody: memory decides who runs together",
            "keep the groups for their ports and for `persistent`",
        )
    settings = config.routing.router.settings
    if config.matrix is not None or settings.matrix is not None:
        path = ("matrix",) if config.matrix is not None else ("routing", "router", "settings", "matrix")
        note(path, "the matrix is not in use: memory decides who runs together", "remove it")


def memory_instead(config: Config, places: Mapping[str, Place]) -> list[Finding]:
    """Note where groups or a matrix only say what fits together, which memory could find out by itself."""
    use = config.routing.router.use
    declared = [group for name, group in config.groups.items() if name != DEFAULT_GROUP]
    if len(config.models) < 2 or use == "memory" or any(group.start_port for group in declared):
        return []
    key = "matrix" if use == "matrix" else "groups"
    path = key if key in places else f"routing.router.settings.{key}"
    if path not in places:
        return []
    message = f"the {key} only {'says' if key == 'matrix' else 'say'} which models run together"
    way_out = "`routing: {router: {use: memory}}` finds that out from the models' sizes, and keeps loaded what fits"
    return [Finding("note", message, path, places[path], way_out)]


def _declared_groups(config: Config) -> tuple[NodePath, dict[str, GroupConfig]]:
    """Return the groups that the file declares, and where."""
    if config.groups:
        return ("groups",), config.groups
    return ("routing", "router", "settings", "groups"), config.routing.router.settings.groups
