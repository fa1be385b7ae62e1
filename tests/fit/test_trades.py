"""What people read of the choices for a model."""

from __future__ import annotations

import pytest

from claracore.core.fit.case import Wishes
from claracore.core.fit.plan import choices, plan
from claracore.core.fit.trades import Trade, title, tokens, trades
from fit.llama_cpp import facts
from fit.test_ways import FLAGS, budget


def offered(shape: str, cards: tuple[float, ...], ram: int = 64) -> list[Trade]:
    space = budget(cards, ram)
    chosen = plan(facts(shape), space, Wishes(), FLAGS)
    return trades(facts(shape), choices(facts(shape), space, Wishes(), FLAGS, chosen=chosen), chosen)


def test_one_card_both_cards() -> None:
    found = offered("qwen3-32b-Q4_K_M", (24, 24))
    assert [trade.title.partition(" (")[0].partition(" ")[2] for trade in found] == ["on one card"] * 2 + [
        "on both cards"
    ]
    assert found[-1].title == "40k on both cards (1.1x slower)"
    assert [trade.is_chosen for trade in found] == [False, False, True]
    assert found[-1].words == "all that the model was trained with"
    assert "leaves GPU 1 free" in found[0].words
    assert "1.1x faster" in found[0].words
    assert "the context" in found[0].words
    assert "cache of 8 bits" in found[1].words
    assert found[0].times == 1.0


def test_experts_and_layers_in_ram() -> None:
    slow = offered("glm-4.5-air-Q4_K_M", (24, 24), 96)[-1]
    assert slow.title.startswith("128k with experts of ")
    assert slow.title.endswith("x slower)")
    assert "layers in RAM" in slow.title
    assert "reads prompts more slowly" in slow.words
    assert "more of RAM" in slow.words
    layers = offered("llama-3.3-70b-Q4_K_M", (24, 24))
    assert layers[-1].title.startswith("128k with ")
    assert " of 81 layers in RAM (" in layers[-1].title


def test_what_the_chosen_one_leaves_is_told() -> None:
    chosen = next(trade for trade in offered("mistral-small-3.2-24b-Q4_K_M", (24, 24)) if trade.is_chosen)
    assert chosen.words.endswith("; leaves GPU 1 free")


def test_a_machine_with_one_card_and_one_with_none() -> None:
    (only,) = offered("gemma-2-9b-Q4_K_M", (24,))
    assert only.title == "8k on the card"
    (slow,) = offered("gemma-2-9b-Q4_K_M", ())
    assert (slow.title, slow.times) == ("8k on the processor", 1.0)


def test_a_gpu_that_shares_ram_is_no_card() -> None:
    space = budget((24,), 26, unified=True)
    chosen = plan(facts("llama-3.1-8b-Q4_K_M"), space, Wishes(), FLAGS)
    (*_, trade) = trades(facts("llama-3.1-8b-Q4_K_M"), [chosen], chosen)
    assert trade.title.endswith("k on the GPU")


def test_three_cards_of_three_and_two() -> None:
    found = offered("qwen3-next-80b-a3b-Q4_K_M", (16, 16, 16, 16), 64)
    where = " ".join(trade.title for trade in found)
    assert "on all 4 cards" in where or "of 4 cards" in where, where
    assert title(facts("qwen3-next-80b-a3b-Q4_K_M"), found[0].placement, 1.0).endswith(("cards", "RAM"))


@pytest.mark.parametrize(
    ("number", "words"),
    [(32768, "32k"), (40960, "40k"), (1048576, "1M"), (131072, "128k"), (512, "512 tokens"), (5000, "5000 tokens")],
)
def test_tokens_as_people_say_them(number: int, words: str) -> None:
    assert tokens(number) == words
