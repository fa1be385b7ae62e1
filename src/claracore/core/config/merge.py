"""What do several configuration files say together?

Mappings merge, lists join, equal scalars are fine and an empty value yields; different scalars and a model, group,
profile, selector or peer that is declared twice are errors that name both places.
"""

from __future__ import annotations

from collections.abc import Sequence

from claracore.core.config.report import NodePath, Report
from claracore.core.config.scalars import value_of
from claracore.core.config.tree import MappingNode, Node, ScalarNode, SequenceNode

ROUTER_SETTINGS = ("routing", "router", "settings")
DECLARED_ONCE: frozenset[NodePath] = frozenset(
    {
        *((name,) for name in ("models", "groups", "profiles", "selectors", "peers", "matrix")),
        (*ROUTER_SETTINGS, "groups"),
        (*ROUTER_SETTINGS, "matrix"),
    }
)


def merge(trees: Sequence[MappingNode], report: Report) -> MappingNode:
    """Return the tree of all files together; conflicts go to `report`, and the first file's value stays."""
    merged = trees[0]
    for tree in trees[1:]:
        merged = _branches(merged, tree, (), report)
    return merged


def _branches(first: MappingNode, second: MappingNode, path: NodePath, report: Report) -> MappingNode:
    entries = dict(first.entries)
    for key, (key_node, node) in second.entries.items():
        key_path = (*path, key)
        if key not in entries:
            entries[key] = (key_node, node)
        elif path in DECLARED_ONCE:
            way_out = f"it is also in {entries[key][0].place}"
            report.error(f"duplicate {path[-1]}: {key!r}", key_path, key_node, way_out)
        else:
            entries[key] = (entries[key][0], _nodes(entries[key][1], node, key_path, report))
    return MappingNode(first.file, first.mark, entries, first.size + second.size, max(first.depth, second.depth))


def _nodes(first: Node, second: Node, path: NodePath, report: Report) -> Node:
    if _empty(second):
        return first
    if _empty(first):
        return second
    match first, second:
        case MappingNode(), MappingNode():
            return _branches(first, second, path, report)
        case SequenceNode(), SequenceNode():
            items = [*first.items, *second.items]
            size, depth = first.size + second.size, max(first.depth, second.depth)
            return SequenceNode(first.file, first.mark, items, size, depth, first.flow and second.flow)
        case ScalarNode(), ScalarNode() if value_of(first, first.text) == value_of(second, second.text):
            return first
        case _:
            report.error(f"conflict at {path[-1]!r}", path, second, f"another value is in {first.place}")
            return first


def _empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.plain and value_of(node, node.text) is None
