"""What does the configuration of a node say together with its part of the head's?

Pure. The node's own file stands beside the part and wins: a name that it has keeps its meaning, so a model of the part
that is called so is left out, and an alias that is called so is taken from its model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from claracore.core.cluster.part import Part, missing_files, part_as_json, with_paths
from claracore.core.config.macros import ENV_USE, Value
from claracore.core.config.model import Config
from claracore.core.config.scalars import as_text
from claracore.core.config.tree import MappingNode, Node, ParsedText, ScalarNode, SequenceNode

PART_FILE: Final = "(the part of the head)"
"""What stands for a file name where something is said of the part."""


@dataclass(frozen=True, slots=True)
class TakenPart:
    """A part, and where this machine has its files: a path for each `SharedFile.name`."""

    part: Part = field(default_factory=Part)
    paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def without_path(self) -> tuple[str, ...]:
        """The names of files for which there is none."""
        return missing_files(self.part.models, self.paths)


def kept_names(own: Config, part: Part) -> tuple[str, ...]:
    """Return the names of models of the part that mean something of the node's own already."""
    return tuple(model.name for model in part.models if _is_taken(own, model.name))


def beside(own: Config, taken: TakenPart) -> ParsedText:
    """Return the models of a part as a text of the configuration, without what the node's own one has."""
    kept = set(kept_names(own, taken.part))
    models: dict[str, Value] = {
        model.name: _own_wins(with_paths(dict(model.entry), taken.paths), lambda name: _is_taken(own, name))
        for model in taken.part.models
        if model.name not in kept
    }
    root = _node({"models": models}) if models else MappingNode(PART_FILE)
    assert isinstance(root, MappingNode)  # noqa: S101 - of a mapping
    return ParsedText(json.dumps(part_as_json(taken.part)), root, ())


def model_revisions(own: Config, part: Part) -> dict[str, str]:
    """Return the revision of each model that the node has from the head, by its name."""
    kept = set(kept_names(own, part))
    return {model.name: model.revision for model in part.models if model.name not in kept}


def _is_taken(own: Config, name: str) -> bool:
    return own.resolve(name) is not None or name in own.selectors


def _own_wins(entry: Any, is_taken: Callable[[str], bool]) -> dict[str, Value]:  # noqa: ANN401 - plain data
    """Return an entry without the other names that the node gives to something of its own."""
    found: dict[str, Any] = dict(entry)
    aliases, filters = found.get("aliases"), found.get("filters")
    if isinstance(aliases, list):
        found["aliases"] = [alias for alias in aliases if not (isinstance(alias, str) and is_taken(alias))]
    by_id = filters.get("setParamsByID") if isinstance(filters, dict) else None
    if isinstance(filters, dict) and isinstance(by_id, dict):
        left = {name: params for name, params in by_id.items() if not is_taken(name)}
        found["filters"] = {**filters, "setParamsByID": left}
    return found


def _node(value: Value) -> Node:
    """Return plain data as the tree of a text: what is a text stays one, unless it is one whole variable."""
    if isinstance(value, Mapping):
        entries = {key: (_scalar(key, plain=False), _node(inner)) for key, inner in value.items()}
        return MappingNode(PART_FILE, None, entries)
    if isinstance(value, list):
        return SequenceNode(PART_FILE, None, [_node(item) for item in value])
    if isinstance(value, str):
        return _scalar(value, plain=ENV_USE.fullmatch(value) is not None)
    return _scalar(as_text(value), plain=True)


def _scalar(text: str, *, plain: bool) -> ScalarNode:
    return ScalarNode(PART_FILE, None, text, plain, None, 1)
