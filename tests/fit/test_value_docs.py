"""The numbers of the value function stand in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from claracore.core.fit import value, ways
from claracore.core.fit.catalog import HELPERS_PART, LIGHT_BYTES, LIGHT_CONTEXT, LIGHT_PARAMETERS
from claracore.core.fit.extras import CHECKPOINT_TOKENS, MOST_CHECKPOINTS
from claracore.core.units import GIB

TEXT = " ".join((Path(__file__).resolve().parents[2] / "docs" / "setup.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    "words",
    [
        f"+1 for each doubling up to {value.FULL_CONTEXT:,}",
        f"Below {value.SHORT_CONTEXT:,} half the context costs 2",
        f"-{value.SPEED:g} for each doubling of the time",
        f"take {value.RAM_SLOWNESS:g} times as long as on a card",
        f"each further card adds {value.HANDING_OVER:.0%} for".replace("%", " %"),
        f"-{value.EIGHT_BITS:g}; where weights are in RAM and the context is above {value.LONG_CONTEXT:,}",
        f"-{value.RATHER_THAN_RAM:g}: rather that",
        f"-{value.SHORT_BATCHES:g} for each halving from {value.LONGEST_BATCH:,}",
        f"may have all, up to {ways.MODEST_CONTEXT:,}",
        f"a context of at most {ways.CPU_COMFORT:,}, because a longer prompt",
        f"at most {LIGHT_PARAMETERS / 1e9:g} billion parameters",
        f"a file of at most {2 * LIGHT_BYTES // GIB} GiB, or {LIGHT_BYTES // GIB} GiB with its context",
        f"takes a context of {LIGHT_CONTEXT:,} at most",
        f"one for each {CHECKPOINT_TOKENS:,} tokens of context and 2 more, at most {MOST_CHECKPOINTS}",
    ],
)
def test_a_number_is_as_documented(words: str) -> None:
    assert words in TEXT


def test_words_for_numbers() -> None:
    assert HELPERS_PART == 5, "a fifth of each device"
    assert value.BEYOND == 0.25, "a quarter for each beyond"
