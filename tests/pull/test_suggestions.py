"""Which models are suggested, to which machine?"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from claracore.core.fit.budget import Budget
from claracore.core.fit.size import SizeVerdict, speed_by_size
from claracore.core.fit.speed import MachineSpeed
from claracore.core.pull.suggestions import PLEASANT, SHOWN, Suggestion, WrongSuggestion, suggestions_of, suited
from claracore.core.units import GIB
from claracore.host.library.suggested import suggestions

LAPTOP = Budget((), 14 * GIB, ()), MachineSpeed(50e9, 8)
CARD = Budget((23 * GIB,), 60 * GIB, (False,)), MachineSpeed(60e9, 16, (1000e9,), (80e12,))
SMALL = Budget((), 3 * GIB, ()), MachineSpeed(15e9, 4)
ONE = {
    "repo": "org/one-GGUF",
    "quantization": "Q4_K_M",
    "name": "One",
    "bytes": GIB,
    "projector_bytes": 0,
    "parameters": 10**9,
    "active_parameters": 10**9,
    "good_for": "Tests",
    "licence": "mit",
}


def named(machine: tuple[Budget, MachineSpeed]) -> list[str]:
    return [each.suggestion.name for each in suited(suggestions(), *machine)]


def test_a_machine_is_shown_six_that_it_can_run_and_the_recommended_one_first() -> None:
    for machine in (LAPTOP, CARD, SMALL):
        found = suited(suggestions(), *machine)
        assert len(found) == SHOWN
        assert [each.recommended for each in found] == [True, *[False] * (SHOWN - 1)]
        assert all(each.fit is not SizeVerdict.NOWHERE for each in found)
    assert named(CARD)[0] == "Qwen3 32B"
    assert "SmolLM2 135M" not in named(CARD)
    assert "Qwen3 32B" not in named(LAPTOP)
    assert max(each.suggestion.total_bytes for each in suited(suggestions(), *SMALL)) < 3 * GIB


def test_a_first_model_takes_at_most_half_of_what_is_free_and_answers_at_once() -> None:
    """Seen on two cores without a GPU: 17.3 GiB of 17.8 for 13 tokens per second."""
    two_cores = Budget((), round(20.5 * GIB), ()), MachineSpeed(26e9, 2)
    found = suited(suggestions(), *two_cores)
    assert found[0].suggestion.total_bytes < 10 * GIB
    assert (found[0].writing or 0) >= PLEASANT
    assert len(found) == SHOWN
    assert found[0].suggestion not in [each.suggestion for each in found[1:]]
    fast = suited(suggestions(), Budget((), 20 * GIB, ()), MachineSpeed(500e9, 16))
    assert fast[0].suggestion.total_bytes <= 10 * GIB < max(each.suggestion.total_bytes for each in fast)


def test_a_mixture_of_experts_is_as_fast_as_what_it_uses() -> None:
    by_name = {each.suggestion.name: each for each in suited(suggestions(), *CARD, len(suggestions()))}
    experts, dense = by_name["Qwen3 Coder 30B"].writing, by_name["Qwen3 32B"].writing
    assert experts is not None
    assert dense is not None
    assert experts > 4 * dense


def test_where_nothing_fits_the_smallest_are_shown_with_what_they_are() -> None:
    found = suited(suggestions(), Budget((), 1, ()), MachineSpeed(1e9, 1))
    assert found[0].suggestion.name == "SmolLM2 135M"
    assert {each.fit for each in found} == {SizeVerdict.NOWHERE}
    assert not any(each.recommended for each in found)


def test_where_all_are_slow_the_fastest_is_recommended() -> None:
    found = suited(suggestions(), Budget((), 60 * GIB, ()), MachineSpeed(2e8, 1))
    assert found[0].suggestion.name == "SmolLM2 135M"
    assert found[0].recommended


def test_a_speed_needs_a_bandwidth_of_each_place() -> None:
    budget = Budget((4 * GIB,), 30 * GIB, (False,))
    assert speed_by_size(2 * GIB, 1, budget, MachineSpeed(None, 8, (500e9,))) is not None
    assert speed_by_size(8 * GIB, 1, budget, MachineSpeed(None, 8, (500e9,))) is None
    assert speed_by_size(100 * GIB, 1, budget, MachineSpeed(50e9, 8, (500e9,))) is None
    partly = speed_by_size(8 * GIB, 1, budget, MachineSpeed(50e9, 8, (500e9,))) or 0
    in_ram = speed_by_size(8 * GIB, 1, Budget((), 30 * GIB, ()), MachineSpeed(50e9, 8)) or 0
    assert in_ram < partly < 2.5 * in_ram


def test_an_entry_is_read_back_as_it_is_written() -> None:
    (found,) = suggestions_of({"model": [ONE]})
    assert asdict(found) == ONE
    assert str(found.reference) == "org/one-GGUF:Q4_K_M"
    assert replace(found, projector_bytes=5).total_bytes == GIB + 5
    assert isinstance(found, Suggestion)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], "no [[model]]"),
        (["one"], "entry 1 is no table"),
        ([ONE, ONE], "there twice"),
        ([{**ONE, "extra": 1}], "other keys"),
        ([{key: value for key, value in ONE.items() if key != "licence"}], "licence"),
        ([{**ONE, "bytes": "many"}], "bytes = 'many'"),
        ([{**ONE, "bytes": True}], "bytes = True"),
        ([{**ONE, "bytes": 0}], "cannot be"),
        ([{**ONE, "good_for": ""}], "good_for = ''"),
        ([{**ONE, "repo": "one"}], "organisation is missing"),
        ([{**ONE, "active_parameters": 2 * 10**9}], "cannot be"),
    ],
)
def test_what_is_wrong_with_an_entry_is_told(entries: list[Any], words: str) -> None:
    with pytest.raises(WrongSuggestion) as caught:
        suggestions_of({"model": entries})
    assert words in str(caught.value)
