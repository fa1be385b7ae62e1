r"""What does the text of a pattern say? (RE2's syntax, which is that of Go: go.dev/s/re2syntax)

Text -> a tree of letters, assertions, sequences, choices and repetitions. All that matters is whether a pattern occurs:
names of groups are read and forgotten, as is whether a repetition is greedy. Neither backreferences nor look-arounds
are part of it: they cannot be matched in linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from claracore.core.config.regex_letters import NAMED, PERL, Test, among, any_case, none_of, of_unicode, one_of

Where = Literal["text begins", "text ends", "line begins", "line ends", "word border", "no word border"]


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter of a class."""

    test: Test


@dataclass(frozen=True, slots=True)
class At:
    """A place between letters."""

    where: Where


@dataclass(frozen=True, slots=True)
class Row:
    """One part after the other; none is the empty text."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    """One of the parts."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """The part, so often; `most` None is as often as it comes."""

    part: Part
    least: int
    most: int | None


Part = Letter | At | Row | Alternatives | Repeated


class BadRegex(ValueError):
    """The text is no pattern; the message says what was found and where."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What `(?ims)` sets."""

    any_case: bool = False
    lines: bool = False
    """`^` and `$` are at lines."""
    dot_all: bool = False

    def folded(self, test: Test) -> Test:
        """Return a class in the cases that count. What is negated is folded before that."""
        return any_case(test) if self.any_case else test


LONGEST_PATTERN = 20_000
"""What is longer has more steps than can be followed, and would take seconds to find that out."""
MOST_REPEATS = 1000
DEEPEST = 100
COUNT = re.compile(r"\{(\d+)(,(\d*))?\}", re.ASCII)
FLAGS = re.compile(r"\?([imsU]*)(-[imsU]+)?([:)])")
NAME = re.compile(r"\?P?<(\w+)>", re.ASCII)
OCTAL = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}")
HEX = re.compile(r"x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\})")
UNICODE = re.compile(r"[pP](?:([A-Z])|\{(\^?)(\w+)\})", re.ASCII)
CLASS_NAME = re.compile(r"\[:(\^?)([a-z]+):\]")
PLAIN_ESCAPES = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
PLACES: dict[str, Where] = {"A": "text begins", "z": "text ends", "b": "word border", "B": "no word border"}
LAST_LETTER = 0x10FFFF


def read_regex(text: str) -> Part:
    """Return what a pattern says. Raises BadRegex."""
    if len(text) > LONGEST_PATTERN:
        raise BadRegex(f"longer than {LONGEST_PATTERN:,} characters")
    reader = _Reader(text)
    found = reader.choice(Flags(), 0)
    if reader.at < len(text):
        raise reader.wrong("a ) that closes nothing")
    return found


