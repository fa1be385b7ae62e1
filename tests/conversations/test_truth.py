"""Whether restores have brought anything, by what engines print and what answers tell."""

from __future__ import annotations

import pytest

from claracore.core.conversations.chosen import ChosenSlot, chosen_slot
from claracore.core.conversations.truth import MOST_CLEAR_MISSES, MOST_MISSES, Truth

ALIKE = (
    "0.01.894.227 I slot get_availabl: id  2 | task -1 | "
    "selected slot by LCP similarity, f_sim_best = 0.992 (> 0.100 thold), f_keep = 1.000"
)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (ALIKE, ChosenSlot(2, 0.992, 1.0)),
        (ALIKE.replace("f_sim_best", "sim_best"), ChosenSlot(2, 0.992, 1.0)),
        ("slot get_availabl: id  3 | task -1 | selected slot by LRU, t_last = 123", ChosenSlot(3, 0.0, 0.0)),
        ("slot get_availabl: id  3 | task -1 | selected slot by id (3)", ChosenSlot(3, 0.0, 0.0)),
        (ALIKE.replace("0.992", "0.9.92"), None),
        ("somebody says: selected slot by LCP similarity", None),
        ("slot launch_slot_: id  3 | task 0 | processing task, is_child = 0", None),
    ],
)
def test_what_an_engine_says_of_its_choice(line: str, found: ChosenSlot | None) -> None:
    assert chosen_slot(line) == found


def test_an_answer_that_reused_tokens_proves_that_it_works() -> None:
    truth = Truth()
    truth.restored({0: 900, 1: 500})
    assert truth.answered(prompt=920, cached=900) == 900
    assert (truth.works, truth.reused_tokens) == ("yes", 900)
    assert truth.answered(prompt=520, cached=500) == 500
    assert truth.answered(prompt=560, cached=520) == 0, "that is a turn after the first one"
    assert truth.reused_tokens == 1400


def test_an_engine_that_says_it_restores_and_reads_all_again_is_found_out() -> None:
    truth = Truth()
    for _ in range(MOST_MISSES):
        assert truth.works == "unknown"
        truth.restored({0: 500})
        truth.answered(prompt=520, cached=0)
    assert truth.works == "no"
    assert "reads everything again" in truth.why


def test_a_short_prompt_proves_nothing() -> None:
    truth = Truth()
    for _ in range(MOST_MISSES + 1):
        truth.restored({0: 500})
        truth.answered(prompt=30, cached=0)
        truth.answered(prompt=600, cached=0)
    assert truth.works == "unknown"


def test_new_conversations_do_not_undo_what_was_proved() -> None:
    truth = Truth()
    truth.restored({0: 500})
    truth.answered(prompt=520, cached=500)
    for _ in range(MOST_MISSES + 1):
        truth.restored({0: 500})
        truth.answered(prompt=900, cached=0)
    assert truth.works == "yes"


def test_an_engine_that_says_itself_what_it_then_reads_again_is_found_out_sooner() -> None:
    truth = Truth()
    for _ in range(MOST_CLEAR_MISSES):
        assert truth.works == "unknown"
        truth.restored({0: 500})
        truth.chosen(ChosenSlot(3, 0.0, 0.0))
        truth.answered(prompt=900, cached=0)
        assert truth.listens, "another conversation came first"
        truth.chosen(ChosenSlot(0, 0.962, 1.0))
        truth.answered(prompt=520, cached=4)
    assert truth.works == "no"


def test_new_conversations_are_no_misses_where_the_engine_says_that_they_are_new() -> None:
    truth = Truth()
    for _ in range(2 * MOST_MISSES):
        truth.restored({0: 500, 1: 700})
        truth.chosen(ChosenSlot(3, 0.0, 0.0))
        truth.answered(prompt=900, cached=0)
        truth.chosen(ChosenSlot(0, 0.05, 0.04))
        truth.answered(prompt=400, cached=0)
    assert (truth.works, truth.misses) == ("unknown", 0)


def test_a_conversation_whose_end_has_changed_is_a_miss_but_no_clear_one() -> None:
    truth = Truth()
    for _ in range(MOST_MISSES):
        assert truth.works == "unknown"
        truth.restored({0: 500})
        truth.chosen(ChosenSlot(0, 0.8, 0.8))
        truth.answered(prompt=500, cached=0)
    assert truth.works == "no"


def test_turns_after_the_first_one_count_no_more() -> None:
    truth = Truth()
    truth.restored({0: 500, 1: 700})
    truth.chosen(ChosenSlot(0, 0.962, 1.0))
    assert truth.answered(prompt=520, cached=500) == 500
    truth.chosen(ChosenSlot(0, 0.954, 1.0))
    assert truth.answered(prompt=545, cached=520) == 0
    truth.chosen(ChosenSlot(1, 0.972, 1.0))
    assert truth.answered(prompt=720, cached=700) == 700
    assert truth.reused_tokens == 1200
