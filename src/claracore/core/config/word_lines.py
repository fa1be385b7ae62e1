"""How are words of a command taken out, and lines put in, so that the rest stays as it was typed?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from claracore.core.config.command import SpannedWord

COMMENT = re.compile(r"[ \t]*#")
NOTHING_LEFT = re.compile(r"[ \t\\]*")


def line_of(cmd: str, offset: int) -> int:
    """Return the line (0-based) of an offset."""
    return cmd.count("\n", 0, offset)


def without_words(cmd: str, words: Sequence[SpannedWord]) -> dict[int, str | None]:
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
