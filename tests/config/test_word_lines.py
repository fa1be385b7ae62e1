"""Where the words of a command stand, and what is left of its lines without some."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.config.command import spanned, split
from claracore.core.config.word_lines import with_lines, without_words

PIECES = st.sampled_from(
    ["a", "-c", "4096", "'a b'", '"x y"', "\\ ", " ", "\n", "\\\n", "# no\n", "#", "${PORT}", "é", '"', "\t"]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_words_are_those_of_the_command(cmd: str) -> None:
    words = None
    with contextlib.suppress(ValueError):
        words = split(cmd)
    if words is None:
        with pytest.raises(ValueError, match=r"closed|backslash"):
            spanned(cmd)
        return
    found = spanned(cmd)
    assert [word.text for word in found] == words
    ends = [0, *(word.end for word in found)]
    assert all(before <= word.start < word.end for before, word in zip(ends, found, strict=False))


def test_a_line_of_which_nothing_is_left_goes_and_others_stay() -> None:
    cmd = "server -m x \\\n  -c 4096 \\\n# mine\n  --port 1 -t 4"
    words = spanned(cmd)
    taken = [word for word in words if word.text in {"-c", "4096", "-t", "4"}]
    lines = without_words(cmd, taken)
    assert lines == {0: "server -m x \\", 1: None, 2: "# mine", 3: "  --port 1"}
    assert with_lines(lines, {1: ["-c 1"], 4: ["-t 2"]}) == "server -m x \\\n-c 1\n# mine\n  --port 1\n-t 2"
