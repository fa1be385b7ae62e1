"""Which models may run together according to the matrix?

A set is an expression: `&` joins, `|` chooses and binds less, parentheses group, `+name` includes another set. Names
are the matrix's variables or model ids. Any subset of what an expression allows may run; scheduler/matrix.py decides
what to stop.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from claracore.core.config.report import nearest

TOKEN = re.compile(r"\s*(?:(?P<name>[\w.-]+)|(?P<sign>[&|()+]))")
DEEPEST = 40


@dataclass(frozen=True, slots=True)
class One:
    """A single model."""

    model_id: str


@dataclass(frozen=True, slots=True)
class Together:
    """All parts at once."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of the parts."""

    parts: tuple[Expression, ...]


Expression = One | Together | Either


class BadExpression(ValueError):
    """The expression cannot be read; the message says what was found and where."""


def read_sets(
    sets: Mapping[str, str], variables: Mapping[str, str], models: Collection[str]
) -> dict[str, Expression | BadExpression]:
    """Return each set's expression, includes in place, or what is wrong with it; included sets come first."""
    reading = _Sets(sets, variables, models)
    for name in sets:
        reading.read(name)
    return {name: found if isinstance(found, BadExpression) else found[0] for name, found in reading.done.items()}


class _Sets:
    def __init__(self, sets: Mapping[str, str], variables: Mapping[str, str], models: Collection[str]) -> None:
        self.sets = sets
        self.variables = variables
        self.models = models
        self.open: list[str] = []
        self.done: dict[str, tuple[Expression, int] | BadExpression] = {}

    def read(self, name: str) -> tuple[Expression, int] | BadExpression:
        """Return the expression of the set and its depth."""
        if name not in self.done:
            self.open.append(name)
            try:
                self.done[name] = _Text(self.sets[name], self).whole()
            except BadExpression as error:
                self.done[name] = error
            self.open.pop()
        return self.done[name]

    def included(self, name: str) -> tuple[Expression, int]:
        if name not in self.sets:
            raise BadExpression(f"there is no set {name!r}; {nearest(name, self.sets)}".rstrip("; "))
        if name in self.open:
            raise BadExpression(f"the sets include each other: {' -> '.join([*self.open, name])}")
        if len(self.open) >= DEEPEST:
            raise BadExpression(f"sets include each other more than {DEEPEST} levels deep")
        result = self.read(name)
        if isinstance(result, BadExpression):
            raise BadExpression(f"the set {name!r} that it includes has an error")
        return result

    def model(self, name: str) -> One:
        if name in self.variables:
            return One(self.variables[name])
        if name in self.models:
            return One(name)
        hint = nearest(name, [*self.variables, *self.models])
        raise BadExpression(f"{name!r} is neither in vars nor a model id; {hint}".rstrip("; "))


class _Text:
    """One expression being read, left to right."""

    def __init__(self, text: str, sets: _Sets) -> None:
        self.sets = sets
        self.tokens: list[tuple[str, int]] = []
        self.at = 0
        end = 0
        text = text.rstrip()
        while end < len(text):
            match = TOKEN.match(text, end)
            if match is None:
                raise BadExpression(f"unexpected {text[end:].strip()[:1]!r} at character {end + 1}")
            self.tokens.append((match[0].strip(), match.end() - len(match[0].strip()) + 1))
            end = match.end()

    def whole(self) -> tuple[Expression, int]:
        if not self.tokens:
            raise BadExpression("the expression is empty")
        result = self.either(0)
        if self.at < len(self.tokens):
            raise BadExpression(f"unexpected {self.tokens[self.at][0]!r} at character {self.tokens[self.at][1]}")
        return result

    def peek(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def either(self, level: int) -> tuple[Expression, int]:
        parts = [self.together(level)]
        while self.peek() == "|":
            self.at += 1
            parts.append(self.together(level))
        return parts[0] if len(parts) == 1 else (Either(tuple(part for part, _ in parts)), _deeper(parts))

    def together(self, level: int) -> tuple[Expression, int]:
        parts = [self.single(level)]
        while self.peek() == "&":
            self.at += 1
            parts.append(self.single(level))
        return parts[0] if len(parts) == 1 else (Together(tuple(part for part, _ in parts)), _deeper(parts))

    def single(self, level: int) -> tuple[Expression, int]:
        if self.at >= len(self.tokens):
            raise BadExpression("the expression ends where a name is expected")
        token, column = self.tokens[self.at]
        self.at += 1
        match token:
            case "(":
                if level >= DEEPEST:
                    raise BadExpression(f"parentheses more than {DEEPEST} levels deep")
                inside = self.either(level + 1)
                if self.peek() != ")":
                    raise BadExpression(f"the parenthesis at character {column} is not closed")
                self.at += 1
                return inside
            case "+":
                name = self.peek()
                self.at += 1
                return self.sets.included(name)
            case "&" | "|" | ")":
                raise BadExpression(f"unexpected {token!r} at character {column}")
            case _:
                return self.sets.model(token), 1


def _deeper(parts: list[tuple[Expression, int]]) -> int:
    depth = 1 + max(depth for _, depth in parts)
    if depth > 2 * DEEPEST:
        raise BadExpression(f"nested more than {2 * DEEPEST} levels deep")
    return depth
