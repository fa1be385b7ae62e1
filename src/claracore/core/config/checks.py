"""Does the file make sense as a whole, and what follows from it for each model?

Names are unique, groups and lists name models that exist, every model can be reached. The effective configuration has
the aliases collected and every model in exactly one group.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from claracore.core.config.check_memory import check_memory
from claracore.core.config.check_models import check_model
from claracore.core.config.check_names import check_unknown_names
from claracore.core.config.check_routing import (
    check_matrix,
    check_peers,
    check_placement,
    check_profiles,
    check_selectors,
    peer_names,
)
from claracore.core.config.command import uses_port
from claracore.core.config.model import DEFAULT_GROUP, TIME_FORMATS, Config, ModelConfig
from claracore.core.config.not_here import machine_to_join, report_missing
from claracore.core.config.patterns import is_pattern
from claracore.core.config.program import Hooks, OnStartup
from claracore.core.config.regex import Regex
from claracore.core.config.regex_syntax import BadRegex
from claracore.core.config.report import NodePath, Report, nearest, node_at
from claracore.core.config.routing import Fifo, GroupConfig, SchedulerConfig, SchedulerSettings
from claracore.core.config.tree import MappingNode
from claracore.core.config.typed import LEAST_HEALTH_CHECK_SECONDS

SETTINGS = ("routing", "router", "settings")


class Checker:
    """Checks `config`, which was read from `root`; problems go to `report`. `broken` models lack wrong values."""

    def __init__(self, config: Config, root: MappingNode, report: Report, broken: Collection[str] = ()) -> None:
        self.config = config
        self.models = dict(config.models)
        self.names: dict[str, str] = {}
        self._root = root
        self._report = report
        self._broken = broken

    def effective(self) -> Config:
        """Return the configuration with what follows from the file as a whole."""
        self._check_settings()
        self._collect_aliases()
        for model in self.models.values():
            if not model.id.strip():
                self._error(("models", model.id), "found a model without a name", "write a name before the colon")
            elif model.id not in self._broken:
                check_model(model, self._error, self._warn)
        check_memory(self.config, self._error, self._note)
        config = self._routed()
        groups = self._groups(config)
        self._check_alternatives(config, groups)
        if config.routing.router.use != "memory":
            for name in (model.id for model in self.models.values() if model.sleep.enter.strip()):
                self._note(
                    ("models", name, "sleep"), "nothing sleeps unless memory decides", "routing.router.use: memory"
                )
        changed: dict[str, Any] = {"models": self.models, "groups": groups, "hooks": self._hooks()}
        return Config.model_construct(**{**config.__dict__, **changed})

    def _error(self, path: NodePath, message: str, way_out: str) -> None:
        if not self._report.has_error(path):
            self._report.error(message, path, node_at(self._root, path), way_out)

    def _warn(self, path: NodePath, message: str, way_out: str) -> None:
        if not self._report.has_error(path):
            self._report.warn(message, path, node_at(self._root, path), way_out)

    def _note(self, path: NodePath, message: str, way_out: str) -> None:
        self._report.add("note", message, path, node_at(self._root, path).place, way_out)

    def _check_settings(self) -> None:
        for index, key in enumerate(self.config.api_keys):
            if not key or any(letter.isspace() for letter in key):
                found = "an empty key" if not key else "a key with a space in it"
                self._error(("apiKeys", index), f"found {found}", "expected a text without spaces")
        for index, pattern in enumerate(self.config.upstream.ignore_paths):
            problem = _problem_with_pattern(pattern)
            if problem:
                key_path = ("upstream", "ignorePaths", index)
                self._error(key_path, f"{pattern[:60]!r} is no regular expression: {problem}", "correct it")
        wanted = self.config.log_time_format.strip()
        if wanted and wanted.lower() not in {name.lower() for name in TIME_FORMATS}:
            way_out = nearest(wanted, TIME_FORMATS) or f"use one of {', '.join(TIME_FORMATS)}"
            self._warn(("logTimeFormat",), f"{wanted[:40]!r} is no time format that is known", way_out)
        if self.config.health_check_timeout < LEAST_HEALTH_CHECK_SECONDS:
            message = f"found {self.config.health_check_timeout:g}, raised to {LEAST_HEALTH_CHECK_SECONDS:g}"
            self._warn(("healthCheckTimeout",), message, "set it in the model to have less")

    def _routed(self) -> Config:
        """Return the configuration with one router in use, wherever its rules are written."""
        config = self.config
        router = config.routing.router
        if config.groups and config.matrix:
            self._error(("matrix",), "both groups and matrix are declared", "keep one of them")
        for key, declared in (("groups", config.groups), ("matrix", config.matrix)):
            if declared and router.is_chosen and router.use != "memory":
                self._error((key,), f"both {key} and routing.router are declared", "keep one of them")
        matrix = config.matrix
        path: NodePath = ("matrix",)
        if router.use == "matrix":
            matrix, path = router.settings.matrix, (*SETTINGS, "matrix")
            if matrix is None:
                self._error(("routing", "router", "use"), "the matrix is in use, but missing", "add settings.matrix")
        if matrix is not None:
            check_matrix(matrix, path, self.names, config, self._error, hints=self._report.hints)
        use = router.use if router.use == "memory" else "matrix" if matrix is not None else "group"
        routing = config.routing.model_copy(
            update={
                "router": router.model_copy(update={"use": use}),
                "scheduler": SchedulerConfig(settings=SchedulerSettings(fifo=Fifo(priority=self._priorities()))),
            }
        )
        return config.model_copy(update={"matrix": matrix, "routing": routing})

    def _priorities(self) -> dict[str, int]:
        result: dict[str, int] = {}
        for name, priority in self.config.priorities.items():
            if name in self.names:
                result[self.names[name]] = priority
            elif self.config.peer_of(name) is not None or self.config.is_followed(name):
                result[name] = priority
            else:
                key_path = ("routing", "scheduler", "settings", "fifo", "priority", name)
                way_out = self._report.hints.nearest(name, self.names) or "remove it"
                if machine_to_join(self.config, name, self.names):
                    result[name] = priority
                report_missing(
                    self.config, name, key_path, self.names, error=self._error, warn=self._warn, way_out=way_out
                )
        return result

    def _hooks(self) -> Hooks:
        preload: list[str] = []
        for index, written in enumerate(self.config.preload):
            name = written.strip()
            model_id = name if self.config.peer_of(name) is not None else self.names.get(name)
            if model_id is None:
                key_path = ("hooks", "on_startup", "preload", index)
                elsewhere = self.config.is_followed(name) or machine_to_join(self.config, name, self.names)
                message = f"there is no model {name!r}"
                if elsewhere:
                    message = f"{name!r} is on another machine: it is not preloaded from here"
                way_out = "preload it there" if elsewhere else self._report.hints.nearest(name, self.names)
                self._warn(key_path, message, way_out or "remove it")
            elif model_id not in preload:
                preload.append(model_id)
        return Hooks(on_startup=OnStartup(preload=tuple(preload)))

    def _check_alternatives(self, config: Config, groups: dict[str, GroupConfig]) -> None:
        check_peers(config, self.names, self._error)
        check_placement(config, self._error, self._warn, hints=self._report.hints)
        # A pattern stands for names, it is none that could be written into a request.
        names = {name: id_ for name, id_ in self.names.items() if name in self.models or not is_pattern(name)}
        check_profiles(config, names, self._error, self._warn, hints=self._report.hints)
        check_selectors(config, names, groups, self._error, self._warn, hints=self._report.hints)
        known = {*names, *config.selectors, *peer_names(config)}
        check_unknown_names(config, known, self._error, self._warn, hints=self._report.hints)

    def _collect_aliases(self) -> None:
        """Make `names` complete; report names that two models claim."""
        owner: dict[str, str] = {}
        for model in self.models.values():
            for index, alias in enumerate(model.aliases):
                key_path = ("models", model.id, "aliases", index)
                if alias in owner and owner[alias] != model.id and self._has_own_port(alias, model):
                    continue  # with its port it is another name
                if alias in owner:
                    whose = "this model" if owner[alias] == model.id else f"model {owner[alias]!r}"
                    self._error(key_path, f"alias {alias!r} is used twice, first by {whose}", "keep one")
                elif alias in self.models and alias != model.id:
                    self._warn(key_path, f"alias {alias!r} is hidden by the model of that name", "rename it")
                owner.setdefault(alias, model.id)
        for model in self.config.models.values():
            if model.filters.set_params_by_id:
                self.models[model.id] = self._with_ids(model, owner)
        self.names = {**owner, **{name: name for name in self.models}}

    @staticmethod
    def _has_own_port(name: str, model: ModelConfig) -> bool:
        return "${PORT}" in name and uses_port(model)

    def _with_ids(self, model: ModelConfig, owner: dict[str, str]) -> ModelConfig:
        aliases = list(model.aliases)
        for name in model.filters.set_params_by_id:
            if name == model.id:
                continue
            whose = name if name in self.models else owner.setdefault(name, model.id)
            if whose != model.id and not self._has_own_port(name, model):
                key_path = ("models", model.id, "filters", "setParamsByID", name)
                self._error(key_path, f"{name!r} already names model {whose!r}", "choose another id")
            elif name not in aliases:
                aliases.append(name)
        return model.model_copy(update={"aliases": tuple(aliases)})

    def _groups(self, config: Config) -> dict[str, GroupConfig]:
        """Return all groups, members resolved to ids, and the default group with the models that are in no other."""
        top, nested = config.groups, config.routing.router.settings.groups
        path: NodePath = ("groups",) if top else (*SETTINGS, "groups")
        if config.routing.router.use == "matrix":
            top, nested = {}, {}
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

    def _members(self, group: GroupConfig, name: str, placed: dict[str, str], path: NodePath) -> tuple[str, ...]:
        members: list[str] = []
        for index, member in enumerate(group.members):
            key_path = (*path, index)
            model_id = self.names.get(member)
            if model_id is None:
                way_out = self._report.hints.nearest(member, self.names) or "add the model, or remove the name"
                self._warn(key_path, f"there is no model {member!r}", way_out)
            elif model_id in placed:
                where = "this group" if placed[model_id] == name else f"group {placed[model_id]!r}"
                self._error(key_path, f"model {member!r} is already in {where}", "remove it here")
            else:
                placed[model_id] = name
                members.append(model_id)
        return tuple(members)


def _problem_with_pattern(pattern: str) -> str:
    """Return why `pattern` is none, or an empty text."""
    try:
        Regex(pattern)
    except BadRegex as error:
        return str(error)
    return ""
