"""Published models on machines that people have: is every card used, is the context what fits, are the choices choices?

Facts come from the headers of fit.llama_cpp; that the bytes behind them are right is held there.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from claracore.core.fit.budget import Budget
from claracore.core.fit.case import Wishes
from claracore.core.fit.catalog import Candidate, choose
from claracore.core.fit.dealing import balanced, filled
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.places import RAM
from claracore.core.fit.plan import Placement, choices, plan
from claracore.core.fit.value import context_value
from claracore.core.fit.ways import Verdict
from claracore.core.units import GIB
from fit.llama_cpp import RECORDED, facts

FLAGS_TEXT = (
    "--ctx-size --n-gpu-layers --parallel --kv-unified --n-cpu-moe --flash-attn --cache-type-k --cache-type-v "
    "--tensor-split --embeddings --reranking --ctx-checkpoints --cache-ram --ubatch-size --batch-size --device"
)
FLAGS = KnownFlags(frozenset(FLAGS_TEXT.split()))
SHAPES = list(RECORDED["models"])
MACHINES = [((24, 24), 192), ((24, 12), 128), ((12,), 64), ((16, 16, 16), 64), ((80,), 512), ((8,), 32), ((), 64)]


def budget(cards: tuple[float, ...], ram: int, *, unified: bool = False) -> Budget:
    """What may be used of cards of so many GiB: 1 GiB less each, and 2 GiB of RAM."""
    return Budget(tuple(int((card - 1) * GIB) for card in cards), (ram - 2) * GIB, (unified,) * len(cards))


def planned(shape: str, cards: tuple[float, ...], ram: int = 64, *, unified: bool = False) -> Placement:
    return plan(facts(shape), budget(cards, ram, unified=unified), Wishes(), FLAGS)


def part_used(placement: Placement) -> list[float]:
    return [placement.estimate.on(gpu) / placement.budget.gpus[gpu] for gpu in placement.gpus]


def holds_another_layer(placement: Placement, shape: str) -> bool:
    """Whether what lies in RAM of one layer would still fit on a card."""
    weights, settings = facts(shape).tensor_bytes, placement.settings
    layer = settings.cpu_experts - 1
    size = weights.experts[layer] if layer >= 0 else max(weights.layers)
    free = [placement.budget.gpus[gpu] - placement.estimate.on(gpu) for gpu in placement.gpus]
    return max(free) >= size


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("cards", "ram"), MACHINES, ids=str)
def test_nothing_is_placed_that_is_not_there_and_no_card_is_idle(shape: str, cards: tuple[int, ...], ram: int) -> None:
    placement = planned(shape, cards, ram)
    assert placement.fits == placement.budget.holds(placement.estimate) or not placement.fits
    assert placement.settings.context <= (facts(shape).context_trained or 4096)
    assert placement.settings.context % 1024 == 0 or placement.settings.context == facts(shape).context_trained
    if placement.verdict in {Verdict.EXPERTS_IN_RAM, Verdict.PARTLY}:
        assert len(placement.gpus) == len(cards)
        assert min(part_used(placement)) >= 0.85 or not holds_another_layer(placement, shape), placement.settings


def test_experts_go_to_ram_only_when_both_cards_are_full() -> None:
    placement = planned("gpt-oss-120b-mxfp4", (24, 24), 96)
    assert placement.verdict is Verdict.EXPERTS_IN_RAM
    assert placement.settings.cpu_experts <= 13
    assert min(part_used(placement)) > 0.9
    first, second = placement.settings.split
    assert first > second, "layers without experts are light: the first card has more of them"


def test_prompts_are_read_in_long_parts_where_experts_are_copied_for_each() -> None:
    assert planned("gpt-oss-120b-mxfp4", (24, 24), 96).settings.micro_batch == 4096
    assert planned("gpt-oss-20b-mxfp4", (24,)).settings.micro_batch == 512


CASES_FOR_TABLE: list[tuple[str, tuple[float, ...], int]] = [
    ("llama-3.1-8b-Q4_K_M", (8,), 32), ("llama-3.1-8b-Q4_K_M", (24,), 64), ("gemma-3-12b-Q4_K_M", (12,), 32),
    ("mistral-small-3.2-24b-Q4_K_M", (24,), 64), ("qwen3-32b-Q4_K_M", (24,), 64), ("qwen3-32b-Q4_K_M", (24, 24), 64),
    ("llama-3.3-70b-Q4_K_M", (24,), 64), ("llama-3.3-70b-Q4_K_M", (24, 24), 64), ("gpt-oss-20b-mxfp4", (12,), 32),
    ("gpt-oss-20b-mxfp4", (16,), 32), ("gpt-oss-120b-mxfp4", (24,), 96), ("gpt-oss-120b-mxfp4", (24, 24), 96),
    ("qwen3-30b-a3b-Q4_K_M", (12,), 32), ("qwen3-30b-a3b-Q4_K_M", (24,), 64), ("qwen3-235b-a22b-Q4_K_M", (24, 24), 192),
    ("qwen3-next-80b-a3b-Q4_K_M", (24, 24), 128), ("deepseek-r1-671b-Q4_K_M", (80,), 512),
    ("mixtral-8x7b-Q4_K_M", (24,), 64),
]  # fmt: skip
"""What bench/fit/plans.py compares with llama.cpp's own --fit."""

