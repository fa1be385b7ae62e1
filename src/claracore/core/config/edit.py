"""How is one option changed in a YAML text so that all the rest stays as it was typed?

The lines of the value are found and replaced; every other byte stays. Where that does not fit (flow mappings,
aliases) the whole text goes through ruamel's round trip, which keeps comments, order and quoting. Either way the
result is read again and must say exactly what was asked for, or the edit is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from claracore.core.config.collector import no_collection
from claracore.core.config.report import dotted
from claracore.core.config.scalars import value_of
from claracore.core.config.tree import Branch, Leaf, Node, Twigs, compose, parse, unmask
from claracore.errors import Conflict

Keys = tuple[str, ...]


class EditRefused(Conflict):
    """The text cannot be changed by program without changing something else."""

    code = "edit_refused"


class _NoSimpleWay(Exception):
    """The lines of the value cannot be replaced alone."""


@no_collection()
def put(text: str, path: Keys, value: object) -> str:
    """Return `text` with `value` at `path`; keys on the way that are missing are made.

    `value` is plain data (None, bool, int, float, str, lists and dicts of them). Raises Unreadable if `text` is no
    YAML, EditRefused if the change cannot be made alone.
    """
    wanted = _with(read_plain(text), path, value)
    return _changed(
        text, path, wanted, lambda: _put_lines(text, path, value), lambda data: _writer().put_in(data, path, value)
    )


@no_collection()
def remove(text: str, path: Keys) -> str:
    """Return `text` without the key at `path`; unchanged if there is none. Raises as `put`."""
    present: Any = read_plain(text)
    for key in path:
        if not isinstance(present, dict) or key not in present:
            return text
        present = present[key]
    wanted = _without(read_plain(text), path)
    return _changed(text, path, wanted, lambda: _remove_lines(text, path), lambda data: _writer().remove_in(data, path))


def merge(text: str, path: Keys, patch: Mapping[str, object]) -> str:
    """Apply a JSON merge patch (RFC 7396) at `path`: None removes a key, mappings merge, the rest replaces."""
    for key, value in patch.items():
        here = (*path, key)
        if value is None:
            text = remove(text, here)
        elif isinstance(value, Mapping) and value and isinstance(_at(read_plain(text), here), dict):
            text = merge(text, here, value)
        else:
            text = put(text, here, value)
    return text


def read_plain(text: str) -> dict[str, Any]:
    """Return what a text says, macros left as they are written. Raises Unreadable."""
    root, _findings = parse(text, "")
    return {key: _plain(node) for key, (_key, node) in root.entries.items()}


def _plain(node: Node) -> Any:  # noqa: ANN401 - plain data
    match node:
        case Leaf():
            value = value_of(node, node.text)
            return ".nan" if isinstance(value, float) and math.isnan(value) else value
        case Twigs(items=items):
            return [_plain(item) for item in items]
        case Branch(entries=entries):
            return {key: _plain(child) for key, (_key, child) in entries.items()}


def _changed(
    text: str, path: Keys, wanted: dict[str, Any], by_lines: Callable[[], str], in_data: Callable[[Any], None]
) -> str:
    for attempt in (by_lines, lambda: _writer().round_trip(text, in_data)):
        try:
            result = attempt()
            if read_plain(result) == wanted:
                return result
        except (_NoSimpleWay, ValueError, TypeError, AttributeError, KeyError):
            continue
    raise EditRefused(
        f"{dotted(path)} cannot be changed by program: an alias, a merge key or a second document is in the way;"
        " edit it by hand"
    )


def _at(data: Any, path: Keys) -> Any:  # noqa: ANN401 - plain data
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _with(data: Any, path: Keys, value: object) -> Any:  # noqa: ANN401 - plain data
    if not path:
        return value
    below = dict(data) if isinstance(data, dict) else {}
    below[path[0]] = _with(below.get(path[0]), path[1:], value)
    return below


def _without(data: dict[str, Any], path: Keys) -> dict[str, Any]:
    if len(path) == 1:
        return {key: value for key, value in data.items() if key != path[0]}
    return {**data, path[0]: _without(data[path[0]], path[1:])}


# By lines: positions are offsets into the text, as PyYAML's marks give them.


def _put_lines(text: str, path: Keys, value: object) -> str:
    node = compose(text)
    if node is None:
        return (
            text.rstrip()
            + "\n" * bool(text.strip())
            + "\n".join(_writer().written(path[0], _nested(path[1:], value)))
            + "\n"
        )
    for level, key in enumerate(path):
        _require_block(node)
        entry = _entry(node, key)
        if entry is None:
            return _insert(text, node, key, _nested(path[level + 1 :], value))
        _require_own(*entry)
        if level == len(path) - 1 or entry[1].id != "mapping":
            return _replace(text, entry, _nested(path[level + 1 :], value))
        if not entry[1].value:
            return _replace(text, entry, _nested(path[level + 1 :], value))
        node = entry[1]
    raise _NoSimpleWay


def _remove_lines(text: str, path: Keys) -> str:
    node = compose(text)
    for key in path[:-1]:
        _require_block(node)
        entry = _entry(node, key)
        if entry is None:
            raise _NoSimpleWay
        _require_own(*entry)
        node = entry[1]
    _require_block(node)
    entry = _entry(node, path[-1])
    if entry is None:
        raise _NoSimpleWay
    if len(node.value) == 1 and len(path) > 1:
        return _put_lines(text, path[:-1], {})
    start = text.rfind("\n", 0, entry[0].start_mark.index) + 1
    if text[start : entry[0].start_mark.index].strip():
        raise _NoSimpleWay
    return text[:start] + text[_line_end(text, _content_end(text, *entry)) + 1 :]


def _require_block(node: Any) -> None:  # noqa: ANN401 - PyYAML's nodes have no types
    if node.id != "mapping" or node.flow_style:
        raise _NoSimpleWay


def _require_own(key: Any, value: Any) -> None:  # noqa: ANN401 - PyYAML's nodes have no types
    """Refuse a value that stands elsewhere, under an anchor."""
    if value.start_mark.index < key.end_mark.index:
        raise _NoSimpleWay


def _entry(node: Any, key: str) -> tuple[Any, Any] | None:  # noqa: ANN401 - PyYAML's nodes have no types
    return next((pair for pair in node.value if pair[0].id == "scalar" and unmask(pair[0].value, "") == key), None)


def _content_end(text: str, key: Any, value: Any) -> int:  # noqa: ANN401 - PyYAML's nodes have no types
    """Return where the entry's last character is over; blank lines and comments after it do not belong to it."""
    if value.start_mark.index < key.end_mark.index:
        return _line_end(text, key.end_mark.index)
    if value.id == "mapping" and not value.flow_style and value.value:
        return _content_end(text, *value.value[-1])
    if value.id == "sequence" and not value.flow_style and value.value:
        return _content_end(text, key, value.value[-1])
    return len(text[: value.end_mark.index].rstrip())


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _replace(text: str, entry: tuple[Any, Any], value: object) -> str:
    key, old = entry
    colon = text.find(":", key.end_mark.index)
    if colon < 0 or text[key.end_mark.index : colon].strip():
        raise _NoSimpleWay
    end = max(_content_end(text, key, old), colon + 1)
    rest = text[end : _line_end(text, end)]
    if rest.strip() and not rest.lstrip().startswith("#"):
        raise _NoSimpleWay
    if old.id == "sequence" and old.flow_style and isinstance(value, list) and not any(map(_is_container, value)):
        head, *lines = [_writer().in_flow(value)]
    else:
        head, *lines = _writer().written("k", value)
        head = head.removeprefix("k:").strip()
    gap = text[colon + 1 : old.start_mark.index] if old.start_mark.index > colon else " "
    gap = " " if "\n" in gap or "#" in gap or not gap else gap
    indent = " " * key.start_mark.column
    block = "".join(f"\n{indent}{line}" if line else "\n" for line in lines)
    return text[: colon + 1] + (gap + head if head else "") + rest + block + text[end + len(rest) :]


def _insert(text: str, node: Any, key: str, value: object) -> str:  # noqa: ANN401 - PyYAML's nodes have no types
    last = node.value[-1]
    at = _line_end(text, _content_end(text, *last))
    indent = " " * node.value[0][0].start_mark.column
    spaced = isinstance(value, dict) and len(node.value) > 1 and _blank_line(text, node.value[-2], last)
    block = "".join(f"\n{indent}{line}" if line else "\n" for line in _writer().written(key, value))
    return text[:at] + ("\n" if spaced else "") + block + (text[at:] or "\n")


def _blank_line(text: str, before: tuple[Any, Any], after: tuple[Any, Any]) -> bool:
    """Tell whether two entries have an empty line between them."""
    between = text[_content_end(text, *before) : after[0].start_mark.index]
    return any(not line.strip() for line in between.split("\n")[1:-1])


def _nested(path: Keys, value: object) -> object:
    for key in reversed(path):
        value = {key: value}
    return value


def _is_container(value: object) -> bool:
    return isinstance(value, (dict, list))


def _writer() -> ModuleType:
    """Return the round-trip writer. It is loaded when a text is changed: 3.4 MB that serving does not need."""
    from claracore.core.config import round_trip  # noqa: PLC0415 - see above

    return round_trip
