"""What is different is what `patch` needs to make one text of the other, and long texts are compared only in parts."""

from __future__ import annotations

import difflib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core import difference
from claracore.core.difference import unified_diff

HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n")


def patched(old: str, diff: str) -> str:
    """Do what the diff says, as `patch` does: every line of context and every line that goes must be there."""
    before, done = old.splitlines(keepends=True), 0
    after: list[str] = []
    for line in diff.splitlines(keepends=True)[2:]:
        hunk = HUNK.fullmatch(line)
        if hunk is not None:
            start = int(hunk[1]) - (1 if hunk[2] != "0" else 0)
            after += before[done:start]
            done = start
            assert len(after) == int(hunk[3]) - (1 if hunk[4] != "0" else 0)
            continue
        if line[0] in " -":
            assert before[done] == line[1:]
            done += 1
        if line[0] in " +":
            after.append(line[1:])
    return "".join([*after, *before[done:]])


def test_it_reads_as_difflibs() -> None:
    old = "".join(f"line {n}\n" for n in range(40))
    new = old.replace("line 3\n", "").replace("line 20\n", "line twenty\nand one\n") + "the end\n"
    expected = "".join(
        difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), "a", "a (new)")
    )
    assert unified_diff(old, new, "a", "a (new)") == expected


def test_equal_texts_have_none() -> None:
    assert unified_diff("a\nb\n", "a\nb\n", "a", "b") == ""


TEXTS = st.lists(st.sampled_from("abcdefgh"), max_size=60).map(lambda words: "".join(f"{word}\n" for word in words))


@given(TEXTS, TEXTS)
def test_the_new_text_comes_of_the_old_one(old: str, new: str) -> None:
    assert patched(old, unified_diff(old, new, "old", "new")) == new


@given(TEXTS, TEXTS)
def test_so_it_does_where_parts_are_too_long_to_compare(old: str, new: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(difference, "SMALL_GAP", 9)
        assert patched(old, unified_diff(old, new, "old", "new")) == new


def text(models: int, threads: int) -> str:
    return "".join(
        f"  model-{n}:\n    name: Model {n}\n    cmd: |\n      -m {n}.gguf\n      --threads {threads}\n    ttl: 60\n"
        for n in range(models)
    )


@pytest.mark.parametrize("models", [50, 500])
def test_what_is_compared_grows_with_the_text_only(models: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    class Counting(difflib.SequenceMatcher[str]):
        def __init__(self, junk: None, before: list[str], after: list[str], *, autojunk: bool = True) -> None:
            compared.append(len(before) * len(after))
            super().__init__(junk, before, after, autojunk)

    monkeypatch.setattr(difference, "SequenceMatcher", Counting)
    old, new = text(models, 8), text(models, 4)
    diff = unified_diff(old, new, "old", "new")
    assert diff.count("\n-      ") == diff.count("\n+      ") == models
    assert patched(old, diff) == new
    assert sum(compared) <= 10 * models
