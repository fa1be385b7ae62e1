"""Which lines of a YAML text belong to which key, and how are some replaced so that all others stay as they are?

A person's file is not written anew: every line that is not replaced keeps its spelling, its comments and its place.
Changes are planned by lines or by offsets, each with what it makes the text say; the text that comes of them is read
again and must say exactly that. How values are written is not decided in this module.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from claracore.core.config.scalars import value_of
from claracore.core.config.tree import SECOND_DOCUMENT, MappingNode, Node, ParsedText, ScalarNode, SequenceNode, parse

KeyPath = tuple[str, ...]
"""The keys of mappings from the root to a value; nothing below a list has one."""


class NoSimpleWay(ValueError):
    """The lines of a key cannot be changed alone."""


@dataclass(frozen=True, slots=True)
class Block:
    """A key with its value: the lines `start` to `end` (0-based, end excluded).

    To it belong comments below its value that are indented further than the key; comments above it do not.
    """

    path: KeyPath
    key: ScalarNode
    node: Node
    start: int
    end: int
    indent: int
    value_end: int
    """The offset behind the value's last character."""
    beside: bool
    """Begins on a line of another key or an item's dash, so that its lines are not its own."""

    @property
    def aliased(self) -> bool:
        """Whether the value is written elsewhere, under an anchor."""
        return self.node.start < self.key.end

    @property
    def inline(self) -> bool:
        """Whether it has a line in common with another key: with one beside it, or one of its own in braces."""
        return self.beside or _has_braces(self.node)


class LineEdit:
    """A text, what it says, and the changes that are planned for it.

    `wanted` is what the text will have to say; positions are always those of the text as it was.
    """

    def __init__(self, source: str | ParsedText) -> None:
        """Read a text. Raises config.tree.Unreadable for what is not YAML."""
        self._parsed = parsed = ParsedText.of(source) if isinstance(source, str) else source
        self.text = text = parsed.text
        self.root = parsed.root
        self.one_document = all(finding.message != SECOND_DOCUMENT for finding in parsed.findings)
        self._raw = text.split("\n")
        self.lines = [line.removesuffix("\r") for line in self._raw]
        self._starts = list(accumulate((len(line) + 1 for line in self._raw), initial=0))
        self._line_end = "\r" if "\r\n" in text else ""
        self._raw[-1] += self._line_end  # something may follow it; what is left of this at the end goes again
        self.restart()

    def restart(self) -> None:
        """Forget what was planned."""
        self.wanted: dict[str, Any] = plain_mapping(self.root)
        self._planned: list[tuple[int, int, list[str]]] = []

    def block(self, path: KeyPath) -> Block | None:
        """Return the key at `path`; None when it is not there, or shared with other keys by an alias or `<<`."""
        mapping = self.mapping(path[:-1])
        entry = mapping.entries.get(path[-1]) if mapping is not None else None
        if mapping is None or entry is None or entry[0].start < mapping.start:
            return None
        return self._block(path, mapping, *entry)

    def blocks(self, path: KeyPath) -> list[Block]:
        """Return the keys that are written in the mapping at `path`, in the order of the text."""
        mapping = self.mapping(path)
        if mapping is None:
            return []
        own = [(key, node) for key, node in mapping.entries.values() if key.start >= mapping.start]
        found = [self._block((*path, key.text), mapping, key, node) for key, node in own]
        return sorted(found, key=lambda block: block.key.start)

    def mapping(self, path: KeyPath) -> MappingNode | None:
        """Return the mapping at `path`; None when there is none, or one that is shared."""
        node: Node = self.root
        for key in path:
            entry = node.entries.get(key) if isinstance(node, MappingNode) else None
            if entry is None or entry[0].start < node.start or entry[1].start < entry[0].end:
                return None
            node = entry[1]
        return node if isinstance(node, MappingNode) else None

    def replace(self, start: int, end: int, lines: Sequence[str], says: Mapping[KeyPath, object] | None = None) -> None:
        """Plan to put `lines` where the lines `start` to `end` are; `says` are the values that this changes."""
        self._planned.append((start, end, [line + self._line_end for line in lines]))
        for path, value in (says or {}).items():
            set_value(self.wanted, path, value)

    def insert(self, at: int, lines: Sequence[str], says: Mapping[KeyPath, object] | None = None) -> None:
        """Plan to put lines in front of the line `at`."""
        self.replace(at, at, lines, says)

    def delete(self, block: Block, *, start: int | None = None, end: int | None = None) -> None:
        """Plan to take a key out: its lines, or those from `start` to `end`. Raises NoSimpleWay."""
        if block.beside:
            raise NoSimpleWay(f"{block.key.text} is on one line with another key")
        self.replace(block.start if start is None else start, block.end if end is None else end, ())
        drop_value(self.wanted, block.path)

    def splice(self, start: int, end: int, text: str, says: Mapping[KeyPath, object]) -> None:
        """Plan to put `text` in place of the characters from offset `start` to `end`."""
        first, last = self.line_at(start), self.line_at(end)
        before, after = self.lines[first][: start - self._starts[first]], self.lines[last][end - self._starts[last] :]
        self.replace(first, last + 1, f"{before}{text}{after}".split("\n"), says)

    def end_of_value(self, block: Block) -> int:
        """Return the line behind a key's value, where comments below it begin."""
        return self.line_at(block.value_end) + 1

    def line_at(self, offset: int) -> int:
        """Return the line (0-based) of an offset."""
        return bisect_right(self._starts, offset) - 1

    def result(self) -> ParsedText:
        """Return the text with all changes made. Raises NoSimpleWay if it says something else than it should."""
        lines: list[str] = []
        done = 0
        # At the same place insertions come before replacements; what was planned first stands first.
        for start, end, new in sorted(self._planned, key=lambda change: (change[0], change[1])):
            if start < done:
                raise NoSimpleWay("two changes want the same lines")
            lines += self._raw[done:start]
            lines += new
            done = end
        lines += self._raw[done:]
        if any(start == len(self._raw) for start, _, _ in self._planned) and lines[-1] != self._line_end:
            lines.append(self._line_end)  # what is put behind a last line without an end ends with one
        text = "\n".join(lines)
        if not self.text.endswith("\r"):
            text = text.removesuffix("\r")
        return self.checked(text)

    def checked(self, text: str) -> ParsedText:
        """Return a text that says what is wanted. Raises NoSimpleWay for any other, Unreadable."""
        parsed = self._parsed if text == self.text else ParsedText.of(text, self.root.file)
        if plain_mapping(parsed.root) != self.wanted:
            raise NoSimpleWay("it cannot be changed line by line without changing something else")
        return parsed

    def _block(self, path: KeyPath, parent: MappingNode, key: ScalarNode, node: Node) -> Block:
        start = self.line_at(key.start)
        column = key.start - self._starts[start]
        aliased = node.start < key.end
        value_end = self._starts[start] + len(self.lines[start].rstrip()) if aliased else self.content_end(node.end)
        value_end = max(value_end, key.end)
        beside = parent.flow or bool(self.lines[start][:column].strip())
        end = self._with_comments(self.line_at(value_end) + 1, column)
        return Block(path, key, node, start, end, column, value_end, beside)

    def content_end(self, end: int) -> int:
        """Return the offset behind the last character that is no space, at or before `end`."""
        while end > 0 and self.text[end - 1].isspace():
            end -= 1
        return end

    def _with_comments(self, end: int, column: int) -> int:
        """Return the line behind the comments that follow and are indented further than `column`."""
        for number in range(end, len(self.lines)):
            line = self.lines[number].lstrip()
            if line and not (line.startswith("#") and indent_of(self.lines[number]) > column):
                break
            if line:
                end = number + 1
        return end


