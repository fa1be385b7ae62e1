"""Which events and orders does a debug log tell of?

The supervisor's loop logs one record an event, `NOW EVENT -> ORDERS`, and `NOW begins with POLICY` before the first,
all values as Python writes them. This module reads them again, from a log in text or JSON with other lines in between.
A log comes from somebody else: only the values listed in `SHAPES` and `REASONS` are made, from fields of the right
types; nothing is evaluated. Whatever else stands in a record is an error that names its line.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_args

from claracore.core.scheduler import events
from claracore.core.scheduler.eviction import Groups, LocalOnly
from claracore.core.scheduler.policy import Policy
from claracore.core.scheduler.shapes import REASONS, SHAPES, FieldShape
from claracore.errors import BadRequest

LOGGER = "claracore.supervisor"
DEEPEST = 200
"""How deeply values may be nested; the expressions of a matrix that can be configured take 160."""

_CLASSES = {shape.__name__: shape for shape in SHAPES}
_ENUMS = {reason.__name__: reason for reason in REASONS}
_ESCAPE = r"""\\(?:[\\'"nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U000[0-9a-f]{5}|U0010[0-9a-f]{4})"""
"""What repr() writes in a text; others are none of its."""
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^'\\\x00-\x1f]|ESCAPE)*'|"(?:[^"\\\x00-\x1f]|ESCAPE)*")
      | (?P<number>-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf)\b)
      | <(?P<reason>\w{1,40}\.\w{1,40}):\s'[^'\n]*'>
      | (?P<name>[A-Za-z_]\w*)
      | (?P<sign>->|[()\[\]{},:=])
    )""".replace("ESCAPE", _ESCAPE),
    re.VERBOSE,
)
# A time, in whatever layout, comes before the level; a bracket says that a model has printed this line.
_TEXT_LINE = re.compile(r"[^\[\n]{0,60}?\b(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)\s+(?P<message>.*)")
_MESSAGE = re.compile(r"(?P<now>\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:\s|$)")


class UnreadableRecord(BadRequest):
    """The log has a record that cannot be read."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A server began with this policy: models stopped, nobody waiting."""

    line: int
    now: float
    policy: Policy


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event, and the orders that followed it then."""

    line: int
    now: float
    event: events.Event
    orders: tuple[events.Order, ...]


def read(lines: Iterable[str]) -> Iterator[Begun | Recorded]:
    """Give the records of a log, in text or JSON, in their order. Raises UnreadableRecord, which names the line."""
    for number, line in enumerate(lines, 1):
        try:
            message = _message(line)
            found = _MESSAGE.match(message) if message is not None else None
            if message is not None and found is not None:
                yield _record(number, float(found["now"]), message[found.end() :])
        except ValueError as error:
            raise UnreadableRecord(
                f"line {number}: {error}; is the log cut off, or copied from a terminal, which breaks lines? "
                "(--log-file writes whole ones)"
            ) from error


def _message(line: str) -> str | None:
    """Return what the supervisor, or somebody unnamed, logged at debug level; None for every other line."""
    if not line.startswith("{"):
        found = _TEXT_LINE.match(line.rstrip("\r\n"))
        return found["message"] if found is not None and found["level"] == "DEBUG" else None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        if LOGGER in line:
            raise ValueError("this is not a whole JSON object") from None
        return None
    ours = entry.get("logger") == LOGGER and entry.get("level") == "debug"
    message = entry.get("message")
    return message if ours and isinstance(message, str) else None


def _record(line: int, now: float, text: str) -> Begun | Recorded:
    if text.startswith("begins with "):
        reading = _Reading(text.removeprefix("begins with "))
        policy = _checked(reading.value(0), Policy, "the policy")
        reading.end()
        _be_sound(policy)
        return Begun(line, now, policy)
    reading = _Reading(text)
    event = _checked(reading.value(0), ("any of", *get_args(events.Event)), "the event")
    reading.take("->")
    orders = _checked(reading.value(0), (list, ("any of", *get_args(events.Order))), "the orders")
    reading.end()
    if isinstance(event, events.Reconfigured):
        _be_sound(event.policy)
    return Recorded(line, now, event, tuple(orders))


class _Reading:
    """One text of values, read from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def value(self, depth: int) -> Any:  # noqa: ANN401 - `_checked` looks at what it is
        """Read one value. Raises ValueError."""
        if depth > DEEPEST:
            raise ValueError(f"values are nested more than {DEEPEST} deep")
        found = self._token()
        if found["text"] is not None:
            return ast.literal_eval(found["text"])  # one literal, of which the pattern knows every character
        if found["number"] is not None:
            return int(found["number"]) if found["number"].lstrip("-").isdigit() else float(found["number"])
        if found["reason"] is not None:
            return self._reason(found["reason"])
        if found["name"] is not None:
            return self._named(found["name"], depth)
        match found["sign"]:
            case "(":
                return tuple(self._items(")", depth))
            case "[":
                return self._items("]", depth)
            case "{":
                return self._braces(depth)
        raise self._error(found.start())

    def take(self, sign: str) -> None:
        """Read this sign. Raises ValueError."""
        if not self._has(sign):
            raise self._error(self.at)

    def end(self) -> None:
        """Be at the end. Raises ValueError."""
        if self.text[self.at :].strip():
            raise self._error(self.at)

    def _named(self, name: str, depth: int) -> Any:  # noqa: ANN401 - as above
        if name in {"True", "False", "None"}:
            return {"True": True, "False": False, "None": None}[name]
        if name not in _CLASSES and name != "frozenset":
            raise ValueError(f"{name[:40]!r} is no event, order or policy that this version knows")
        self.take("(")
        if name == "frozenset":
            inside = set() if self._has(")") else self.value(depth + 1)
            if not isinstance(inside, set):
                raise self._error(self.at)
            if inside:
                self.take(")")
            return frozenset(inside)
        return self._instance(_CLASSES[name], depth)

    def _instance(self, shape: type, depth: int) -> Any:  # noqa: ANN401 - as above
        fields: dict[str, Any] = {}
        while not self._has(")"):
            if fields:
                self.take(",")
            name = self._token()["name"]
            if name not in SHAPES[shape] or name in fields:
                raise ValueError(f"{shape.__name__} has no field {str(name)[:40]!r} here")
            self.take("=")
            fields[name] = _checked(self.value(depth + 1), SHAPES[shape][name], f"{shape.__name__}.{name}")
        missing = SHAPES[shape].keys() - fields.keys()
        if missing:
            raise ValueError(f"{shape.__name__} lacks {', '.join(sorted(missing))}")
        return shape(**fields)

    def _reason(self, name: str) -> StrEnum:
        enum, _, member = name.partition(".")
        if enum not in _ENUMS or member not in _ENUMS[enum].__members__:
            raise ValueError(f"{name!r} is no reason that this version knows")
        return _ENUMS[enum][member]

    def _items(self, close: str, depth: int) -> list[Any]:
        items: list[Any] = []
        while not self._has(close):
            if items:
                self.take(",")
                if self._has(close):
                    break
            items.append(self.value(depth + 1))
        return items

    def _braces(self, depth: int) -> dict[str, Any] | set[str]:
        """Read a dict or a set whose keys are texts."""
        pairs: dict[str, Any] = {}
        is_set = False
        while not self._has("}"):
            if pairs:
                self.take(",")
            key = _checked(self.value(depth + 1), str, "a key")
            is_set = is_set or (not pairs and not self._peek(":"))
            if is_set:
                pairs[key] = None
            else:
                self.take(":")
                pairs[key] = self.value(depth + 1)
        return set(pairs) if is_set else pairs

    def _token(self) -> re.Match[str]:
        found = _TOKEN.match(self.text, self.at)
        if found is None:
            raise self._error(self.at)
        self.at = found.end()
        return found

    def _peek(self, sign: str) -> bool:
        found = _TOKEN.match(self.text, self.at)
        return found is not None and found["sign"] == sign

    def _has(self, sign: str) -> bool:
        if not self._peek(sign):
            return False
        self._token()
        return True

    def _error(self, at: int) -> ValueError:
        rest = self.text[at:].strip()
        return ValueError(f"cannot read the record at {rest[:30]!r}" if rest else "the record ends too soon")


def _checked(value: Any, check: FieldShape, what: str) -> Any:  # noqa: ANN401 - any of the values above
    """Return the value if it is of this type, inside as well. Raises ValueError."""
    if not _fits(value, check):
        raise ValueError(f"{what} cannot be a {type(value).__name__} like this")
    return value


def _fits(value: Any, check: FieldShape) -> bool:  # noqa: ANN401 - as above
    match check:
        case ("any of", *alternatives):
            return type(value) in alternatives
        case (outer, key, inner):
            return type(value) is outer and all(_fits(k, key) and _fits(v, inner) for k, v in value.items())
        case (outer, inner):
            return type(value) is outer and all(_fits(item, inner) for item in value)
    return type(value) is check


def _be_sound(policy: Policy) -> None:
    """Raise ValueError for a policy whose rule does not know its models."""
    rule = policy.rule
    while isinstance(rule, LocalOnly):
        rule = rule.rule
    if isinstance(rule, Groups):
        lost = policy.models.keys() - rule.member_of.keys()
        if lost:
            raise ValueError(f"the model {min(lost)!r} is in no group")
        unknown = set(rule.member_of.values()) - rule.groups.keys()
        if unknown:
            raise ValueError(f"there is no group {min(unknown)!r}")
