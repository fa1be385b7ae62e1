"""Does the file make sense as a whole, and what follows from it for each model?

Names are unique, groups and lists name models that exist, every model can be reached. The effective configuration has
the aliases collected and every model in exactly one group.
"""

from __future__ import annotations

from typing import Any

from claracore.config.model import DEFAULT_GROUP, Config, ModelConfig
from claracore.config.report import Path, Report, nearest, node_at
from claracore.config.routing import GroupConfig
from claracore.config.tree import Branch


class Checker:
    """Checks `config`, which was read from `root`; problems go to `report`."""

    def __init__(self, config: Config, root: Branch, report: Report) -> None:
        self.config = config
        self.models = dict(config.models)
        self.names: dict[str, str] = {}
        self._root = root
        self._report = report

    def effective(self) -> Config:
        """Return the configuration with what follows from the file as a whole."""
        self._collect_aliases()
        changed: dict[str, Any] = {"models": self.models, "groups": self._groups()}
        return Config.model_construct(**{**self.config.__dict__, **changed})

    def _error(self, path: Path, message: str, way_out: str) -> None:
        self._report.error(message, path, node_at(self._root, path), way_out)

    def _warn(self, path: Path, message: str, way_out: str) -> None:
        self._report.warn(message, path, node_at(self._root, path), way_out)

    def _collect_aliases(self) -> None:
        """Make `names` complete; report names that two models claim."""
        owner: dict[str, str] = {}
        for model in self.models.values():
            for index, alias in enumerate(model.aliases):
                here = ("models", model.id, "aliases", index)
                if alias in owner:
                    whose = "this model" if owner[alias] == model.id else f"model {owner[alias]!r}"
                    self._error(here, f"alias {alias!r} is used twice, first by {whose}", "keep one")
                elif alias in self.models and alias != model.id:
                    self._warn(here, f"alias {alias!r} is hidden by the model of that name", "rename it")
                owner.setdefault(alias, model.id)
        for model in self.config.models.values():
            if model.filters.set_params_by_id:
                self.models[model.id] = self._with_ids(model, owner)
        self.names = {**owner, **{name: name for name in self.models}}

    def _with_ids(self, model: ModelConfig, owner: dict[str, str]) -> ModelConfig:
        aliases = list(model.aliases)
        for name in model.filters.set_params_by_id:
            if name == model.id:
                continue
            whose = name if name in self.models else owner.setdefault(name, model.id)
            if whose != model.id:
                here = ("models", model.id, "filters", "setParamsByID", name)
                self._error(here, f"{name!r} already names model {whose!r}", "choose another id")
            elif name not in aliases:
                aliases.append(name)
        return model.model_copy(update={"aliases": tuple(aliases)})

    def _groups(self) -> dict[str, GroupConfig]:
        """Return all groups, members resolved to ids, and the default group with the models that are in no other."""
        top, nested = self.config.groups, self.config.routing.router.settings.groups
        path: Path = ("groups",) if top else ("routing", "router", "settings", "groups")
        placed: dict[str, str] = {}
        groups: dict[str, GroupConfig] = {}
        for name, group in (top or nested).items():
            if name == DEFAULT_GROUP:
                self._warn((*path, name), "the default group is ClaraCore's own; this one is ignored", "rename it")
                continue
            members = self._members(group, name, placed, (*path, name, "members"))
            groups[name] = group.model_copy(update={"name": name, "members": members})
        rest = tuple(model_id for model_id in self.models if model_id not in placed)
        groups[DEFAULT_GROUP] = GroupConfig(name=DEFAULT_GROUP, members=rest)
        return groups

    def _members(self, group: GroupConfig, name: str, placed: dict[str, str], path: Path) -> tuple[str, ...]:
        members: list[str] = []
        for index, member in enumerate(group.members):
            here = (*path, index)
            model_id = self.names.get(member)
            if model_id is None:
                way_out = nearest(member, self.names) or "add the model, or remove the name"
                self._warn(here, f"there is no model {member!r}", way_out)
            elif model_id in placed:
                where = "this group" if placed[model_id] == name else f"group {placed[model_id]!r}"
                self._error(here, f"model {member!r} is already in {where}", "remove it here")
            else:
                placed[model_id] = name
                members.append(model_id)
        return tuple(members)
