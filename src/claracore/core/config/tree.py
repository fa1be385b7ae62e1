"""What does a YAML text say, and at which line and column?

Text -> a tree of nodes that know their place. Scalars stay text here: what `300` means is decided when it is used.
Built from libyaml's events, which is ten times faster than a round-trip loader, with bounds on depth and on what
aliases may multiply, so that no text can exhaust memory or the stack.

A `${name}` may stand in a flow list (`[${env.KEY}]`), where YAML does not allow braces; they are swapped for private
characters of the same width before parsing and back afterwards, so columns stay true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

from claracore.types import Finding, Place

DEEPEST = 48
LARGEST = 500_000
MACRO_BRACES = re.compile(r"\$\{([A-Za-z0-9_.-]+)\}")
OPEN, CLOSE = "\ue000", "\ue001"
SECOND_DOCUMENT = "a second document begins here; only the first is read"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _PlacedNode:
    """A part of the text. Its place is made when asked for: most never are, and there are many.

    `end` is the offset behind its last character; a block text's may be behind empty lines that follow it. `anchored`
    nodes have an anchor (`&name`).
    """

    __slots__ = ()
    file: str
    mark: Any
    end: int
    anchored: bool

    @property
    def start(self) -> int:
        """The offset of its first character: of an anchor or a tag, where it has one."""
        return int(self.mark.index) if self.mark is not None else 0

    @property
    def place(self) -> Place:
        """File, line and column (both from 1) of its first character."""
        return _place(self.file, self.mark)


@dataclass(slots=True, eq=False)
class ScalarNode(_PlacedNode):
    """A scalar. `plain` is False for quoted and block text, which is never a number; `tag` is YAML's, if written.

    `escaped` is text in double quotes, where a backslash begins an escape.
    """

    file: str
    mark: Any
    text: str
    plain: bool
    tag: str | None
    size: int
    depth: int = 0
    end: int = 0
    anchored: bool = False
    escaped: bool = False


@dataclass(slots=True, eq=False)
class SequenceNode(_PlacedNode):
    """A sequence; `flow` is one in brackets."""

    file: str
    mark: Any
    items: list[Node] = field(default_factory=list)
    size: int = 1
    depth: int = 0
    flow: bool = False
    end: int = 0
    anchored: bool = False


@dataclass(slots=True, eq=False)
class MappingNode(_PlacedNode):
    """A mapping: key -> (key's node, value's node); merge keys are resolved; `flow` is one in braces."""

    file: str
    mark: Any = None
    entries: dict[str, tuple[ScalarNode, Node]] = field(default_factory=dict)
    size: int = 1
    depth: int = 0
    key: ScalarNode | None = None
    merged: list[Node] = field(default_factory=list)
    flow: bool = False
    end: int = 0
    anchored: bool = False


Node = ScalarNode | SequenceNode | MappingNode


def holds_only_anchors(node: Node) -> bool:
    """Whether a value is there to be used elsewhere: it is anchored, or all that it holds is, at any depth."""
    if isinstance(node, ScalarNode) or node.anchored:
        return node.anchored
    held = node.items if isinstance(node, SequenceNode) else [child for _key, child in node.entries.values()]
    return bool(held) and all(map(holds_only_anchors, held))


def _place(file: str, mark: Any) -> Place:  # noqa: ANN401 - PyYAML's marks have no type
    return Place(file, mark.line + 1, mark.column + 1) if mark is not None else Place(file, 1, 1)


class Unreadable(ValueError):
    """The text is no YAML, or more than may be read; `finding` says where."""

    def __init__(self, message: str, place: Place, way_out: str = "") -> None:
        super().__init__(message)
        self.finding = Finding("error", message, "", place, way_out)


@dataclass(frozen=True, slots=True)
class ParsedText:
    """A text with the tree that it is: what is read for several purposes is parsed once. Nobody changes the tree."""

    text: str
    root: MappingNode
    findings: Sequence[Finding]

    @classmethod
    def of(cls, text: str, file: str = "") -> ParsedText:
        """Parse a text. Raises as `parse`."""
        return cls(text, *parse(text, file))


def parse(text: str, file: str) -> tuple[MappingNode, list[Finding]]:
    """Return the mapping that `text` is (empty for an empty text), and findings such as duplicate keys.

    Raises Unreadable for what is not YAML, not a mapping at the top, nested too deeply or multiplied by aliases.
    """
    masked = mask(text)
    builder = _Builder(file, masked is not text)
    try:
        for event in _events(masked):
            builder.take(event)
            if builder.documents > 1:
                break
    except yaml.MarkedYAMLError as error:
        raise Unreadable(*_what_and_where(error, file)) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise Unreadable(*_bad_character(text, file)) from error
    root = builder.root
    if root is None or (isinstance(root, ScalarNode) and root.plain and root.text in {"", "~", "null"}):
        return MappingNode(file), builder.findings
    if not isinstance(root, MappingNode):
        raise Unreadable(
            "found something else than a mapping at the top", root.place, "expected lines such as `models:`"
        )
    return root, builder.findings


def mask(text: str) -> str:
    """Swap the braces of `${name}` for private characters, unless the text has such characters of its own."""
    return text if OPEN in text or CLOSE in text else MACRO_BRACES.sub(rf"${OPEN}\1{CLOSE}", text)


def unmask(text: str, original: str) -> str:
    """Undo `mask` in a text made from `mask(original)`."""
    return text if OPEN in original or CLOSE in original else text.replace(OPEN, "{").replace(CLOSE, "}")


def _events(text: str) -> Iterator[Any]:
    return cast("Iterator[Any]", yaml.parse(text, Loader=_LOADER))


def _what_and_where(error: yaml.MarkedYAMLError, file: str) -> tuple[str, Place]:
    mark = error.problem_mark or error.context_mark
    if error.context_mark and "end of stream" in str(error.problem):
        mark = error.context_mark
    place = _place(file, mark)
    context = f"{error.context}, " if error.context else ""
    return f"this is not YAML: {context}{error.problem}".replace(OPEN, "{").replace(CLOSE, "}"), place


def _bad_character(text: str, file: str) -> tuple[str, Place]:
    for number, line in enumerate(text.split("\n"), 1):
        for column, letter in enumerate(line, 1):
            if not (letter.isprintable() or letter in "\t\r\x85\ufeff") or "\ud800" <= letter <= "\udfff":
                return f"this is not YAML: character U+{ord(letter):04X} is not allowed", Place(file, number, column)
    return "this is not YAML: a character is not allowed", Place(file, 1, 1)


class _Builder:
    """Puts nodes together from events, iteratively."""

    def __init__(self, file: str, masked: bool) -> None:  # noqa: FBT001 - private, called once
        self.file = file
        self.masked = masked
        self.root: Node | None = None
        self.documents = 0
        self.findings: list[Finding] = []
        self._open: list[tuple[MappingNode | SequenceNode, str | None]] = []
        self._anchors: dict[str, Node | None] = {}
        self._aliased = False
        self._reached = 0
        """Where the last scalar, alias or bracket ended, and with it what is open around it in block style."""

    def take(self, event: Any) -> None:  # noqa: ANN401 - PyYAML's events share no useful type
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent:
            self._start(MappingNode(self.file, event.start_mark, flow=event.flow_style), event.anchor)
        elif kind is yaml.SequenceStartEvent:
            self._start(SequenceNode(self.file, event.start_mark, flow=event.flow_style), event.anchor)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._end(event)
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._document(event)

    def _document(self, event: Any) -> None:  # noqa: ANN401 - see take
        self.documents += 1
        if self.documents > 1:
            place = _place(self.file, event.start_mark)
            self.findings.append(Finding("warning", SECOND_DOCUMENT, "", place, "remove the line `---`"))

    def _scalar(self, event: Any) -> None:  # noqa: ANN401 - see take
        text: str = event.value
        if self.masked and OPEN in text:
            text = text.replace(OPEN, "{").replace(CLOSE, "}")
        self._reached = end = event.end_mark.index
        size = 1 + (len(text) >> 6)
        node = ScalarNode(self.file, event.start_mark, text, event.implicit[0], event.tag, size, end=end)
        node.escaped = event.style == '"'
        if event.anchor:
            node.anchored = True
            self._anchors[event.anchor] = node
        self._add(node)

    def _start(self, node: MappingNode | SequenceNode, anchor: str | None) -> None:
        if len(self._open) >= DEEPEST:
            raise Unreadable(f"nested more than {DEEPEST} levels deep", node.place)
        parent = self._open[-1][0] if self._open else None
        if isinstance(parent, MappingNode) and parent.key is None:
            raise Unreadable("found a mapping or list as a key", node.place, "a key is a plain text")
        if anchor:
            self._anchors[anchor] = None
        self._open.append((node, anchor))

    def _end(self, event: Any) -> None:  # noqa: ANN401 - see take
        node, anchor = self._open.pop()
        if node.flow:
            self._reached = event.end_mark.index
        node.end = self._reached
        if isinstance(node, MappingNode) and node.merged:
            self._merge(node)
        if anchor:
            node.anchored = True
            self._anchors[anchor] = node
        self._add(node)

    def _alias(self, event: Any) -> None:  # noqa: ANN401 - see take
        name = event.anchor
        if name not in self._anchors:
            raise Unreadable(f"the anchor &{name} is not defined above its use", _place(self.file, event.start_mark))
        node = self._anchors[name]
        if node is None:
            raise Unreadable(
                f"the alias *{name} stands inside the value that it names", _place(self.file, event.start_mark)
            )
        self._aliased = True
        self._reached = event.end_mark.index
        self._add(node)

    def _add(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1][0]
        if isinstance(parent, SequenceNode):
            parent.items.append(node)
        elif parent.key is None:
            if not isinstance(node, ScalarNode):
                raise Unreadable("found a mapping or list as a key", node.place, "a key is a plain text")
            parent.key = node
        else:
            self._entry(parent, parent.key, node)
            parent.key = None
        self._measure(parent, node)

    def _entry(self, parent: MappingNode, key: ScalarNode, node: Node) -> None:
        if key.plain and key.text == "<<":
            parent.merged.append(node)
        elif key.text in parent.entries:
            first = parent.entries[key.text][0].place
            message = f"the key {key.text!r} is here twice, first in line {first.line}"
            self.findings.append(Finding("error", message, self._path(key.text), key.place, "keep one of them"))
        else:
            parent.entries[key.text] = (key, node)

    def _path(self, key: str) -> str:
        """Return the dotted path of `key` in the mapping that is being read."""
        above = [
            node.key.text for node, _anchor in self._open if isinstance(node, MappingNode) and node.key is not None
        ]
        return ".".join([*above[:-1], key])

    def _measure(self, parent: MappingNode | SequenceNode, node: Node) -> None:
        parent.size += node.size
        if parent.depth <= node.depth:
            parent.depth = node.depth + 1
        if self._aliased and (parent.size > LARGEST or parent.depth > DEEPEST):
            raise Unreadable(
                "aliases multiply this to more than can be read", parent.place, "use fewer aliases of aliases"
            )

    def _merge(self, node: MappingNode) -> None:
        for value in node.merged:
            for source in value.items if isinstance(value, SequenceNode) else [value]:
                if not isinstance(source, MappingNode):
                    raise Unreadable("found a value that is no mapping after `<<:`", source.place, "use `<<: *anchor`")
                for key, entry in source.entries.items():
                    node.entries.setdefault(key, entry)
        node.merged.clear()
