"""How is one option changed in a YAML text so that all the rest stays as it was typed?

By lines (`lines`): a scalar in its own characters and its own quotes, a list item by item where items only come or go,
anything else by the lines of its value. Where that does not fit (mappings in braces, aliases) the whole text goes
through ruamel's round trip, which keeps comments, order and quoting. Either way the result is read again and must say
exactly what was asked for, or the edit is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import ModuleType

from claracore.core.config.lines import (
    Block,
    KeyPath,
    LineEdit,
    NoSimpleWay,
    drop_value,
    indent_of,
    plain,
    read_plain,
    set_value,
    value_at,
)
from claracore.core.config.report import dotted
from claracore.core.config.tree import ScalarNode, SequenceNode
from claracore.core.garbage import no_collection
from claracore.errors import Conflict

ABSENT = object()


class EditRefused(Conflict):
    """The text cannot be changed by program without changing something else."""

    code = "edit_refused"
    cause = "The file cannot be changed by program without changing something else in it."
    way_out = "Make the change by hand, where the message points."


@no_collection()
def put(text: str, path: KeyPath, value: object) -> str:
    """Return `text` with `value` at `path`; keys on the way that are missing are made.

    `value` is plain data (None, bool, int, float, str, lists and dicts of them). Raises Unreadable if `text` is no
    YAML, EditRefused if the change cannot be made alone.
    """
    edit = LineEdit(text)

    def round_trip() -> str:
        edit.restart()
        set_value(edit.wanted, path, value)
        changed = _writer().round_trip(text, lambda data: set_value(data, path, _writer().styled(value)))
        return edit.checked(changed).text

    return _first_possible(
        path,
        lambda: _by_lines(edit, path, value, _put_closely),
        lambda: _by_lines(edit, path, value, _put_lines),
        round_trip,
    )


@no_collection()
def remove(text: str, path: KeyPath) -> str:
    """Return `text` without the key at `path`; unchanged if there is none. Raises as `put`."""
    edit = LineEdit(text)
    above = value_at(edit.wanted, path[:-1])
    if not isinstance(above, dict) or path[-1] not in above:
        return text

    def round_trip() -> str:
        edit.restart()
        drop_value(edit.wanted, path)
        return edit.checked(_writer().round_trip(text, lambda data: drop_value(data, path))).text

    return _first_possible(path, lambda: _by_lines(edit, path, ABSENT, _remove_lines), round_trip)


@no_collection()
def change(text: str, changes: Mapping[KeyPath, object]) -> str:
    """Return `text` with many values put in place, or taken out where the new one is `ABSENT`.

    All at once where that can be done by lines, so that the text is read twice, however many there are; else one after
    the other. Raises as `put`.
    """
    edit = LineEdit(text)
    with suppress(ValueError, TypeError, AttributeError, KeyError):
        if edit.one_document:
            for path, value in changes.items():
                _plan_change(edit, path, value)
            return edit.result().text
    for path, value in changes.items():
        text = remove(text, path) if value is ABSENT else put(text, path, value)
    return text


def merge(text: str, path: KeyPath, patch: Mapping[str, object]) -> str:
    """Apply a JSON merge patch (RFC 7396) at `path`: None removes a key, mappings merge, the rest replaces."""
    for key, value in patch.items():
        below = (*path, key)
        if value is None:
            text = remove(text, below)
        elif isinstance(value, Mapping) and value and isinstance(value_at(read_plain(text), below), dict):
            text = merge(text, below, value)
        else:
            text = put(text, below, value)
    return text


def _first_possible(path: KeyPath, *ways: Callable[[], str]) -> str:
    """Return the first result, each of which says what is wanted. Raises EditRefused."""
    for way in ways:
        try:
            return way()
        except (ValueError, TypeError, AttributeError, KeyError):
            continue
    raise EditRefused(
        f"{dotted(path)} cannot be changed by program: an alias, a merge key or a second document is in the way;"
        " edit it by hand"
    )


def _by_lines(edit: LineEdit, path: KeyPath, value: object, plan: Callable[[LineEdit, KeyPath, object], None]) -> str:
    edit.restart()
    if not edit.one_document:
        raise NoSimpleWay
    plan(edit, path, value)
    return edit.result().text


def _plan_change(edit: LineEdit, path: KeyPath, value: object) -> None:
    if value is ABSENT:
        _remove_lines(edit, path, value)
        return
    try:
        _put_closely(edit, path, value)
    except NoSimpleWay:  # it has planned nothing
        _put_lines(edit, path, value)


def _put_closely(edit: LineEdit, path: KeyPath, value: object) -> None:
    """Plan to change a scalar in its own characters, a list by the items that differ."""
    block = edit.block(path)
    if block is None or block.aliased:
        raise NoSimpleWay
    if isinstance(block.node, ScalarNode) and not isinstance(value, (dict, list)):
        source = edit.text[block.node.start : block.value_end]
        edit.splice(block.node.start, block.value_end, _in_style(source, value, flow=block.beside), {path: value})
    elif isinstance(block.node, SequenceNode) and isinstance(value, list):
        _put_list(edit, block, block.node, value)
    else:
        raise NoSimpleWay


def _in_style(source: str, value: object, *, flow: bool) -> str:
    """Write a scalar as the one in `source` is written. Raises NoSimpleWay."""
    if source.startswith("|") and isinstance(value, str):
        header, _, body = source.replace("\r", "").partition("\n")
        indent = " " * indent_of(body)
        return "\n".join([header, *(indent + line if line else "" for line in value.rstrip("\n").split("\n"))])
    if not source or source[0] in "|>" or (isinstance(value, str) and "\n" in value):
        raise NoSimpleWay
    if source[0] == '"' and isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if source[0] == "'" and isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if flow:
        return str(_writer().in_flow([value]))[1:-1]
    head, *more = _writer().written("k", value)
    if more:
        raise NoSimpleWay
    return str(head.removeprefix("k:").strip())


def _put_list(edit: LineEdit, block: Block, node: SequenceNode, value: list[object]) -> None:
    """Plan to write a list in brackets anew, or to take items out of one in lines and put new ones behind the rest."""
    if node.flow:
        if any(isinstance(item, (dict, list)) for item in value):
            raise NoSimpleWay
        edit.splice(node.start, node.end, _writer().in_flow(value), {block.path: value})
        return
    kept, new = _kept_and_new([plain(item) for item in node.items], value)
    if not kept:
        raise NoSimpleWay
    for number, item in enumerate(node.items):
        if number not in kept:
            edit.replace(edit.line_at(item.start), edit.line_at(edit.content_end(item.end)) + 1, ())
    dash = " " * indent_of(edit.lines[edit.line_at(node.items[0].start)])
    edit.insert(block.end, [dash + line[2:] for line in _written("k", new)[1:]] if new else [], {block.path: value})


def _kept_and_new(old: list[object], new: list[object]) -> tuple[set[int], list[object]]:
    """Return which items of a list stay, and what follows them in the new one. Raises NoSimpleWay if others move."""
    kept: set[int] = set()
    for number, item in enumerate(old):
        if len(kept) < len(new) and new[len(kept)] == item:
            kept.add(number)
    return kept, new[len(kept) :]


def _put_lines(edit: LineEdit, path: KeyPath, value: object) -> None:
    """Plan to write a value by lines: in place of the old one, or below the last key of its mapping."""
    if not edit.root.entries:
        lines = [*edit.text.rstrip().split("\n")] if edit.text.strip() else []
        edit.replace(0, len(edit.lines), [*lines, *_written(path[0], _nested(path[1:], value)), ""], {path: value})
        return
    level = next((level for level in range(len(path), 0, -1) if edit.block(path[:level]) is not None), 0)
    block, missing = edit.block(path[:level]) if level else None, path[level:]
    below = edit.blocks(path[:level])
    if missing and below:
        _insert(edit, below, missing[0], _nested(missing[1:], value))
    elif block is not None:
        _rewrite(edit, block, _nested(missing, value))
    else:
        raise NoSimpleWay
    set_value(edit.wanted, path, value)


def _insert(edit: LineEdit, siblings: list[Block], key: str, value: object) -> None:
    last = siblings[-1]
    if last.beside:
        raise NoSimpleWay
    between = edit.lines[siblings[-2].end : last.start] if len(siblings) > 1 else []
    spaced = isinstance(value, dict) and any(not line.strip() for line in between)
    indent = " " * siblings[0].indent
    lines = [indent + line if line else "" for line in _written(key, value)]
    edit.insert(last.end, [*[""] * spaced, *lines])


def _rewrite(edit: LineEdit, block: Block, value: object) -> None:
    """Plan to write the value of a key anew; a comment beside it stays on the line of the key."""
    text = edit.text
    colon = text.find(":", block.key.end)
    if block.beside or block.aliased or colon < 0 or text[block.key.end : colon].strip():
        raise NoSimpleWay
    end = max(block.value_end, colon + 1)
    rest = text[end:].partition("\n")[0].removesuffix("\r")
    if rest.strip() and not rest.lstrip().startswith("#"):
        raise NoSimpleWay
    head, *lines = _written("k", value)
    head = head.removeprefix("k:").strip()
    gap = text[colon + 1 : block.node.start]
    gap = " " if "\n" in gap or "#" in gap or not gap else gap
    indent = " " * block.indent
    below = "".join(f"\n{indent}{line}" if line else "\n" for line in lines)
    edit.splice(colon + 1, end + len(rest), (gap + head if head else "") + rest + below, {})


def _remove_lines(edit: LineEdit, path: KeyPath, _absent: object) -> None:
    block = edit.block(path)
    if block is None:
        raise NoSimpleWay
    if len(path) > 1 and len(edit.blocks(path[:-1])) == 1:
        _put_lines(edit, path[:-1], {})
    else:
        edit.delete(block)


def _written(key: str, value: object) -> list[str]:
    lines: list[str] = _writer().written(key, value)
    return lines


def _nested(path: KeyPath, value: object) -> object:
    for key in reversed(path):
        value = {key: value}
    return value


def _writer() -> ModuleType:
    """Return the round-trip writer. It is loaded when a text is changed: 3.4 MB that serving does not need."""
    from claracore.core.config import round_trip  # noqa: PLC0415 - see above

    return round_trip
