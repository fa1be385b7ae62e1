"""A set of plans, of which llama.cpp has said something about some."""

from __future__ import annotations

from dataclasses import replace

from claracore.core.fit.budget import Budget
from claracore.core.fit.case import Wishes
from claracore.core.fit.catalog import LARGE, LIGHT_CONTEXT, SMALL, Candidate, choose
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.learnt import Correction, PlacementClass
from claracore.core.fit.opinion import OpinionOutcome, SecondOpinion
from claracore.core.fit.reconsider import cases_of, reconsidered
from claracore.core.fit.ways import Verdict
from claracore.core.units import GIB, MIB
from fit.llama_cpp import facts

FLAGS = KnownFlags(frozenset({"--ctx-size", "--n-gpu-layers", "--parallel", "--kv-unified"}))
BUDGET = Budget((23 * GIB,), 62 * GIB, (False,))
CANDIDATES = [
    Candidate("large", "/m/large.gguf", facts("llama-3.1-8b-Q4_K_M")),
    Candidate("light", "/m/light.gguf", facts("gemma-3-4b-Q4_K_M")),
    Candidate("reader", "/m/reader.gguf", facts("nomic-embed-text-v1.5-F16")),
]


def test_each_model_that_writes_is_asked_about_as_it_was_planned() -> None:
    catalog = choose(CANDIDATES, BUDGET, Wishes(), FLAGS)
    cases = cases_of(catalog, BUDGET, Wishes(), FLAGS)
    assert sorted(cases) == ["large", "light"]
    assert cases["light"].wishes.comfort == LIGHT_CONTEXT
    assert cases["large"].wishes.comfort is None
    for chosen in catalog.chosen[:2]:
        assert cases[chosen.candidate.id].budget == chosen.placement.budget


def test_what_was_said_is_in_the_plan_and_its_reason() -> None:
    catalog = choose(CANDIDATES, BUDGET, Wishes(), FLAGS)
    large, light, _ = catalog.chosen
    shorter = replace(large.placement, settings=replace(large.placement.settings, context=1024))
    off = Correction(PlacementClass.GPU, {0: 700 * MIB}, 8192)
    opinions = {
        "large": SecondOpinion(shorter, OpinionOutcome.CORRECTED, (), (off,)),
        "light": SecondOpinion(light.placement, OpinionOutcome.AGREED),
    }
    after = reconsidered(catalog, opinions, BUDGET)
    assert after.chosen[1:] == catalog.chosen[1:]
    assert after.chosen[0].placement.settings.context == 1024
    assert after.chosen[0].placement.reason.endswith("; llama.cpp itself counts 700 MiB more")
    assert after.chosen[0].group == LARGE
    assert after.refused == ()


def test_what_does_not_fit_after_all_is_refused() -> None:
    catalog = choose(CANDIDATES, BUDGET, Wishes(), FLAGS)
    too_large = replace(catalog.chosen[0].placement, verdict=Verdict.NOT, reason="needs more")
    opinions = {"large": SecondOpinion(too_large, OpinionOutcome.CORRECTED)}
    after = reconsidered(catalog, opinions, BUDGET)
    assert [chosen.candidate.id for chosen in after.chosen] == ["light", "reader"]
    assert [(refused.candidate.id, refused.placement.reason) for refused in after.refused] == [("large", "needs more")]


def test_one_that_is_no_longer_small_is_not_kept_with_the_small_ones() -> None:
    catalog = choose(CANDIDATES[:1], BUDGET, Wishes(1024), FLAGS)
    (large,) = catalog.chosen
    small = replace(catalog, chosen=(replace(large, group=SMALL),))
    changed = replace(large.placement, settings=replace(large.placement.settings, context=2048))
    after = reconsidered(small, {"large": SecondOpinion(changed, OpinionOutcome.CORRECTED)}, BUDGET)
    assert after.chosen[0].group == LARGE
