"""What is learnt from runs, with what an NVIDIA H200 showed (tests/fit/measured_h200.json)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from claracore.core.fit.budget import CONTEXT_BYTES
from claracore.core.fit.learnt import PlacementClass, placement_class
from claracore.core.fit.places import RAM
from claracore.core.fit.settings import Settings
from claracore.core.memory.devices import GUESSED, RAM_BESIDE_GPU, Overheads, by_device
from claracore.core.memory.measured import MeasuredCommand, correction, overheads, with_run
from claracore.core.units import GIB, MIB
from fit.test_from_command import machine
from fit.test_measured import PLAIN, SHAPES, expected, named


def command(taken: Mapping[str, int], expected: Mapping[str, int], **more: Any) -> MeasuredCommand:
    return MeasuredCommand("m", "/m.gguf", (taken,), 1.0, expected, "gpu", 8192, loaded=taken, **more)


def on_the_card(shape: dict[str, Any], *, with_log: bool) -> MeasuredCommand:
    """What would be remembered of a run on the H200, after its first prompt."""
    (taken,) = shape["used"]["by_process"]
    reserved = int(sum(shape["buffers"]["CUDA0"].values()) * MIB)
    beside = {"gpu0": taken - reserved} if with_log else {}
    on_gpu = expected(shape).on(0)
    return command({"gpu0": taken}, {"gpu0": on_gpu}, overheads=beside)


def test_the_largest_of_the_last_runs_counts() -> None:
    known = None
    for size in (900, 500, 600, 700):
        known = with_run(known, command({"ram": size}, {}), same_run=False)
    assert known is not None
    assert known.footprint.by_device == {"ram": 700}


def test_within_one_run_it_only_grows() -> None:
    known = with_run(None, command({"ram": 5, "gpu0": 9}, {}), same_run=False)
    known = with_run(known, command({"ram": 7, "gpu0": 8}, {}), same_run=True)
    assert known.runs == ({"ram": 7, "gpu0": 9},)


def test_caches_that_grow_correct_no_plan() -> None:
    known = with_run(None, command({"ram": 5, "gpu0": 9}, {}, overheads={"ram": 1, "gpu0": 2}), same_run=False)
    known = with_run(known, command({"ram": 99, "gpu0": 12}, {}, overheads={"ram": 90, "gpu0": 4}), same_run=True)
    assert known.footprint.by_device == {"ram": 99, "gpu0": 12}
    assert (known.loaded, known.overheads) == ({"ram": 5, "gpu0": 12}, {"ram": 1, "gpu0": 4})


@pytest.mark.parametrize("with_log", [True, False])
def test_the_context_of_a_card_is_learnt(with_log: bool) -> None:  # noqa: FBT001 - a case
    measured = [on_the_card(shape, with_log=with_log) for shape in PLAIN]
    found = overheads(measured).of("gpu0") / MIB
    assert 690 < found < 900
    assert overheads([]).of("gpu0") == CONTEXT_BYTES


@pytest.mark.parametrize("shape", PLAIN, ids=named)
def test_with_what_was_learnt_the_next_plan_is_right(shape: dict[str, Any]) -> None:
    """Within 3 %, or corrected by what it was off."""
    known = overheads([on_the_card(each, with_log=True) for each in PLAIN])
    run = on_the_card(shape, with_log=True)
    counted, (taken,) = known.added({"gpu0": expected(shape).on(0)})["gpu0"], shape["used"]["by_process"]
    off = correction(run, known)
    corrected = counted + (off.by_place.get(0, 0) if off else 0)
    assert corrected == pytest.approx(taken, rel=0.03, abs=32 * MIB)


def test_an_estimate_that_is_far_off_is_corrected() -> None:
    known = overheads([on_the_card(each, with_log=True) for each in PLAIN])
    run = on_the_card(PLAIN[0], with_log=True)
    off = correction(replace(run, expected={"gpu0": 2 * run.expected["gpu0"]}), known)
    assert off is not None
    assert off.by_place[0] == pytest.approx(-run.expected["gpu0"], rel=0.02)


def test_a_correction_is_for_the_same_placement_only() -> None:
    off = correction(
        command(
            {"gpu0": 20 * GIB, "gpu1": 10 * GIB, "ram": 1000 * MIB},
            {"gpu0": 18 * GIB, "gpu1": 9 * GIB, "ram": 400 * MIB},
        ),
        Overheads({"gpu0": 0, "gpu1": 0, RAM_BESIDE_GPU: 0}),
    )
    assert off is not None
    whole, partly = Settings(1, gpu_layers=33), Settings(1, gpu_layers=20)
    assert dict(off.rows(32, whole, (0, 1, RAM))) == {0: 2 * GIB, 1: GIB, RAM: 600 * MIB}
    assert dict(off.rows(32, whole, (0, 0))) == {0: 3 * GIB, RAM: 600 * MIB}
    assert not list(off.rows(32, partly, (0, 1)))


def test_a_small_difference_corrects_nothing() -> None:
    known = Overheads({"gpu0": 0, RAM_BESIDE_GPU: 0})
    assert correction(command({"gpu0": int(20.4 * GIB)}, {"gpu0": int(20.2 * GIB)}), known) is None
    assert correction(command({"gpu0": 50 * MIB}, {"gpu0": 40 * MIB}), known) is None
    assert correction(command({"gpu0": 20 * GIB}, {}), known) is None


def test_classes() -> None:
    assert placement_class(32, Settings(1)) is PlacementClass.CPU
    assert placement_class(32, Settings(1, gpu_layers=32)) is PlacementClass.PARTLY
    assert placement_class(32, Settings(1, gpu_layers=33, cpu_experts=2)) is PlacementClass.EXPERTS_IN_RAM
    assert placement_class(32, Settings(1, gpu_layers=33)) is PlacementClass.GPU


def test_a_process_on_a_gpu_has_more_beside_it_in_ram() -> None:
    known = Overheads({"gpu1": 7})
    assert known.on({"ram": 5, "gpu0": 0}) == {"ram": GUESSED["ram"]}
    assert known.on({"gpu1": 5}) == {"gpu1": 7, "ram": GUESSED[RAM_BESIDE_GPU]}
    assert known.on({"unified": 5}) == {"unified": GUESSED["unified"]}
    assert known.added({"gpu1": 5, "gpu0": 0})["gpu1"] == 12


def test_bytes_by_device() -> None:
    cost = expected(SHAPES[0])
    assert by_device(cost, machine(24)) == {"gpu0": cost.on(0), "ram": cost.on(RAM)}
