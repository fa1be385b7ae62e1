"""What a model took when it was loaded changes what is planned for it next."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.fit.budget import CONTEXT_BYTES, GPU_MARGIN, HEADROOM, Budget, ProcessBytes, budget_of
from claracore.core.fit.case import Wishes
from claracore.core.fit.learnt import Correction, PlacementClass
from claracore.core.fit.memory import LEARNT, Companions, Estimate, MemoryItem, estimate
from claracore.core.fit.places import RAM
from claracore.core.fit.plan import plan
from claracore.core.fit.settings import Settings
from claracore.core.units import GIB, MIB, gib
from fit.shapes import LLAMA_8B
from fit.test_plan import MODERN, machine

WHOLE = Settings(8192, gpu_layers=33)


def test_what_was_seen_is_a_row_of_its_own() -> None:
    seen = Correction(PlacementClass.GPU, {0: GIB, RAM: -100 * MIB}, 8192)
    plain = estimate(LLAMA_8B, WHOLE)
    corrected = estimate(LLAMA_8B, WHOLE, Companions(learnt=(seen,)))
    assert corrected.on(0) == plain.on(0) + GIB
    assert corrected.on(RAM) == plain.on(RAM) - 100 * MIB
    assert {row.place for row in corrected.rows if row.what == LEARNT} == {0, RAM}
    partly = replace(WHOLE, gpu_layers=20)
    assert estimate(LLAMA_8B, partly, Companions(learnt=(seen,))) == estimate(LLAMA_8B, partly)
    assert gib(-100 * MIB) == "-100 MiB"


def test_a_model_that_took_more_gets_less_context() -> None:
    hardware = machine(12)
    before = plan(LLAMA_8B, budget_of(hardware), Wishes(), MODERN)
    seen = Correction(PlacementClass.GPU, {0: 4 * GIB}, before.settings.context)
    after = plan(LLAMA_8B, budget_of(hardware), Wishes(), MODERN, Companions(learnt=(seen,)))
    assert before.settings.gpu_layers == after.settings.gpu_layers == 33
    assert after.settings.context < before.settings.context
    assert after.fits
    assert after.budget.holds(after.estimate)


@given(context=st.integers(512, 131072), seen_with=st.integers(512, 131072), share=st.floats(0.0, 0.5))
def test_what_was_counted_too_much_is_taken_off_in_proportion(context: int, seen_with: int, share: float) -> None:
    """However much it was, nothing is ever counted as less than nothing."""
    measured = estimate(LLAMA_8B, replace(WHOLE, context=seen_with))
    seen = Correction(PlacementClass.GPU, {0: -int(measured.on(0) * share)}, seen_with)
    settings = replace(WHOLE, context=context)
    corrected = estimate(LLAMA_8B, settings, Companions(learnt=(seen,)))
    assert 0 < corrected.on(0) <= estimate(LLAMA_8B, settings).on(0)


def test_what_processes_take_is_kept_free() -> None:
    card = machine(24, 24)
    guessed, learnt = budget_of(card), budget_of(card, beside=ProcessBytes((900 * MIB, 1100 * MIB), 300 * MIB))
    assert guessed.gpus == (24 * GIB - GPU_MARGIN,) * 2
    assert learnt.gpus == (24 * GIB - 900 * MIB - HEADROOM, 24 * GIB - 1100 * MIB - HEADROOM)
    model = Estimate((MemoryItem("weights", 0, GIB, ""), MemoryItem("weights", RAM, GIB, "")))
    assert guessed.without(model).gpus == (guessed.gpus[0] - GIB - CONTEXT_BYTES, guessed.gpus[1])
    left = learnt.without(model)
    assert left.gpus == (learnt.gpus[0] - GIB - 900 * MIB, learnt.gpus[1])
    assert left.ram == learnt.ram - GIB - 300 * MIB
    assert left.beside == learnt.beside


def test_a_budget_that_nobody_has_learnt_anything_for() -> None:
    assert Budget((1,), 1, (False,)).beside.on_gpu(0) == CONTEXT_BYTES
    assert ProcessBytes((5,)).on_gpu(1) == CONTEXT_BYTES == pytest.approx(400 * MIB)
