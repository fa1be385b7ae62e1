"""Our plans against llama.cpp's own --fit, with the bytes that llama.cpp says both take (plans.json).

`make bench-fit-plans` records it and prints the table of docs/setup.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fit.test_ways import CASES_FOR_TABLE, planned

ROWS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "plans.json").read_text())["rows"]
MARGIN = 1.0
"""GiB of each card that stay free; --fit leaves as much."""
CLOSE = 0.05
"""GiB by which an estimate may be off."""
MODEST = ("llama-3.1-8b-Q4_K_M", [24])
"""A model that leaves half of the card for another one: --fit takes all of it for its context."""


def ids(row: dict[str, Any]) -> str:
    return f"{row['shape']}-{row['cards']}"


def test_the_record_is_of_these_cases() -> None:
    assert [(row["shape"], tuple(row["cards"]), row["ram"]) for row in ROWS] == CASES_FOR_TABLE


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_the_plan_is_still_the_one_that_was_compared(row: dict[str, Any]) -> None:
    settings = planned(row["shape"], tuple(row["cards"]), row["ram"]).settings
    found = (settings.context, settings.cache_type_k, settings.gpu_layers, settings.cpu_experts)
    ours = row["ours"]
    assert found == (ours["context"], ours["cache"], ours["layers_on_gpus"], ours["moved"]), "make bench-fit-plans"


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_llama_cpp_agrees_that_every_card_holds_it(row: dict[str, Any]) -> None:
    for card, used in zip(row["cards"], row["ours"]["cards"], strict=True):
        assert used <= card - MARGIN + CLOSE


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_there_is_no_less_context_than_with_fit_and_no_more_in_ram(row: dict[str, Any]) -> None:
    ours, fit, same = row["ours"], row["fit"], row["fit_same"]
    if (row["shape"], row["cards"]) != MODEST:
        assert ours["context"] >= fit["context"] * 0.95
    # --fit moves parts of layers, we move whole ones: up to 2 GiB more.
    assert ours["moved"] <= same["moved"] + 2
    assert ours["ram"] <= same["ram"] * 1.05 + 2.0
