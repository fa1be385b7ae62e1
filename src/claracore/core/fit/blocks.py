"""Which lines of a YAML text belong to which key, so that some can be replaced and all others stay as they are?

A person's file is not written anew: every line that is not replaced keeps its spelling, its comments and its place.
Places come from `config.tree`. The block of a key ends before the next key that is not inside it, less the comments and
empty lines that belong to that next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from claracore.core.config.scalars import value_of
from claracore.core.config.tree import Branch, Leaf, Node, parse
from claracore.core.fit.record import MARK, MISSING


@dataclass(frozen=True, slots=True)
class Block:
    """Lines `start` to `end` (0-based, end excluded) are a key with its value; comments stand from `above`."""

    key: str
    node: Node
    above: int
    start: int
    end: int
    indent: int
    inline: bool
    """Shares a line with another key (flow style), so it cannot be replaced by lines."""
    commented: bool
    """Has comment lines of its own inside, which would be lost if it were replaced."""


@dataclass(slots=True)
class Blocks:
    """A text, its tree, and the replacements collected so far."""

    lines: list[str]
    root: Branch
    _edits: list[tuple[int, int, list[str]]] = field(default_factory=list)
    _keys: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, text: str, file: str) -> Blocks:
        """Parse a text. Raises config.tree.Unreadable for what is not YAML."""
        root, _ = parse(text, file)
        blocks = cls(text.replace("\r\n", "\n").split("\n"), root)
        blocks._keys = sorted(_key_places(root))
        return blocks

    def children(self, branch: Branch) -> list[Block]:
        """Return the blocks of the keys of a mapping, in the order of the text."""
        found = [self._block(key, node) for key, node in branch.entries.values()]
        return sorted(found, key=lambda block: block.start)

    def child(self, branch: Branch, key: str) -> Block | None:
        """Return the block of one key, None if the mapping has none such."""
        return self._block(*branch.entries[key]) if key in branch.entries else None

    def replace(self, start: int, end: int, lines: Sequence[str]) -> None:
        """Plan to put `lines` where `start` to `end` are."""
        self._edits.append((start, end, list(lines)))

    def text(self) -> str:
        """Return the text with all replacements made."""
        lines = list(self.lines)
        # From the bottom up, so that line numbers stay true. At the same place replacements come before insertions, and
        # insertions in reverse, so that what was planned first stands first.
        order = sorted(enumerate(self._edits), key=lambda item: (-item[1][0], -item[1][1], -item[0]))
        for _, (start, end, new) in order:
            lines[start:end] = new
        return "\n".join(lines)

    def _block(self, key: Leaf, node: Node) -> Block:
        line, column = key.place.line - 1, key.place.column - 1
        following = [place for place in self._keys if place > (line, column) and place[1] <= column]
        end = following[0][0] if following else len(self.lines)
        while end > line + 1 and self._belongs_below(self.lines[end - 1], column):
            end -= 1
        above = line
        while above > 0 and is_comment(self.lines[above - 1]):
            above -= 1
        same_line = sum(1 for place in self._keys if place[0] == line)
        inline = same_line > 1 or self.lines[line][:column].strip() != "" or end <= line
        end = max(end, line + 1)
        commented = not isinstance(node, Leaf) and any(map(is_comment, self.lines[line + 1 : end]))
        return Block(key.text, node, above, line, end, column, inline, commented)

    @staticmethod
    def _belongs_below(line: str, column: int) -> bool:
        text = line.lstrip()
        return not text or (text.startswith("#") and len(line) - len(text) <= column)


def is_comment(line: str) -> bool:
    """Tell whether a line is a comment that a person may have written: not one of our marks."""
    text = line.lstrip()
    return text.startswith("#") and not text.startswith((MARK, MISSING))


def indent_of(line: str) -> int:
    """Return how many blanks a line begins with."""
    return len(line) - len(line.lstrip())


def plain(node: Node) -> object:
    """Return the value that a node is for a reader of YAML."""
    match node:
        case Leaf():
            return value_of(node, node.text)
        case Branch():
            return {key: plain(value) for key, (_, value) in node.entries.items()}
        case _:
            return [plain(item) for item in node.items]


def _key_places(node: Node) -> Iterator[tuple[int, int]]:
    pending: list[Node] = [node]
    seen: set[int] = set()
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue  # an alias: its keys are where the anchor is
        seen.add(id(current))
        if isinstance(current, Branch):
            for key, value in current.entries.values():
                yield key.place.line - 1, key.place.column - 1
                pending.append(value)
        elif not isinstance(current, Leaf):
            pending.extend(current.items)
