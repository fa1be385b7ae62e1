"""How does a table fit a terminal that is too narrow for it? Pure: text in, lines out.

As it is where it fits; else without columns that say nothing and with less between them; else the widest are made
narrower and their text goes on in further lines, so that nothing is lost. Where even that is too wide each row becomes
a block of `head: text` lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

GAPS: Final = ("  ", " ")
"""Between columns, the usual one first."""
NARROWEST: Final = 14
"""No column is made narrower than this; one that is so by itself stays as it is."""
NOTHING: Final = frozenset({"", "-"})


def fitted(head: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return aligned lines under a head, none longer than `width` characters; None is as wide as it takes."""
    table = [head, *rows]
    usual, close = GAPS
    natural = _widths(table)
    if width is None or _taken(natural, usual) <= width:
        return _aligned(table, natural, usual)
    telling = [
        column for column in zip(*table, strict=True) if any(cell not in NOTHING for cell in column[1:]) or not rows
    ]
    table = list(zip(*telling, strict=True))
    natural = _widths(table)
    if _taken(natural, usual) <= width:
        return _aligned(table, natural, usual)
    widths = narrowed(natural, width - len(close) * (len(natural) - 1))
    return _aligned(table, widths, close) if widths is not None else list(_blocks(table[0], table[1:], width))


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(cell) for cell in column) for column in zip(*table, strict=True)]


def _taken(widths: Sequence[int], gap: str) -> int:
    return sum(widths) + len(gap) * (len(widths) - 1)


def _aligned(table: Sequence[Sequence[str]], widths: Sequence[int], gap: str) -> list[str]:
    return [line for cells in table for line in _lines(cells, widths, gap)]


def narrowed(natural: Sequence[int], room: int) -> list[int] | None:
    """Return widths of columns that take no more than `room` together; None where they cannot be so narrow."""
    least = [min(width, NARROWEST) for width in natural]
    if sum(least) > room:
        return None
    widths = list(natural)
    while (over := sum(widths) - room) > 0:
        widest = max(range(len(widths)), key=lambda column: widths[column] - least[column])
        second = max((width for column, width in enumerate(widths) if column != widest), default=0)
        wanted = max(least[widest], widths[widest] - over, min(second, widths[widest] - 1))
        widths[widest] = wanted
    return widths


def _lines(cells: Sequence[str], widths: Sequence[int], gap: str) -> Iterator[str]:
    """Yield the lines of a row."""
    parts = [wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for line in zip_longest(*parts, fillvalue=""):
        yield gap.join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip()


def _blocks(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield each row as a block, what says nothing left out; the first column's text alone is its title."""
    for number, row in enumerate(rows):
        if number:
            yield ""
        title, *rest = row
        yield from wrapped(title, width)
        for name, cell in zip(head[1:], rest, strict=True):
            if cell not in NOTHING:
                words = f"{name}: {cell}" if name else cell
                yield from (f"  {line}" for line in wrapped(words, max(1, width - 2)))


def wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines of a width; a word that is longer (a path) goes on in the next line."""
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, max(1, width), break_on_hyphens=False) or [""]
