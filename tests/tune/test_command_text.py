"""A tuning in a command: values change in their place, and all else stays as it was typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.config.command import spanned, split
from claracore.core.tune.command_text import MICRO_BATCH, THREADS, number_in, tuned_command
from claracore.core.tune.tuning import Tuning

WRITTEN = """\
${llama-server} --model "/models/a b.gguf"
# context: as asked for
--ctx-size 4096
# threads: physical cores, of 16 logical processors
--threads 8
"""
NOTE = "reads 120 and writes 15.2 tokens/s (before: reads 100 and writes 12.1 tokens/s)"


def test_a_value_changes_in_its_place_below_a_comment() -> None:
    assert tuned_command(WRITTEN, Tuning(threads=6), note=NOTE) == WRITTEN.replace(
        "--threads 8", f"# tuned: {NOTE}\n--threads 6"
    )


def test_a_flag_that_is_missing_comes_at_the_end() -> None:
    tuned = tuned_command(WRITTEN, Tuning(micro_batch=4096, flash_attention=True), note=NOTE)
    assert tuned == WRITTEN + f"# tuned: {NOTE}\n--batch-size 4096\n--ubatch-size 4096\n--flash-attn on\n"


def test_another_tuning_takes_the_place_of_the_first() -> None:
    once = tuned_command(WRITTEN, Tuning(threads=6), note=NOTE)
    twice = tuned_command(once, Tuning(threads=5), note="now")
    assert twice == WRITTEN.replace("--threads 8", "# tuned: now\n--threads 5")


@pytest.mark.parametrize(
    ("before", "tuning", "after"),
    [
        ("s -m x -t 8", Tuning(threads=4), "s -m x -t 4"),
        ("s -m x --threads=8 -v", Tuning(threads=4), "s -m x --threads=4 -v"),
        ("s -m x -t 8 --threads 6", Tuning(threads=4), "s -m x -t 8 --threads 4"),
        ("s -m x -t 8 -tb 16", Tuning(threads=4), "s -m x -t 4 -tb 4"),
        ("s -m x", Tuning(threads=4), "s -m x --threads 4"),
        ("s -m x -ub 512 -b 1024", Tuning(micro_batch=2048), "s -m x -ub 2048 -b 2048"),
        ("s -m x -ub 512", Tuning(micro_batch=2048), "s -m x -ub 2048"),
        ("s -m x -ncmoe 20", Tuning(cpu_experts=17), "s -m x -ncmoe 17"),
        ("s -m x --cpu-moe -v", Tuning(cpu_experts=17), "s -m x  -v --n-cpu-moe 17"),
        ("s -m x -fa", Tuning(flash_attention=False), "s -m x -fa off"),
        ("s -m x -fa on -v", Tuning(flash_attention=False), "s -m x -fa off -v"),
        ("s -m '-t 3' -t 8", Tuning(threads=4), "s -m '-t 3' -t 4"),
        ("s -m x \\\n  -t 8 \\\n  -v", Tuning(threads=4), "s -m x \\\n  -t 4 \\\n  -v"),
        ("s -m x\n# -t 3\n-t 8\n", Tuning(threads=4), "s -m x\n# -t 3\n-t 4\n"),
        ('s -m x -t "8"', Tuning(threads=4), "s -m x -t 4"),
    ],
)
def test_spellings(before: str, tuning: Tuning, after: str) -> None:
    assert tuned_command(before, tuning) == after


@pytest.mark.parametrize(
    ("before", "on", "after"),
    [
        ("s -m x", True, "s -m x --flash-attn"),
        ("s -fa -m x", False, "s  -m x"),
        ("s -fa", True, "s -fa"),
        ("s", False, "s"),
    ],
)
def test_a_switch_of_an_older_engine_has_no_value(before: str, on: bool, after: str) -> None:  # noqa: FBT001 - as above
    assert tuned_command(before, Tuning(flash_attention=on), switch_has_value=False) == after


def test_a_command_on_one_line_gets_lines_for_its_comment() -> None:
    tuned = tuned_command("s -m x -t 8", Tuning(threads=4), note=NOTE)
    assert tuned == f"# tuned: {NOTE}\ns -m x -t 4"
    assert split(tuned) == split("s -m x -t 4")


def test_a_command_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(ValueError, match="not closed"):
        tuned_command("s -m 'x", Tuning(threads=4))


def test_numbers() -> None:
    assert number_in(WRITTEN, THREADS) == 8
    assert number_in(WRITTEN, MICRO_BATCH) is None
    with pytest.raises(ValueError, match="many"):
        number_in("s -t many", THREADS)


PIECES = st.lists(
    st.sampled_from(
        [
            "-t 8",
            "--threads=2",
            "# -t 1",
            "\n",
            " ",
            "\\\n",
            "'a b'",
            '"x\\"y"',
            "-fa",
            "on",
            "-ub 64",
            "${m}",
            "word",
            "\t",
        ]
    ),
    max_size=12,
).map(" ".join)


@given(PIECES)
def test_spans_are_the_words_of_the_command(command: str) -> None:
    try:
        words = split(command)
    except ValueError:
        return
    found = spanned(command)
    assert [word.text for word in found] == words
    assert all(split(command[word.start : word.end].replace("\\\n", "")) in ([word.text], []) for word in found)


@given(PIECES, st.builds(Tuning, threads=st.integers(1, 64), flash_attention=st.none() | st.booleans()))
def test_other_words_stay_and_what_is_wanted_counts(command: str, tuning: Tuning) -> None:
    try:
        before = split("s -m x " + command)
    except ValueError:
        return
    tuned = tuned_command("s -m x " + command, tuning, note="n")
    assert number_in(tuned, THREADS) == tuning.threads
    assert split(tuned)[:3] == ["s", "-m", "x"]
    assert tuned_command(tuned, tuning, note="n") == tuned
    assert [word for word in before if word in {"a b", "word", "${m}"}] == [
        word for word in split(tuned) if word in {"a b", "word", "${m}"}
    ]