def indent_of(line: str) -> int:
    """Return how many blanks a line begins with."""
    return len(line) - len(line.lstrip())


def read_plain(text: str) -> dict[str, Any]:
    """Return what a text says, macros left as they are written. Raises Unreadable."""
    return plain_mapping(parse(text, "")[0])


def plain_mapping(node: MappingNode) -> dict[str, Any]:
    """Return a mapping as plain data: the values of its keys, those of a merged (`<<`) one too."""
    return {key: plain(value) for key, (_, value) in node.entries.items()}


def plain(node: Node) -> Any:  # noqa: ANN401 - plain data
    """Return what a node says as plain data; not-a-number, which equals nothing, as its text."""
    match node:
        case ScalarNode():
            value = value_of(node, node.text)
            return ".nan" if isinstance(value, float) and math.isnan(value) else value
        case SequenceNode(items=items):
            return [plain(item) for item in items]
        case MappingNode():
            return plain_mapping(node)


def value_at(data: Any, path: KeyPath) -> Any:  # noqa: ANN401 - plain data
    """Return what is at `path`; None where nothing is."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def set_value(data: dict[str, Any], path: KeyPath, value: object) -> None:
    """Put `value` at `path`, in mappings that are made where there is none."""
    for key in path[:-1]:
        if not isinstance(data.get(key), dict):
            data[key] = {}
        data = data[key]
    data[path[-1]] = value


def drop_value(data: dict[str, Any], path: KeyPath) -> None:
    """Take out the key at `path`, which must be there."""
    for key in path[:-1]:
        data = data[key]
    del data[path[-1]]


def _has_braces(node: Node) -> bool:
    """Tell whether a value has keys in braces."""
    match node:
        case MappingNode(flow=True, entries=entries):
            return bool(entries)
        case SequenceNode(flow=True, items=items):
            return any(map(_has_braces, items))
        case _:
            return False
