"""Does this text contain what a pattern describes?

In time that is linear in the text, whatever the pattern: all states that it may be in are followed at once, and what
one letter makes of a set of states is remembered. Python's own expressions try one way after the other: there are
patterns (`(a+)+$`) with which a request's path of forty letters would hold the whole server for hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import assert_never

from claracore.core.config.regex_letters import Test
from claracore.core.config.regex_syntax import (
    Alternatives,
    At,
    BadRegex,
    Letter,
    Part,
    Repeated,
    Row,
    Where,
    read_regex,
)

MOST_STEPS = 2_000
"""Of a pattern: a text is looked at in at most so much time for each of its letters."""
MOST_REMEMBERED = 500
LONGEST_TEXT = 4_096
END = ""
"""Stands for the letter behind the last one, and before the first."""


@dataclass(frozen=True, slots=True)
class _Take:
    test: Test
    following: int


@dataclass(frozen=True, slots=True)
class _Check:
    where: Where
    following: int


@dataclass(slots=True)
class _Fork:
    ways: list[int]


@dataclass(slots=True, eq=False)
class _State:
    """Where the pattern may be before a letter: `waiting` steps, behind a letter of the kind `before`."""

    waiting: frozenset[int]
    before: str
    after: dict[str, _State] = field(default_factory=dict)


FOUND, NOT_FOUND = _State(frozenset(), END), _State(frozenset(), END)
_DONE = 0


class Regex:
    """A pattern, ready to be looked for. Raises BadRegex."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps: list[_Take | _Check | _Fork] = [_Fork([])]
        self._start = self._emit(read_regex(text), _DONE)
        self._states: dict[tuple[frozenset[int], str], _State] = {}
        self._first = self._state({self._start}, END)

    def occurs_in(self, text: str) -> bool:
        """Tell whether a part of the text is as described; of a text of more than `LONGEST_TEXT` letters, never."""
        if len(text) > LONGEST_TEXT:
            return False
        state = self._first
        for letter in text:
            state = state.after.get(letter) or self._step(state, letter)
            if state is FOUND:
                return True
        return (state.after.get(END) or self._step(state, END)) is FOUND

    # From the tree to steps, the last ones first.

    def _add(self, step: _Take | _Check | _Fork) -> int:
        if len(self._steps) >= MOST_STEPS:
            raise BadRegex("more repetitions than can be followed")
        self._steps.append(step)
        return len(self._steps) - 1

    def _emit(self, part: Part, following: int) -> int:
        match part:
            case Letter(test):
                return self._add(_Take(test, following))
            case At(where):
                return self._add(_Check(where, following))
            case Row(parts):
                for inner in reversed(parts):
                    following = self._emit(inner, following)
                return following
            case Alternatives(parts):
                return self._add(_Fork([self._emit(inner, following) for inner in parts]))
            case Repeated():
                return self._emit_repeated(part, following)
            case _:
                assert_never(part)

    def _emit_repeated(self, part: Repeated, following: int) -> int:
        if part.most is None:
            again = _Fork([following])
            following = self._add(again)
            again.ways.append(self._emit(part.part, following))
        else:
            leave = following
            for _ in range(part.most - part.least):
                following = self._add(_Fork([leave, self._emit(part.part, following)]))
        for _ in range(part.least):
            following = self._emit(part.part, following)
        return following

    # From letter to letter.

    def _step(self, state: _State, letter: str) -> _State:
        reached = self._reached(state, letter)
        if _DONE in reached:
            following = FOUND
        elif letter == END:
            following = NOT_FOUND
        else:
            steps = (self._steps[at] for at in reached)
            taken = {step.following for step in steps if isinstance(step, _Take) and step.test(letter)}
            following = self._state({*taken, self._start}, _kind(letter))
        state.after[letter] = following
        return following

    def _state(self, waiting: Iterable[int], before: str) -> _State:
        key = frozenset(waiting), before
        found = self._states.get(key)
        if found is None:
            if len(self._states) >= MOST_REMEMBERED:
                self._forget()
            found = self._states[key] = _State(*key)
        return found

    def _forget(self) -> None:
        for state in self._states.values():
            state.after.clear()
        self._states.clear()

    def _reached(self, state: _State, letter: str) -> set[int]:
        """Return where one may be before a letter without taking any."""
        reached: set[int] = set()
        waiting = list(state.waiting)
        while waiting:
            at = waiting.pop()
            if at in reached:
                continue
            reached.add(at)
            match self._steps[at]:
                case _Fork(ways):
                    waiting += ways
                case _Check(where, following) if _holds(where, state.before, letter):
                    waiting.append(following)
        return reached


@lru_cache(maxsize=4096)
def _kind(letter: str) -> str:
    """Return a letter that is like this one to whatever looks at what stands before."""
    return letter if letter == "\n" else "w" if _is_word(letter) else " "


def _is_word(letter: str) -> bool:
    return letter.isascii() and (letter.isalnum() or letter == "_")


def _holds(where: Where, before: str, after: str) -> bool:
    match where:
        case "text begins":
            return before == END
        case "text ends":
            return after == END
        case "line begins":
            return before in {END, "\n"}
        case "line ends":
            return after in {END, "\n"}
        case "word border":
            return _is_word(before) is not _is_word(after)
        case "no word border":
            return _is_word(before) is _is_word(after)
        case _:
            assert_never(where)
