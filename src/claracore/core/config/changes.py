"""What must happen to which model when one configuration takes the place of another?

Both are compared model by model after expansion. Only what makes a running process wrong asks for a restart: its
command, environment, address and how readiness is seen. Everything else is taken over while the process runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from claracore.core.config.model import Config, ModelConfig
from claracore.core.config.routing import GroupConfig

NEEDS_RESTART = (
    *("cmd", "container", "env", "proxy", "transport", "check_endpoint", "owner"),
    *("nodes", "rank_cmd"),
)
FIXED_AT_START = ("log_to_stdout", "store")


@dataclass(frozen=True, slots=True)
class Changes:
    """Model ids by what happens to them; each id of either configuration is in exactly one of the first five sets.

    `soft` models changed without needing a restart; `kept` ones did not change. `settings` names the options outside
    `models` that differ, as attributes of Config; those in `needs_new_start` act only after ClaraCore starts anew.
    """

    added: frozenset[str]
    removed: frozenset[str]
    restart: frozenset[str]
    soft: frozenset[str]
    kept: frozenset[str]
    settings: frozenset[str]

    @property
    def needs_new_start(self) -> frozenset[str]:
        """The changed settings that are read only when ClaraCore starts."""
        return self.settings & frozenset(FIXED_AT_START)

    @property
    def nothing(self) -> bool:
        """Whether the two configurations differ in nothing that is compared."""
        return not (self.added or self.removed or self.restart or self.soft or self.settings)

    @property
    def summary(self) -> str:
        """What changes, for the log: ids by what happens to them."""
        if self.nothing:
            return "nothing changed"
        kinds = {
            "added": self.added,
            "removed": self.removed,
            "to restart if loaded": self.restart,
            "changed without restart": self.soft,
            "settings": setting_keys(self.settings),
        }
        return "; ".join(f"{kind}: {', '.join(sorted(names))}" for kind, names in kinds.items() if names)


def compare(old: Config, new: Config) -> Changes:
    """Return what changes when `new` takes the place of `old`."""
    both = old.models.keys() & new.models.keys()
    changed = {model_id for model_id in both if old.models[model_id] != new.models[model_id]}
    moved = {model_id for model_id in both if _group_rules(old, model_id) != _group_rules(new, model_id)}
    restart = {model_id for model_id in changed if needs_restart(old.models[model_id], new.models[model_id])}
    if old.engine != new.engine:
        restart |= {name for name in both if "llama-server" in (after := new.models[name]).cmd and not after.container}
    soft = (changed | moved) - restart
    return Changes(
        added=frozenset(new.models.keys() - old.models.keys()),
        removed=frozenset(old.models.keys() - new.models.keys()),
        restart=frozenset(restart),
        soft=frozenset(soft),
        kept=frozenset(both - restart - soft),
        settings=frozenset(_settings(old, new)),
    )


def needs_restart(old: ModelConfig, new: ModelConfig) -> bool:
    """Tell whether a process that was started for `old` cannot serve `new`."""
    return any(getattr(old, name) != getattr(new, name) for name in NEEDS_RESTART)


def _group_rules(config: Config, model_id: str) -> tuple[str, bool, bool, bool]:
    """Return what the group means for the model; a range of ports is the port plan's business (`settings`)."""
    name = config.group_of(model_id)
    group = config.groups.get(name, GroupConfig())
    return name, group.swap, group.exclusive, group.persistent


def setting_keys(settings: Iterable[str]) -> list[str]:
    """Return what settings are called in the file, in order."""
    return sorted(Config.model_fields[name].alias or name for name in settings)


def _settings(old: Config, new: Config) -> set[str]:
    names = Config.model_fields.keys() - {"models", "groups", "macros"}
    changed = {name for name in names if getattr(old, name) != getattr(new, name)}
    return changed | {"groups"} if _without_members(old) != _without_members(new) else changed


def _without_members(config: Config) -> dict[str, GroupConfig]:
    """Return the groups' rules and ranges; who is in them is told model by model."""
    return {name: group.model_copy(update={"members": ()}) for name, group in config.groups.items()}
