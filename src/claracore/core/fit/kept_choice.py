"""How does a person's choice of a placement get into a configuration, and how does it stay there?

Only the flags of the placement change. Where the command still is as it was generated, it is marked as generated again,
and a mark `choice` beside it says that its placement was chosen: a later setup refreshes all else. A command that a
person has edited stays theirs. Choosing what setup itself chose takes the mark away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from claracore.core.config.edit import EditRefused, put
from claracore.core.config.lines import Block, KeyPath, LineEdit, indent_of, plain, value_at
from claracore.core.fit.flags import Flag
from claracore.core.fit.marks import DocumentPart, Mark, comment_digest, digest, record_line
from claracore.core.fit.placed_command import with_flags, with_placement_of
from claracore.core.fit.refresh import RecordLine, comments_above, find_record, is_untouched
from claracore.core.fit.yamltext import comment, flow, literal
from claracore.errors import ModelNotFound

CHOICE: Final = "choice"
"""The mark of a placement that was chosen..."""
CHOSEN: Final = Mark(digest(True), comment_digest(()))
"""... whose hash says no more than that it is there."""


@dataclass(frozen=True, slots=True)
class WantedPlacement:
    """What a choice writes."""

    flags: Sequence[Flag]
    """Those of the placement."""
    words: str
    """The comment above the command: what it takes."""
    context: int
    """Tokens that one request can have."""
    former_context: int
    """... as the command said it before: where capabilities say the same, they are to follow."""
    env: tuple[str, ...] = ()
    """Environment without which the flags mean other devices; written where there is none."""
    recommended: bool = False
    """It is what setup chooses by itself."""


def with_choice(text: str, model_id: str, wanted: WantedPlacement) -> str:
    """Return the configuration with this placement of a model.

    Raises ModelNotFound, Unreadable, EditRefused (its command is written in a way that no program should change).
    """
    edit = LineEdit(text)
    path: KeyPath = ("models", model_id)
    model = value_at(edit.wanted, path)
    if not isinstance(model, dict):
        raise ModelNotFound(model_id, edit.wanted.get("models") or {})
    block, record = _entry(edit, path)
    ours = [key for key in ("cmd", "capabilities") if _is_ours(edit, path, key, record)]
    text = _with_values(text, path, model, wanted, follow="capabilities" in ours)
    if block is None or record.line is None or "cmd" not in ours:
        return text
    return _marked(text, path, ours, wanted)


def _with_values(text: str, path: KeyPath, model: dict[str, Any], wanted: WantedPlacement, *, follow: bool) -> str:
    command = model.get("cmd")
    if not isinstance(command, str):
        raise EditRefused(f"{path[-1]} has no cmd of its own")
    try:
        text = put(text, (*path, "cmd"), with_flags(command, wanted.flags))
    except ValueError as error:
        raise EditRefused(f"the placement of {path[-1]} cannot be changed by program: {error}") from error
    declared = value_at(model, ("capabilities", "context"))
    if declared is not None and declared != wanted.context and (follow or declared == wanted.former_context):
        text = put(text, (*path, "capabilities", "context"), wanted.context)
    if wanted.env and "env" not in model:
        text = put(text, (*path, "env"), list(wanted.env))
    return text


def _marked(text: str, path: KeyPath, ours: Sequence[str], wanted: WantedPlacement) -> str:
    """Mark as generated what was so before, and the placement as chosen."""
    edit = LineEdit(text)
    block, record = _entry(edit, path)
    assert block is not None  # noqa: S101 - it was there before
    assert record.line is not None  # noqa: S101 - as above
    marks = dict(record.marks)
    for key in ours:
        part = edit.block((*path, key))
        assert part is not None  # noqa: S101 - it was there before
        marks[key] = Mark(digest(plain(part.node)), marks[key].comments)
    command = edit.block((*path, "cmd"))
    assert command is not None  # noqa: S101 - as above
    above = comments_above(edit, command)
    if comment_digest(edit.lines[above : command.start]) == marks["cmd"].comments:
        lines = comment(wanted.words, command.indent)
        edit.replace(above, command.start, lines)
        marks["cmd"] = Mark(marks["cmd"].value, comment_digest(lines))
    environment = edit.block((*path, "env"))
    if "env" not in marks and environment is not None and plain(environment.node) == list(wanted.env):
        marks["env"] = Mark(digest(list(wanted.env)), comment_digest(()))
    marks.pop(CHOICE, None)
    if not wanted.recommended:
        marks[CHOICE] = CHOSEN
    edit.replace(record.line, record.line + 1, [record_line(marks, indent_of(edit.lines[record.line]))])
    return edit.result().text


def with_kept_choice(
    edit: LineEdit, path: KeyPath, record: RecordLine, parts: Sequence[DocumentPart]
) -> list[DocumentPart]:
    """Return what is generated for a model, with the placement that was chosen in its entry. Raises ValueError.

    Where a person has edited the command since, it is theirs with all that is in it; only what follows from it is kept.
    """
    command = edit.block((*path, "cmd")) if CHOICE in record.marks else None
    if command is None:
        return list(parts)
    found = [_kept(edit, path, command, record, part) for part in parts]
    environment = edit.block((*path, "env"))
    if environment is not None and "env" in record.marks and all(part.key != "env" for part in parts):
        value = plain(environment.node)
        found.append(DocumentPart("env", value, (flow(tuple(value)),), _comments(edit, environment)))
    return found


def _kept(edit: LineEdit, path: KeyPath, command: Block, record: RecordLine, part: DocumentPart) -> DocumentPart:
    if part.key == "cmd" and is_untouched(edit, command, record.marks.get("cmd")):
        text = with_placement_of(str(part.value), plain(command.node))
        return DocumentPart("cmd", text, ("|", *literal(text, 2)), _comments(edit, command))
    context = value_at(edit.wanted, (*path, "capabilities", "context"))
    if part.key != "capabilities" or not isinstance(part.value, dict) or not isinstance(context, int):
        return part
    lines = tuple(
        line.replace(f"context: {part.value['context']}", f"context: {context}", 1) if "context:" in line else line
        for line in part.lines
    )
    return replace(part, value={**part.value, "context": context}, lines=lines)


def _comments(edit: LineEdit, block: Block) -> tuple[str, ...]:
    lines = edit.lines[comments_above(edit, block) : block.start]
    text = " ".join(line.strip().removeprefix("#").strip() for line in lines)
    return (text,) if text else ()


def _entry(edit: LineEdit, path: KeyPath) -> tuple[Block | None, RecordLine]:
    block = edit.block(path)
    return block, find_record(edit, block.start + 1, block.end) if block is not None else RecordLine({}, None)


def _is_ours(edit: LineEdit, path: KeyPath, key: str, record: RecordLine) -> bool:
    block = edit.block((*path, key))
    return block is not None and is_untouched(edit, block, record.marks.get(key))