class _Reader:
    """A pattern being read, left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._names: set[str] = set()

    def wrong(self, what: str, at: int | None = None) -> BadRegex:
        """Return the error: what was found where."""
        return BadRegex(f"{what} at character {(self.at if at is None else at) + 1}")

    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _takes(self, part: str) -> bool:
        found = self.text.startswith(part, self.at)
        if found:
            self.at += len(part)
        return found

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def choice(self, flags: Flags, depth: int) -> Part:
        """Read alternatives, up to a `)` or the end; flags that are set inside hold to there."""
        if depth > DEEPEST:
            raise self.wrong(f"parentheses more than {DEEPEST} levels deep")
        ways: list[Part] = []
        parts: list[Part] = []
        while self._next() not in {"", ")"}:
            if self._takes("|"):
                ways.append(Row(tuple(parts)))
                parts = []
            elif self._takes(r"\Q"):
                parts += self._quoted(flags)
            elif self.text.startswith("(?", self.at) and (changed := self._flags_alone(flags)) is not None:
                flags = changed
                parts[-1:] = map(self._repeated, parts[-1:])
            else:
                parts.append(self._repeated(self._one(flags, depth)))
        ways.append(Row(tuple(parts)))
        return ways[0] if len(ways) == 1 else Alternatives(tuple(ways))

    def _quoted(self, flags: Flags) -> list[Part]:
        end = self.text.find(r"\E", self.at)
        letters = self.text[self.at :] if end < 0 else self.text[self.at : end]
        self.at = len(self.text) if end < 0 else end + 2
        parts = [_letter(letter, flags) for letter in letters]
        return [*parts[:-1], self._repeated(parts[-1])] if parts else []

    def _flags_alone(self, flags: Flags) -> Flags | None:
        """Read `(?i)`, which holds for what follows; None for a group."""
        found = FLAGS.match(self.text, self.at + 1)
        if found is None or found[3] == ":":
            return None
        self.at = found.end()
        return _changed(flags, found)

    def _one(self, flags: Flags, depth: int) -> Part:
        begun, letter = self.at, self._next()
        self.at += 1
        match letter:
            case "(":
                return self._group(flags, depth, begun)
            case "[":
                return Letter(self._class(flags, begun))
            case ".":
                return Letter(none_of(among(("\n\n",))) if not flags.dot_all else among(("\0\U0010ffff",)))
            case "^":
                return At("line begins" if flags.lines else "text begins")
            case "$":
                return At("line ends" if flags.lines else "text ends")
            case "*" | "+" | "?":
                raise self.wrong(f"{letter!r} repeats nothing", begun)
            case "\\":
                return self._escape(flags, begun)
            case "{" if (found := COUNT.match(self.text, begun)) is not None:
                raise self.wrong(f"{found[0]!r} repeats nothing", begun)
            case _:
                return _letter(letter, flags)

    def _group(self, flags: Flags, depth: int, begun: int) -> Part:
        if self._next() == "?":
            if (changed := self._match(FLAGS)) is not None:
                flags = _changed(flags, changed)
            elif (name := self._match(NAME)) is None or name[1] in self._names:
                raise self.wrong("a group of a kind that there is not", begun)
            else:
                self._names.add(name[1])
        inside = self.choice(flags, depth + 1)
        if not self._takes(")"):
            raise self.wrong("a ( that is not closed", begun)
        return inside

    def _repeated(self, part: Part) -> Part:
        begun, bounds = self.at, self._bounds()
        if bounds is None:
            return part
        self._takes("?")
        after = self.at
        if self._bounds() is not None:
            raise self.wrong("a repetition of a repetition", after)
        least, most = bounds
        highest = max(least, most or 0)
        if highest > MOST_REPEATS or (most is not None and most < least):
            raise self.wrong("a repetition that cannot be", begun)
        found = Repeated(part, least, most)
        if highest > 1 and not _bounded(part, MOST_REPEATS // highest):
            raise self.wrong(f"repetitions that multiply to more than {MOST_REPEATS}", begun)
        return found

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._takes(sign):
                return bounds
        found = self._match(COUNT)
        if found is None:
            return None
        least = int(found[1][:9])
        return least, (least if found[2] is None else int(found[3][:9]) if found[3] else None)

    # Escapes and classes.

    def _escape(self, flags: Flags, begun: int) -> Part:
        sign = self._next()
        if sign in PLACES:
            self.at += 1
            return At(PLACES[sign])
        test = self._shorthand(flags, begun)
        return _letter(self._escaped(begun), flags) if test is None else Letter(test)

    def _shorthand(self, flags: Flags, begun: int) -> Test | None:
        r"""Read what follows a backslash and means a class: `\d`, `\PL`, `\p{Greek}`."""
        sign = self._next()
        if sign and sign.lower() in PERL:
            self.at += 1
            test = flags.folded(among(PERL[sign.lower()]))
            return none_of(test) if sign.isupper() else test
        if sign not in {"p", "P"}:
            return None
        found = self._match(UNICODE)
        of = of_unicode(found[1] or found[3]) if found is not None else None
        if found is None or of is None:
            raise self.wrong("a class of Unicode that there is not", begun)
        test = flags.folded(of)
        return none_of(test) if (sign == "P") != (found[2] == "^") else test

    def _escaped(self, begun: int) -> str:
        """Read what follows a backslash and means one letter."""
        sign = self._next()
        if sign in PLAIN_ESCAPES:
            self.at += 1
            return PLAIN_ESCAPES[sign]
        if (found := self._match(OCTAL)) is not None:
            return chr(int(found[0], 8))
        if (found := self._match(HEX)) is not None and (number := int(found[1] or found[2], 16)) <= LAST_LETTER:
            return chr(number)
        if not sign or sign.isalnum() or not sign.isascii():
            raise self.wrong("an escape that there is not", begun)
        self.at += 1
        return sign

    def _class(self, flags: Flags, begun: int) -> Test:
        negated = self._takes("^")
        tests: list[Test] = []
        while not tests or self._next() != "]":
            if not self._next():
                raise self.wrong("a [ that is not closed", begun)
            tests.append(self._item(flags))
        self.at += 1
        return none_of(one_of(tests)) if negated else one_of(tests)

    def _item(self, flags: Flags) -> Test:
        begun = self.at
        if self.text.startswith("[:", begun) and ":]" in self.text[begun + 2 :]:
            found = self._match(CLASS_NAME)
            if found is None or found[2] not in NAMED:
                raise self.wrong("a named class that there is not", begun)
            test = flags.folded(among(NAMED[found[2]]))
            return none_of(test) if found[1] else test
        if self._takes("\\") and (shorthand := self._shorthand(flags, begun)) is not None:
            return shorthand
        self.at = begun
        first = self._end_of_range()
        if self._next() != "-" or self.text[self.at + 1 : self.at + 2] in {"", "]"}:
            return flags.folded(among((first * 2,)))
        self.at += 1
        last = self._end_of_range()
        if last < first:
            raise self.wrong("a range that ends before it begins", begun)
        return flags.folded(among((first + last,)))

    def _end_of_range(self) -> str:
        begun, letter = self.at, self._next()
        self.at += 1
        return self._escaped(begun) if letter == "\\" else letter


def _letter(letter: str, flags: Flags) -> Letter:
    return Letter(flags.folded(among((letter * 2,))))


def _changed(flags: Flags, found: re.Match[str]) -> Flags:
    # U swaps greedy and lazy, which changes nothing here.
    names = {"i": "any_case", "m": "lines", "s": "dot_all"}
    on, off = found[1], found[2] or ""
    return replace(flags, **{name: flag not in off for flag, name in names.items() if flag in on + off})


def _bounded(part: Part, most: int) -> bool:
    """Tell whether repetitions inside a part multiply to `most` at most."""
    match part:
        case Repeated(inner, least, highest):
            times = max(least, highest or 0)
            return times <= most and _bounded(inner, most // times if times > 1 else most)
        case Row(parts) | Alternatives(parts):
            return all(_bounded(inner, most) for inner in parts)
        case _:
            return True
