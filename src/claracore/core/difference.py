"""Which lines of a text have changed, as a unified diff?

`difflib` alone takes minutes for a configuration of thousands of models in which every command changes: it compares
whatever could be the same. Here lines that occur once in either text are matched first, as `git diff --patience` does,
and `difflib` looks only at the few lines between two of them. The time grows with the length of the texts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher

SMALL_GAP = 40_000
"""Lines of one text times lines of the other that are compared with each other: 200 by 200."""


def unified_diff(old: str, new: str, old_name: str, new_name: str) -> str:
    """Return what changed, with three lines around it; empty when nothing did."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    matches = [*_joined(_matches(before, after, 0, 0)), Match(len(before), len(after), 0)]
    lines: list[str] = []
    for group in _KnownMatches(matches).get_grouped_opcodes() if old != new else ():
        (_, old_start, _, new_start, _), (_, _, old_end, _, new_end) = group[0], group[-1]
        lines.append(f"@@ -{_range(old_start, old_end)} +{_range(new_start, new_end)} @@\n")
        for what, i1, i2, j1, j2 in group:
            if what == "equal":
                lines += [" " + line for line in before[i1:i2]]
            else:
                lines += ["-" + line for line in before[i1:i2]]
                lines += ["+" + line for line in after[j1:j2]]
    return "".join([f"--- {old_name}\n+++ {new_name}\n", *lines]) if lines else ""


class _KnownMatches(SequenceMatcher[str]):
    """Groups matches that were found without `difflib`."""

    def __init__(self, matches: list[Match]) -> None:
        super().__init__(None, (), ())
        self._matches = matches

    def get_matching_blocks(self) -> list[Match]:
        return self._matches


def _range(start: int, end: int) -> str:
    """Write a range of lines as the format has it: counted from 1, one line without its length."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _matches(before: Sequence[str], after: Sequence[str], i: int, j: int) -> Iterator[Match]:
    """Yield which lines are the same, in order; `i` and `j` are where these parts begin in the whole texts."""
    head = _same(before, after)
    if head:
        yield Match(i, j, head)
    before, after, i, j = before[head:], after[head:], i + head, j + head
    tail = _same(before[::-1], after[::-1])
    before, after = before[: len(before) - tail], after[: len(after) - tail]
    if before and after:
        yield from _between(before, after, i, j)
    if tail:
        yield Match(i + len(before), j + len(after), tail)


def _between(before: Sequence[str], after: Sequence[str], i: int, j: int) -> Iterator[Match]:
    """Yield matches of parts that begin and end differently; none for long ones that have no line to go by."""
    if len(before) * len(after) <= SMALL_GAP:
        for found in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()[:-1]:
            yield Match(i + found.a, j + found.b, found.size)
        return
    anchors = _anchors(before, after)
    at = (0, 0)
    for anchor in [*anchors, (len(before), len(after))] if anchors else ():
        yield from _matches(before[at[0] : anchor[0]], after[at[1] : anchor[1]], i + at[0], j + at[1])
        at = anchor


def _anchors(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Return lines that occur once in both parts, as many as stand in the same order: the longest such sequence."""
    counts, others = Counter(before), Counter(after)
    places = {line: place for place, line in enumerate(after) if others[line] == 1}
    pairs = [(i, places[line]) for i, line in enumerate(before) if counts[line] == 1 and line in places]
    lowest: list[int] = []  # of all sequences of length n + 1, the lowest place at which one ends
    ends: list[int] = []  # ... and the pair that it ends with
    previous: list[int] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(lowest, place)
        lowest[length : length + 1] = [place]
        ends[length : length + 1] = [number]
        previous.append(ends[length - 1] if length else -1)
    chosen: list[tuple[int, int]] = []
    number = ends[-1] if ends else -1
    while number >= 0:
        chosen.append(pairs[number])
        number = previous[number]
    return chosen[::-1]


def _same(before: Sequence[str], after: Sequence[str]) -> int:
    """Return with how many equal lines both begin."""
    for number, (one, other) in enumerate(zip(before, after, strict=False)):
        if one != other:
            return number
    return min(len(before), len(after))


def _joined(matches: Iterator[Match]) -> Iterator[Match]:
    """Join matches that follow each other without a gap, as `difflib` expects them."""
    last: Match | None = None
    for match in matches:
        if last is not None and (last.a + last.size, last.b + last.size) == (match.a, match.b):
            last = Match(last.a, last.b, last.size + match.size)
            continue
        if last is not None:
            yield last
        last = match
    if last is not None:
        yield last
