"""Which typed values do the nodes of the tree hold?

Sections are read by the declarations in model.py: known keys are expanded and handed to pydantic, others become
findings. What a model takes from the whole file (ttl, timeouts) is filled in here.
"""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from claracore.core.config.command import without_comments
from claracore.core.config.container_command import with_container
from claracore.core.config.fields import Section, mark
from claracore.core.config.macros import Expander, Scope, late_in
from claracore.core.config.model import Config, ModelConfig
from claracore.core.config.refusals import tell
from claracore.core.config.report import NodePath, Report, nearest, node_at
from claracore.core.config.serving import Compat
from claracore.core.config.tree import MappingNode, Node, ScalarNode, holds_only_anchors

LEAST_HEALTH_CHECK_SECONDS = 15.0
COMFYUI, COMFYUI_CONCURRENCY = "comfyui_auto", 50
LOG_LEVELS = ("debug", "info", "warn", "error")
OLD_SPELLINGS = {"strip_params": "stripParams", "always": "reload"}
Kind = TypeVar("Kind", bound=Section)


class Shape(NamedTuple):
    """How the value of a key is to be read: as a section, as a mapping of sections, or as it is."""

    section: type[Section] | None
    many: bool
    later: bool
    deprecated: bool


@functools.cache
def shapes(section: type[Section]) -> dict[str, Shape]:
    """Return the keys that `section` may have in the file."""
    found: dict[str, Shape] = {}
    for name, info in section.model_fields.items():
        if mark(info, "internal"):
            continue
        inner, many = section_in(info.annotation)
        found[info.alias or name] = Shape(inner, many, bool(mark(info, "later")), bool(mark(info, "deprecated")))
    return found


