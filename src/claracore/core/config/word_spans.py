"""Where in the text of a command does each word stand, and how are some exchanged so that the rest stays as typed?

As `command.split` reads it by POSIX rules: comment lines and joined lines are no words, quotes belong to their word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from claracore.core.config.command import COMMENT_LINE, LINE_JOIN, POSIX_PIECE, split

COMMENT = re.compile(r"[ \t]*#")
NOTHING_LEFT = re.compile(r"[ \t\\]*")


class WordSpan(NamedTuple):
    """One argument, and the characters from `start` to `end` (excluded) that stand for it."""

    text: str
    start: int
    end: int


def word_spans(cmd: str) -> list[WordSpan]:
    """Return the words of a command with their places. Raises ValueError as `split`."""
    blank = LINE_JOIN.sub(_spaces, COMMENT_LINE.sub(_spaces, cmd))
    found: list[WordSpan] = []
    at, start = 0, None
    while at < len(blank):
        match = POSIX_PIECE.match(blank, at)
        if match is None:
            split(cmd)  # says what is wrong
            raise ValueError("it cannot be split")
        if match[0].isspace():
            if start is not None:
                found.append(_word(blank, start, at))
            start = None
        elif start is None:
            start = at
        at = match.end()
    return found if start is None else [*found, _word(blank, start, at)]


def _word(text: str, start: int, end: int) -> WordSpan:
    (word,) = split(text[start:end].replace("#", "\\#", 1) if text[start] == "#" else text[start:end])
    return WordSpan(word, start, end)


def _spaces(match: re.Match[str]) -> str:
    """Return as many characters that are no words; line ends stay, so that lines keep their numbers."""
    return "".join("\n" if letter == "\n" else " " for letter in match[0])


def line_of(cmd: str, offset: int) -> int:
    """Return the line (0-based) of an offset."""
    return cmd.count("\n", 0, offset)


def without_words(cmd: str, words: Sequence[WordSpan]) -> dict[int, str | None]:
    """Return the lines of a command without some of its words, by number: None for one of which nothing is left."""
    blank = list(cmd)
    for word in words:
        blank[word.start : word.end] = "\0" * (word.end - word.start)
    before, after = cmd.split("\n"), "".join(blank).split("\n")
    return {number: _tidy(old, new) for number, (old, new) in enumerate(zip(before, after, strict=True))}


def _tidy(old: str, new: str) -> str | None:
    if "\0" not in new:
        return old
    left = re.sub(r"\0+(?:[ \t]+\0+)*", "\0", new)
    left = re.sub(r"^([ \t]*)\0[ \t]*", r"\1", left)
    left = re.sub(r"[ \t]*\0", "", left)
    return None if NOTHING_LEFT.fullmatch(left) else left


def with_lines(lines: Mapping[int, str | None], added: Mapping[int, Sequence[str]]) -> str:
    """Return the text of `lines` without those that are None, and with others in front of some of them."""
    found: list[str] = []
    for number in sorted({*lines, *added}):
        found += added.get(number, ())
        line = lines.get(number)
        found += [line] if line is not None else []
    return "\n".join(found)