CONTEXTS = [
    # model, cards, RAM -> where, cache, least and most context
    ("qwen3-32b-Q4_K_M", (24, 24), 64, Verdict.GPU, "f16", 40960, 40960),
    ("qwen3-32b-Q4_K_M", (24,), 64, Verdict.GPU, "q8_0", 32768, 40960),
    ("mistral-small-3.2-24b-Q4_K_M", (24,), 64, Verdict.GPU, "f16", 60416, 131072),
    ("qwen3-30b-a3b-Q4_K_M", (20,), 64, Verdict.GPU, "q8_0", 32768, 131072),
    ("gpt-oss-20b-mxfp4", (12,), 32, Verdict.EXPERTS_IN_RAM, "q8_0", 32768, 131072),
    ("llama-3.1-8b-Q4_K_M", (24,), 64, Verdict.GPU, "f16", 32768, 65536),
]


@pytest.mark.parametrize(("shape", "cards", "ram", "verdict", "cache", "least", "most"), CONTEXTS)
def test_a_context_that_is_of_use(  # noqa: PLR0917 - a table
    shape: str, cards: tuple[float, ...], ram: int, verdict: Verdict, cache: str, least: int, most: int
) -> None:
    placement = planned(shape, cards, ram)
    assert (placement.verdict, placement.settings.cache_type_k) == (verdict, cache)
    assert least <= placement.settings.context <= most
    if verdict is Verdict.GPU and shape.startswith("llama-3.1"):
        assert placement.estimate.on(0) <= placement.budget.gpus[0] // 2, "another model fits beside it"


def test_a_million_tokens_are_not_taken_because_they_fit() -> None:
    placement = planned("llama-4-scout-Q4_K_M", (128,), 128, unified=True)
    assert placement.settings.context == 131072


def test_choices_are_faster_or_have_more_context() -> None:
    found = choices(facts("qwen3-32b-Q4_K_M"), budget((24, 24), 64), Wishes(), FLAGS)
    assert [len(placement.gpus) for placement in found][-1] == 2
    assert {placement.settings.context for placement in found} >= {40960}
    assert found[0].time < found[-1].time
    for faster, slower in pairwise(found):
        assert faster.time <= slower.time


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_chosen_is_among_the_choices(shape: str) -> None:
    for cards, ram in MACHINES[:3]:
        space = budget(cards, ram)
        chosen = plan(facts(shape), space, Wishes(), FLAGS)
        found = choices(facts(shape), space, Wishes(), FLAGS)
        assert bool(found) == chosen.fits
        assert not found or chosen in found
        assert all(space.holds(placement.estimate) for placement in found)
        assert len(found) <= 5


