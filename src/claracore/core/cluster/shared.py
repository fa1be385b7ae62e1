"""Which models does a head share, as what, and which of them is one node to have?

Pure. What is shared is what the file says of a model, with the head's macros in place. Environment variables stay as
they are written: they are the node's to know, and may be secrets of the head.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from claracore.core.cluster.part import Fetch, SharedModel
from claracore.core.config.macros import Expander, Scope, Value
from claracore.core.config.model import Config
from claracore.core.config.report import Report
from claracore.core.config.routing import ALL, NodeNames
from claracore.core.config.tree import MappingNode
from claracore.core.config.typed import Reader, plain_model

OF_THE_HEAD: Final = frozenset({"macros", "placement"})
"""Keys of a model that mean nothing on a node."""


@dataclass(frozen=True, slots=True)
class SharedOut:
    """A model that others are to have, and who."""

    model: SharedModel
    nodes: NodeNames


class _AsWritten(Mapping[str, str]):
    """Environment variables that stay as they are written."""

    def __getitem__(self, name: str) -> str:
        return f"${{env.{name}}}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def shared_out(written: MappingNode, config: Config) -> tuple[SharedOut, ...]:
    """Return the models of a configuration that others are to have; `written` is its tree (`LoadedConfig.written`)."""
    if not any(model.placement.nodes for model in config.models.values()):
        return ()
    models, macros = written.entries.get("models"), written.entries.get("macros")
    nodes = [node for _, node in models[1].entries.values()] if models and isinstance(models[1], MappingNode) else []
    reader = Reader(Expander(_AsWritten(), Report()), strict=False, noted=set())
    scope = reader.expander.scope(Scope(), macros[1] if macros is not None else None, ("macros",))
    found = []
    # By their order: the name of a model may have a variable in it. Two that become one name share nothing.
    for model, node in zip(config.models.values(), nodes, strict=True) if len(nodes) == len(config.models) else ():
        is_shared = model.placement.nodes and model.nodes == 1  # what several machines run together, each cannot run
        data = plain_model(model.id, node, reader, scope) if is_shared else None
        if data is not None:
            entry = {key: _finite(value) for key, value in data.items() if key not in OF_THE_HEAD}
            shared = SharedModel(model.id, entry, fetch=Fetch(model.placement.fetch))
            found.append(SharedOut(shared, model.placement.nodes))
    return tuple(found)


def models_for(node: str, shared: Iterable[SharedOut]) -> tuple[SharedModel, ...]:
    """Return what one node is to have."""
    return tuple(each.model for each in shared if each.nodes == ALL or node in each.nodes)


def _finite(value: Any) -> Value:  # noqa: ANN401 - plain data
    """Return plain data as JSON can carry it: an endless number is the word for it."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
