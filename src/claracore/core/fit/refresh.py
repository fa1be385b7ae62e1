"""Which values of one mapping may be written anew, and which are a person's?

A generated mapping has a record line (record.py). A key whose value is still the recorded one is refreshed, the comment
above it too if that is still the recorded one; a key that was never generated is added; all else stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from claracore.core.config.tree import Branch
from claracore.core.fit.blocks import Block, Blocks, indent_of, is_comment, plain
from claracore.core.fit.document import write_part
from claracore.core.fit.record import MARK, Mark, Part, comment_digest, digest, read_record, record_line


@dataclass(frozen=True, slots=True)
class Found:
    """What a record line says, and where it is; `line` is None when there is none."""

    marks: dict[str, Mark]
    line: int | None


@dataclass(slots=True)
class Changes:
    """Keys, with the path to them: what was written anew, and what a person wrote differently."""

    refreshed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def find_record(blocks: Blocks, start: int, end: int, indent: int | None = None) -> Found:
    """Find the record line among some lines."""
    for number in range(start, end):
        line = blocks.lines[number]
        if line.lstrip().startswith(MARK) and indent in (None, indent_of(line)):
            return Found(read_record(line), number)
    return Found({}, None)


def refresh(
    blocks: Blocks, branch: Branch, parts: Sequence[Part], found: Found, prefix: str, *, whole: bool = False
) -> Changes:
    """Plan the edits that refresh one mapping (which has at least one key); `prefix` is the path to it.

    With `whole` the parts are all that is generated there: what was generated once and is no longer is taken out.
    """
    changes = Changes()
    marks = dict(found.marks)
    children = blocks.children(branch)
    for part in parts:
        block, mark = blocks.child(branch, part.key), found.marks.get(part.key)
        if block is None and mark is None:
            last = max(child.end for child in children)
            blocks.replace(last, last, write_part(part, children[0].indent))
            marks[part.key] = part.mark
            changes.refreshed.append(prefix + part.key)
        elif block is not None and mark is not None and is_untouched(block, mark):
            marks[part.key] = _rewrite(blocks, block, part, mark)
            if mark.value != part.mark.value:
                changes.refreshed.append(prefix + part.key)
        elif block is not None and digest(plain(block.node)) != part.mark.value:
            changes.kept.append(prefix + part.key)
    for key in sorted(marks.keys() - {part.key for part in parts}) if whole else ():
        block = blocks.child(branch, key)
        if block is not None and is_untouched(block, marks[key]):
            ours = comment_digest(blocks.lines[block.above : block.start]) == marks[key].comments
            blocks.replace(block.above if ours else block.start, block.end, [])
            changes.refreshed.append(prefix + key)
            del marks[key]
    if found.line is not None and marks != found.marks:
        blocks.replace(found.line, found.line + 1, [record_line(marks, indent_of(blocks.lines[found.line]))])
    return changes


def is_untouched(block: Block, mark: Mark | None) -> bool:
    """Tell whether a value still is as it was generated, and stands on lines of its own."""
    replaceable = not block.inline and not block.commented
    return mark is not None and replaceable and digest(plain(block.node)) == mark.value


def _rewrite(blocks: Blocks, block: Block, part: Part, mark: Mark) -> Mark:
    lines = write_part(part, block.indent)
    first = next(number for number, text in enumerate(lines) if not is_comment(text))
    ours = comment_digest(blocks.lines[block.above : block.start]) == mark.comments
    if ours and part.mark.comments != mark.comments:
        blocks.replace(block.above, block.start, lines[:first])
    if part.mark.value != mark.value:
        blocks.replace(block.start, block.end, lines[first:])
    return Mark(part.mark.value, part.mark.comments if ours else mark.comments)