def test_layers_are_counted_out_by_their_bytes() -> None:
    assert balanced([10] * 10, [100, 100]) == (5, 5)
    assert balanced([1] * 5 + [10] * 5, [100, 100]) == (7, 3)
    assert balanced([10] * 9, [100, 50]) == (6, 3)
    assert filled([10] * 10, [75, 100]) == (7, 3)
    assert filled([10] * 10, [0, 100]) == (0, 10)
    assert sum(balanced([7] * 13, [3, 5, 9])) == sum(filled([7] * 13, [3, 5, 9])) == 13


def test_context_is_worth_less_and_less() -> None:
    values = [context_value(1024 << power) for power in range(1, 11)]
    gains = [after - before for before, after in pairwise(values)]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] == 2.0
    assert gains[3] == 1.0
    assert gains[-1] == 0.25


def test_the_longest_context_is_among_the_choices_and_what_is_worth_little_is_not() -> None:
    space = budget((24, 24), 96)
    found = choices(facts("glm-4.5-air-Q4_K_M"), space, Wishes(), FLAGS)
    assert len(found) == 5
    assert max(placement.settings.context for placement in found) == 131072
    assert min(placement.settings.context for placement in found) > 8192


def test_a_helper_may_be_put_on_the_processor_and_a_chat_model_is_not_offered_it() -> None:
    space = budget((24,), 64)
    assert [found.gpus for found in choices(facts("bge-m3-Q8_0"), space, Wishes(), FLAGS)] == [(0,), ()]
    assert all(found.gpus for found in choices(facts("llama-3.1-8b-Q4_K_M"), space, Wishes(), FLAGS))


def test_choices_are_those_beside_what_was_chosen_elsewhere() -> None:
    chosen = plan(facts("llama-3.1-8b-Q4_K_M"), budget((12,), 64), Wishes(comfort=16384), FLAGS)
    found = choices(facts("llama-3.1-8b-Q4_K_M"), budget((24,), 64), Wishes(), FLAGS, chosen=chosen)
    assert [placement.settings for placement in found].count(chosen.settings) == 1
    assert {placement.budget for placement in found} == {budget((24,), 64)}
    assert max(placement.settings.context for placement in found) == 131072


def test_what_helpers_need_for_their_longest_inputs_is_there_for_all_of_them() -> None:
    names = ("bge-m3-Q8_0", "bge-reranker-v2-m3-Q8_0", "glm-4.5-air-Q4_K_M")
    space = budget((24,), 64)
    chosen = choose([Candidate(name, f"/{name}", facts(name)) for name in names], space, Wishes(), FLAGS).chosen
    assert len(chosen) == len(names)
    in_ram = [item.placement.estimate.on(RAM) for item in chosen]
    assert sum(in_ram) <= space.ram
    inputs = {item.candidate.id: item.placement.settings.context for item in chosen}
    assert min(inputs.values()) >= 1024


def test_a_helper_that_takes_a_models_place_goes_to_ram_and_the_other_stays() -> None:
    helpers = ("bge-m3-Q8_0", "bge-reranker-v2-m3-Q8_0")
    chat = "mistral-small-3.2-24b-Q4_K_M"
    found = [Candidate(name, f"/{name}", facts(name)) for name in (*helpers, chat)]
    where = {}
    for card in (16.5, 24):
        chosen = choose(found, budget((card,), 64), Wishes(), FLAGS).chosen
        placed = {item.candidate.id: item.placement for item in chosen}
        alone = planned(chat, (card,))
        assert placed[chat].verdict is alone.verdict is Verdict.GPU
        assert placed[chat].settings.context >= alone.settings.context / 2
        where[card] = [placed[name].verdict for name in helpers]
    assert where == {16.5: [Verdict.GPU, Verdict.CPU], 24: [Verdict.GPU, Verdict.GPU]}


def test_many_helpers_are_not_tried_one_by_one() -> None:
    helper = facts("bge-m3-Q8_0")
    found = [Candidate(f"helper-{number}", f"/{number}", helper) for number in range(9)]
    found.append(Candidate("chat", "/chat", facts("mistral-small-3.2-24b-Q4_K_M")))
    chosen = choose(found, budget((16.5,), 64), Wishes(), FLAGS).chosen
    assert {item.placement.verdict for item in chosen if item.candidate.id != "chat"} == {Verdict.CPU}
