"""Which values of one mapping may be written anew, and which are a person's?

A generated mapping has a record line (marks.py). A key whose value is still the recorded one is refreshed, the comment
above it too if that is still the recorded one; a key that was never generated is added; all else stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from claracore.core.config.lines import Block, KeyPath, LineEdit, indent_of, plain
from claracore.core.config.tree import ScalarNode
from claracore.core.fit.document import write_part
from claracore.core.fit.marks import (
    MARK,
    MISSING,
    DocumentPart,
    Mark,
    comment_digest,
    digest,
    read_record,
    record_line,
)


@dataclass(frozen=True, slots=True)
class RecordLine:
    """What a record line says, and where it is; `line` is None when there is none."""

    marks: dict[str, Mark]
    line: int | None


@dataclass(slots=True)
class Refreshed:
    """Keys, with the path to them: what was written anew, and what a person wrote differently."""

    refreshed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def find_record(edit: LineEdit, start: int, end: int, indent: int | None = None) -> RecordLine:
    """Find the record line among some lines."""
    for number in range(start, end):
        line = edit.lines[number]
        if line.lstrip().startswith(MARK) and indent in (None, indent_of(line)):
            return RecordLine(read_record(line), number)
    return RecordLine({}, None)


def refresh(
    edit: LineEdit,
    path: KeyPath,
    parts: Sequence[DocumentPart],
    record: RecordLine,
    prefix: str,
    *,
    whole: bool = False,
) -> Refreshed:
    """Plan the edits that refresh the mapping at `path` (which has at least one key); `prefix` names it for people.

    With `whole` the parts are all that is generated there: what was generated once and is no longer is taken out.
    """
    work = _Refresh(edit, path, record, prefix)
    for part in parts:
        work.part(part)
    for key in sorted(work.marks.keys() - {part.key for part in parts}) if whole else ():
        work.no_longer(key)
    if record.line is not None and work.marks != record.marks:
        indent = indent_of(edit.lines[record.line])
        edit.replace(record.line, record.line + 1, [record_line(work.marks, indent)])
    return work.result


class _Refresh:
    """One mapping that is being refreshed: `marks` are what its record will say."""

    def __init__(self, edit: LineEdit, path: KeyPath, record: RecordLine, prefix: str) -> None:
        self.edit, self.path, self.record, self.prefix = edit, path, record, prefix
        self.marks = dict(record.marks)
        self.result = Refreshed()

    def part(self, part: DocumentPart) -> None:
        """Add a key that was never generated, refresh one that nobody touched, keep any other."""
        block, mark = self.edit.block((*self.path, part.key)), self.record.marks.get(part.key)
        name, new = self.prefix + part.key, part.mark
        if block is None and mark is None:
            self._add(part)
        elif block is not None and mark is not None and is_untouched(self.edit, block, mark):
            if new != mark:
                self.marks[part.key] = self._rewrite(block, part, mark)
            if mark.value != new.value:
                self.result.refreshed.append(name)
        elif block is not None and digest(plain(block.node)) != new.value:
            self.result.kept.append(name)

    def no_longer(self, key: str) -> None:
        """Take out a key that is not generated any more, if nobody touched it."""
        block, mark = self.edit.block((*self.path, key)), self.marks[key]
        if block is not None and is_untouched(self.edit, block, mark):
            above = comments_above(self.edit, block)
            start = above if self._are_ours(above, block, mark) else None
            self.edit.delete(block, start=start, end=self.edit.end_of_value(block))
            self.result.refreshed.append(self.prefix + key)
            del self.marks[key]

    def _add(self, part: DocumentPart) -> None:
        mapping = self.edit.mapping(self.path)
        if mapping is not None and part.key in mapping.entries:
            if digest(plain(mapping.entries[part.key][1])) != part.mark.value:
                self.result.kept.append(self.prefix + part.key)
            return  # it comes by a merge key
        children = self.edit.blocks(self.path)
        self.edit.insert(children[-1].end, write_part(part, children[0].indent), {(*self.path, part.key): part.value})
        self.marks[part.key] = part.mark
        self.result.refreshed.append(self.prefix + part.key)

    def _rewrite(self, block: Block, part: DocumentPart, mark: Mark) -> Mark:
        lines = write_part(part, block.indent)
        first = next(number for number, text in enumerate(lines) if not is_comment(text))
        new = part.mark
        above = comments_above(self.edit, block)
        ours = self._are_ours(above, block, mark)
        if ours and new.comments != mark.comments:
            self.edit.replace(above, block.start, lines[:first])
        if new.value != mark.value:
            end = self.edit.end_of_value(block)
            self.edit.replace(block.start, end, lines[first:], {block.path: part.value})
        return Mark(new.value, new.comments if ours else mark.comments)

    def _are_ours(self, above: int, block: Block, mark: Mark) -> bool:
        return comment_digest(self.edit.lines[above : block.start]) == mark.comments


def is_untouched(edit: LineEdit, block: Block, mark: Mark | None) -> bool:
    """Tell whether a value still is as it was generated, on lines of its own and without a person's comments inside."""
    inside = edit.lines[block.start + 1 : block.end] if not isinstance(block.node, ScalarNode) else []
    replaceable = not block.inline and not any(map(is_comment, inside))
    return mark is not None and replaceable and digest(plain(block.node)) == mark.value


def comments_above(edit: LineEdit, block: Block) -> int:
    """Return the first of the comment lines right above a key; the key's own line when there are none."""
    above = block.start
    while above > 0 and is_comment(edit.lines[above - 1]):
        above -= 1
    return above


def is_comment(line: str) -> bool:
    """Tell whether a line is a comment that a person may have written: not one of our marks."""
    text = line.lstrip()
    return text.startswith("#") and not text.startswith((MARK, MISSING))
