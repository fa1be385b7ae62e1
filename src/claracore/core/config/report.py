"""What did the loader find, and where does the file say so?

A path is a tuple of keys and indices inside the loader, and dotted text (`models.qwen.aliases[0]`) outside. All
findings are collected; nothing here stops at the first.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from claracore.core.config.tree import MappingNode, Node, ScalarNode, SequenceNode
from claracore.types import Finding, Place, Severity

NodePath = tuple[str | int, ...]
"""The keys of mappings and the indices of lists, from the root to a node."""
Say = Callable[[NodePath, str, str], None]
"""Takes where something is wrong, what, and the way out."""


def dotted(path: NodePath) -> str:
    """Write a path as text: `models.qwen.aliases[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the known name that is most like `name`, or an empty text."""
    by_folded = {candidate.lower().replace("_", ""): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower().replace("_", "")[:100], by_folded, n=1, cutoff=0.6)
    return f"did you mean {by_folded[near[0]]!r}?" if near else ""


MOST_COMPARISONS = 50_000
"""Takes a quarter of a second."""


@dataclass(slots=True)
class Hints:
    """What wrong names may have meant, as long as that is found quickly.

    Each name is compared with each that would be right: for a list of thousands that was made for another file that
    would take minutes, and nobody reads the second hundred of the same advice.
    """

    _left: int = MOST_COMPARISONS

    def nearest(self, name: str, known: Collection[str]) -> str:
        """Return what `nearest` says, or an empty text when enough has been compared."""
        if self._left <= 0:
            return ""
        self._left -= len(known)
        return nearest(name, known)


@dataclass(slots=True)
class Report:
    """Collects findings, each with the place of its path in the file."""

    findings: list[Finding] = field(default_factory=list)
    hints: Hints = field(default_factory=Hints)
    _wrong: set[str] = field(default_factory=set)

    def add(self, severity: Severity, message: str, path: NodePath, place: Place | None, way_out: str = "") -> None:
        """Add a finding about `path`."""
        if severity == "error":
            self._wrong.add(dotted(path))
        self.findings.append(Finding(severity, message, dotted(path), place, way_out))

    def error(self, message: str, path: NodePath, node: Node | None, way_out: str = "") -> None:
        """Add a finding that makes the file unusable."""
        self.add("error", message, path, node.place if node else None, way_out)

    def warn(self, message: str, path: NodePath, node: Node | None, way_out: str = "") -> None:
        """Add a finding that does not keep the file from being used."""
        self.add("warning", message, path, node.place if node else None, way_out)

    def has_error(self, path: NodePath) -> bool:
        """Whether the value at `path` is already known to be wrong; what follows from that is not worth telling."""
        return bool(self._wrong) and dotted(path) in self._wrong

    @property
    def failed(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.severity == "error" for finding in self.findings)


def node_at(root: Node, path: NodePath) -> Node:
    """Return the node at `path`, or the nearest one above it that the file has."""
    node = root
    for part in path:
        match node, part:
            case MappingNode(entries=entries), str() if part in entries:
                node = entries[part][1]
            case SequenceNode(items=items), int() if part < len(items):
                node = items[part]
            case _:
                break
    return node


class Places(Mapping[str, Place]):
    """Dotted path -> where the file says it; worked out when asked, because most paths are never asked for."""

    def __init__(self, root: MappingNode) -> None:
        self._root = root

    def __getitem__(self, path: str) -> Place:
        node = _find(self._root, path)
        if node is None:
            raise KeyError(path)
        return node.place

    def __iter__(self) -> Iterator[str]:
        return (dotted(path) for path, _node in walk(self._root))

    def __len__(self) -> int:
        return sum(1 for _ in walk(self._root))


def _find(node: Node, path: str) -> Node | None:
    """Find by dotted text; keys may contain dots themselves, so every key that fits is tried, the longest first."""
    if not path:
        return node
    match node:
        case MappingNode(entries=entries):
            ends = [at for at, letter in enumerate(path) if letter in ".["] + [len(path)]
            for end in reversed(ends):
                entry = entries.get(path[:end])
                rest = path[end:].removeprefix(".")
                found = _find(entry[1], rest) if entry else None
                if found is not None:
                    return entry[0] if entry and not rest else found
        case SequenceNode(items=items):
            index, _, rest = path.removeprefix("[").partition("]")
            if index.isdecimal() and len(index) < 8 and int(index) < len(items):
                return _find(items[int(index)], rest.removeprefix("."))
        case ScalarNode():
            pass
    return None


def walk(node: Node, path: NodePath = ()) -> Iterator[tuple[NodePath, Node]]:
    """Give every value below `node` with its path, in the order of the file."""
    match node:
        case MappingNode(entries=entries):
            for key, (_key, value) in entries.items():
                yield (*path, key), value
                yield from walk(value, (*path, key))
        case SequenceNode(items=items):
            for index, item in enumerate(items):
                yield (*path, index), item
                yield from walk(item, (*path, index))
        case ScalarNode():
            pass
