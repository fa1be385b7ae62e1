"""Whole windows are offered where conversations of a model survive swaps by them alone, with their price in bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from claracore.core.fit.case import Wishes
from claracore.core.fit.command import flags
from claracore.core.fit.flags import SAVED_CHECKPOINTS, KnownFlags
from claracore.core.fit.memory import Companions
from claracore.core.fit.placed_command import placed_flags, says, with_flags
from claracore.core.fit.plan import Placement, choices, plan
from claracore.core.fit.trades import Trade, trades
from claracore.core.gguf.facts import facts_of
from claracore.core.gguf.header import read_header
from claracore.core.gguf.model import ModelFacts
from claracore.core.gguf.projector import ProjectorFacts
from claracore.core.units import MIB
from claracore.host.engines.llama_flags import LLAMA_FLAGS
from fit.llama_cpp import facts
from fit.test_placed_command import machine
from fit.test_ways import budget

OLD, NEW = KnownFlags(LLAMA_FLAGS), KnownFlags(LLAMA_FLAGS | {SAVED_CHECKPOINTS})
GEMMA = "gemma-3-4b-Q4_K_M"
NOTHING = Companions()


def offered(
    model: ModelFacts,
    known: KnownFlags = OLD,
    *,
    cards: tuple[float, ...] = (24,),
    ram: int = 64,
    companions: Companions = NOTHING,
    context: int | None = None,
) -> tuple[Placement, list[Trade]]:
    """Return what is chosen, and the choices with whole windows."""
    space, wishes = budget(cards, ram), Wishes(context)
    chosen = plan(model, space, wishes, known, companions)
    found = trades(model, choices(model, space, wishes, known, companions, chosen=chosen), chosen)
    return chosen, [trade for trade in found if trade.placement.settings.full_window]


def test_the_price_is_what_llama_cpp_takes(gemma: Path) -> None:
    # llama-server b11434, -c 16384 --parallel 4 --kv-unified: caches of 48.00 + 37.50 MiB and 36.78 MiB to compute in,
    # with --swa-full 48.00 + 240.00 MiB and 50.28 MiB.
    with gemma.open("rb") as file:
        model = facts_of(read_header(file, size=gemma.stat().st_size))
    chosen, (trade,) = offered(model, cards=(), context=16384)
    assert chosen.settings.context == 16384
    price = trade.placement.loaded.total - chosen.loaded.total
    assert price == pytest.approx((240.00 - 37.50 + 50.28 - 36.78) * MIB, abs=MIB / 2)
    assert trade.words == "--swa-full takes 216 MiB more: the engine then brings conversations back whole after a swap"
    assert trade.title == "16k on the processor, conversations survive swaps"
    assert not trade.is_chosen


def test_it_is_the_chosen_way_but_for_its_windows() -> None:
    chosen, (trade,) = offered(facts(GEMMA))
    one, other = trade.placement.settings, chosen.settings
    assert (one.context, one.gpu_layers, one.cache_type_k) == (other.context, other.gpu_layers, other.cache_type_k)
    assert one.checkpoints is None, "nothing is needed to go back to"
    assert trade.placement.budget.holds(trade.placement.estimate)


@pytest.mark.parametrize(
    ("shape", "known"),
    [
        pytest.param(GEMMA, NEW, id="an engine that keeps copies of windows in the file"),
        pytest.param(GEMMA, KnownFlags(LLAMA_FLAGS - {"--slot-save-path"}), id="an engine that saves nothing"),
        pytest.param(GEMMA, KnownFlags(LLAMA_FLAGS - {"--swa-full"}), id="an engine that has no whole windows"),
        pytest.param("qwen3-32b-Q4_K_M", OLD, id="a model without windows"),
        pytest.param("qwen3-next-80b-a3b-Q4_K_M", OLD, id="a model with a recurrent state"),
        pytest.param("embeddinggemma-300m-Q8_0", OLD, id="an embedder"),
    ],
)
def test_it_is_not_offered_where_it_brings_nothing(shape: str, known: KnownFlags) -> None:
    assert offered(facts(shape), known)[1] == []


def test_it_is_not_offered_where_memory_is_short_or_nothing_is_saved() -> None:
    assert offered(facts("gemma-3-27b-Q4_K_M"), cards=(24,), ram=16)[1] == []
    seeing = Companions(projector=ProjectorFacts(1 << 20))
    assert offered(facts(GEMMA), companions=seeing)[1] == []


def test_it_is_written_and_goes_with_another_choice() -> None:
    model, hardware = facts(GEMMA), machine(24)
    chosen, (trade,) = offered(model)
    words = [placed_flags(flags(model, one, OLD, hardware)) for one in (chosen, trade.placement)]
    before = with_flags("llama-server -m a.gguf", words[0])
    after = with_flags(before, words[1])
    assert "--swa-full" in after.split()
    assert "--ctx-checkpoints" not in after.split()
    assert says(after, words[1])
    assert not says(after, words[0])
    assert with_flags(after, words[0]).split() == before.split()