def section_in(annotation: Any) -> tuple[type[Section] | None, bool]:  # noqa: ANN401 - any type at all
    """Return the section that a field of this type holds, if any, and whether it holds a mapping of them."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, False
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is dict:
        return section_in(arguments[1])[0], True
    if origin in {typing.Union, types.UnionType}:
        return next((inner for inner in map(section_in, arguments) if inner[0]), (None, False))
    return None, False


@dataclass(slots=True)
class Reader:
    """Reads sections; `strict` makes unknown keys errors."""

    expander: Expander
    strict: bool
    noted: set[str]

    @property
    def report(self) -> Report:
        """Where findings go."""
        return self.expander.report

    def section(self, node: Node, section: type[Section], scope: Scope, path: NodePath) -> Any:  # noqa: ANN401 - plain data
        """Return the plain data of a section: known keys only, macros in place."""
        if not isinstance(node, MappingNode):
            return self.expander.value(node, scope, path)
        known = shapes(section)
        data: dict[str, Any] = {}
        for key, (key_node, value) in node.entries.items():
            shape = known.get(OLD_SPELLINGS.get(key, key))
            key_path = (*path, key)
            if shape is not None:
                self._note(shape, key, key_path, key_node)
                data[OLD_SPELLINGS.get(key, key)] = self._value(key, value, shape, scope, key_path)
            elif not key.startswith("x-") and (path or not _is_for_elsewhere(key, value, known)):
                self._unknown(key, known, key_path, key_node)
        return data

    def _value(self, key: str, node: Node, shape: Shape, scope: Scope, path: NodePath) -> Any:  # noqa: ANN401 - plain data
        if key == "macros":
            return None
        if shape.section is None:
            late = late_in(key) if scope.model_id is not None else scope.late
            scope = replace(scope, late=late)
            if key in {"cmd", "cmdStop", "rankCmd"} and isinstance(node, ScalarNode):
                node = replace(node, text=without_comments(node.text))
                scope = replace(scope, in_command=True)
            return self.expander.value(node, scope, path)
        if not shape.many or not isinstance(node, MappingNode):
            return self.section(node, shape.section, scope, path)
        return {
            name: self.section(child, shape.section, scope, (*path, name)) for name, (_, child) in node.entries.items()
        }

    def _note(self, shape: Shape, key: str, path: NodePath, node: Node) -> None:
        if key in self.noted or not (shape.later or shape.deprecated):
            return
        self.noted.add(key)
        if shape.deprecated:
            self.report.add("note", "has no effect any more", path, node.place, "remove it")
        else:
            self.report.add("note", "is not supported yet: it is checked, but nothing acts on it", path, node.place)

    def _unknown(self, key: str, known: Mapping[str, Shape], path: NodePath, node: Node) -> None:
        way_out = nearest(key, known) or "remove it, or write it as x-... to keep it"
        self.report.add("error" if self.strict else "warning", f"unknown key {key!r}", path, node.place, way_out)

    def typed(self, section: type[Kind], data: dict[str, Any], node: Node, path: NodePath) -> tuple[Kind, bool]:
        """Return `data` as a `section`, and whether all of it is right; wrong values are reported and left out."""
        whole = True
        while True:
            try:
                return section.model_validate(data), whole
            except ValidationError as error:
                if _spelled_as_text(error, data, node):
                    continue
                tell(error, node, path, self.report)
                whole = False
                data = _without_wrong(error, data)


def _is_for_elsewhere(key: str, value: Node, known: Mapping[str, Shape]) -> bool:
    """Whether an unknown key at the top only holds what others use by its anchors; a lone value may be a slip."""
    return holds_only_anchors(value) and not (isinstance(value, ScalarNode) and nearest(key, known))


def _without_wrong(error: ValidationError, data: dict[str, Any]) -> dict[str, Any]:
    """Leave out each value that is wrong, or the list in which it stands."""
    for problem in error.errors(include_url=False):
        holder: Any = data
        key: Any = None
        wrong: list[tuple[dict[str, Any], str]] = []
        for key in problem["loc"]:
            if isinstance(holder, dict) and key in holder:
                wrong.append((holder, key))
                holder = holder[key]
            elif isinstance(holder, list) and isinstance(key, int) and key < len(holder):
                holder = holder[key]
        if not wrong:
            return {}
        last, name = wrong[-1]
        last.pop(name, None)
    return data


def _spelled_as_text(error: ValidationError, data: Any, node: Node) -> bool:  # noqa: ANN401 - plain data
    """Put numbers and booleans that stand where a text belongs (`name: 4.10`) back to how the file spells them."""
    changed = False
    for problem in error.errors(include_url=False):
        if problem["type"] != "string_type" or isinstance(problem["input"], (dict, list)) or problem["input"] is None:
            continue
        *above, last = problem["loc"]
        holder: Any = data
        for part in above:
            holder = holder[part]
        value_node = node_at(node, problem["loc"])
        if isinstance(value_node, ScalarNode):
            holder[last] = value_node.text if "${" not in value_node.text else str(problem["input"])
            changed = True
    return changed


def read_config(root: MappingNode, expander: Expander, scope: Scope, *, strict: bool) -> tuple[Config, set[str]]:
    """Return the configuration that `root` describes, before checks across the file, and the ids of broken models.

    Values with errors, which are in the report, have their defaults.
    """
    reader = Reader(expander, strict, set())
    models_node = root.entries.get("models")
    without_models = MappingNode(
        root.file, root.mark, {key: entry for key, entry in root.entries.items() if key != "models"}
    )
    data = reader.section(without_models, Config, scope, ())
    _mend_head(data, root, reader.report)
    head, _whole = reader.typed(Config, data, root, ())
    read = _read_models(models_node[1], head, reader, scope) if models_node is not None else {}
    models = {model_id: model for model_id, (model, _) in read.items()}
    broken = {model_id for model_id, (_, whole) in read.items() if not whole}
    return Config.model_construct(**{**head.__dict__, "models": models}), broken


def _mend_head(data: dict[str, Any], root: MappingNode, report: Report) -> None:
    """Accept what other programs accept in silence, but say so."""
    level = data.get("logLevel")
    if level is not None and level not in LOG_LEVELS:
        lowered = str(level).lower()
        data["logLevel"] = {"warning": "warn"}.get(lowered, lowered if lowered in LOG_LEVELS else "info")
        if data["logLevel"] != lowered:
            message = f"found {str(level)[:40]!r}, taken as {data['logLevel']}"
            report.warn(message, ("logLevel",), node_at(root, ("logLevel",)), f"use one of {', '.join(LOG_LEVELS)}")
    if _is_one_of(data.get("unloadTimeout"), (0, "0")):
        del data["unloadTimeout"]
    upstream: Any = data.get("upstream")
    if isinstance(upstream, dict) and upstream.get("ignorePaths") == []:
        del upstream["ignorePaths"]
    for name, profile in list(data["profiles"].items()) if isinstance(data.get("profiles"), dict) else []:
        if isinstance(profile, list):
            del data["profiles"][name]
            node = node_at(root, ("profiles", name))
            report.warn("lists of models are no longer profiles", ("profiles", name), node, "use a group instead")


def _read_models(node: Node, head: Config, reader: Reader, scope: Scope) -> dict[str, tuple[ModelConfig, bool]]:
    if not isinstance(node, MappingNode):
        if not (isinstance(node, ScalarNode) and node.text in {"", "~", "null"}):
            reader.report.error("found no mapping", ("models",), node, "expected lines such as `my-model:`")
        return {}
    return {
        model_id: _read_model(model_id, model_node, head, reader, scope)
        for model_id, (_key, model_node) in node.entries.items()
    }


def plain_model(model_id: str, node: Node, reader: Reader, outer: Scope) -> dict[str, Any] | None:
    """Return what is written of a model as plain data, macros in place; None, with a finding, for no mapping."""
    path: NodePath = ("models", model_id)
    macros = node.entries.get("macros") if isinstance(node, MappingNode) else None
    scope = reader.expander.scope(outer, macros[1] if macros else None, (*path, "macros"), model_id)
    data = reader.section(node, ModelConfig, scope, path)
    if not isinstance(data, dict):
        reader.report.error("found no mapping", path, node, "expected lines such as `cmd: llama-server ...`")
        return None
    _expand_ids(data, node, reader.expander, scope, path)
    return data


def _read_model(model_id: str, node: Node, head: Config, reader: Reader, outer: Scope) -> tuple[ModelConfig, bool]:
    path: NodePath = ("models", model_id)
    data = plain_model(model_id, node, reader, outer)
    if data is None:
        return ModelConfig(id=model_id), False
    data["id"] = model_id
    _inherit(data, head)
    model, whole = reader.typed(ModelConfig, data, node, path)
    model = _in_container(model)
    return (_for_comfyui(model) if model_id == COMFYUI else model), whole


def _in_container(model: ModelConfig) -> ModelConfig:
    """Give a model with a container its commands; what the file says besides stays, and is a contradiction."""
    if model.container is None:
        return model
    made = with_container(model)
    return made.model_copy(update={"cmd": model.cmd or made.cmd, "cmd_stop": model.cmd_stop or made.cmd_stop})


def _for_comfyui(model: ModelConfig) -> ModelConfig:
    """Apply what llama-swap does for this id: its page holds many requests and a WebSocket open at all times."""
    limit = max(model.concurrency_limit, COMFYUI_CONCURRENCY) if model.concurrency_limit else 0
    return model.model_copy(update={"concurrency_limit": limit, "compat": Compat(ignore_websockets=True)})


def _inherit(data: dict[str, Any], head: Config) -> None:
    if _is_one_of(data.get("ttl"), (None, -1, "-1")):
        data["ttl"] = head.global_ttl
    if _is_one_of(data.get("unloadTimeout"), (None, 0, "0")):
        data["unloadTimeout"] = head.unload_timeout
    if data.get("healthCheckTimeout") is None:
        data["healthCheckTimeout"] = max(head.health_check_timeout, LEAST_HEALTH_CHECK_SECONDS)
    if data.get("sendLoadingState") is None:
        data["sendLoadingState"] = head.send_loading_state
    kept = data.get("conversations")
    if kept is None or isinstance(kept, dict):
        of_model = {key: value for key, value in (kept or {}).items() if value is not None}
        data["conversations"] = head.conversations.model_dump(by_alias=True) | of_model
    placed = data.get("placement")
    if placed is None or isinstance(placed, dict):
        of_model = {key: value for key, value in (placed or {}).items() if value is not None}
        data["placement"] = {"nodes": head.placement.nodes, "fetch": head.placement.fetch} | of_model
    path = data.get("checkEndpoint")
    if isinstance(path, str):
        data["checkEndpoint"] = _check_path(path.strip())


def _check_path(text: str) -> str:
    """Return the path at which readiness is seen; of a URL that is its path, because `proxy` says which server."""
    if text == "none" or text.startswith("/"):
        return text
    of_url = re.match(r"https?://[^/?#]*", text)
    rest = text[of_url.end() :] if of_url else text
    return rest if rest.startswith("/") else f"/{rest}"


def _is_one_of(value: object, values: tuple[object, ...]) -> bool:
    """Compare by type too: `false` is not 0 here, and lists cannot be hashed."""
    return any(type(value) is type(other) and value == other for other in values)


def _expand_ids(data: dict[str, Any], node: Node, expander: Expander, scope: Scope, path: NodePath) -> None:
    """Expand macros in the keys of setParamsByID, the only keys in which they may stand."""
    filters: Any = data.get("filters")
    by_id = filters.get("setParamsByID") if isinstance(filters, dict) else None
    if not isinstance(by_id, dict):
        return
    expanded: dict[str, Any] = {}
    for key, value in by_id.items():
        key_path = (*path, "filters", "setParamsByID", key)
        place = node_at(node, key_path[2:])
        name = expander.text(key, place, scope, key_path)
        if name in expanded:
            expander.report.error(f"two keys expand to {name!r}", key_path, place, "keep one of them")
        expanded[name] = value
    filters["setParamsByID"] = expanded
