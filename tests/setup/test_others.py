"""What other programs use of memory is left to them, in steps that do not follow every change."""

from __future__ import annotations

from pathlib import Path

import pytest

from claracore.core.fit.budget import UsedByOthers, budget_of
from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor
from claracore.core.units import GIB, MIB
from claracore.host.hardware.memory_devices import DeviceUse
from claracore.host.hardware.probe import probe
from claracore.host.setup.others import Others, rest_of, used_by_others, with_note
from claracore.host.sockets.ledger import Ledger, living_instances


def machine(ram: int = 32, *cards: int) -> Hardware:
    gpus = tuple(Gpu("card", "nvidia", Backend.CUDA, size * GIB, size * GIB) for size in cards)
    return Hardware(Processor("cpu", 16, 8, 8), Memory(ram * GIB, ram * GIB), gpus)


@pytest.mark.parametrize(("used", "margin"), [(0, 2), (1, 2), (2, 2), (5, 5), (10, 10), (20, 10.67)])
def test_ram_keeps_free_what_others_use_at_least_two_gib_and_at_most_a_third(used: int, margin: float) -> None:
    budget = budget_of(machine(32), others=UsedByOthers(used * GIB))
    assert (32 * GIB - budget.ram) / GIB == pytest.approx(margin, abs=0.01)


def test_a_card_keeps_it_free_beside_the_margin_for_us_up_to_half() -> None:
    plain = budget_of(machine(64, 8, 24)).gpus
    budget = budget_of(machine(64, 8, 24), others=UsedByOthers(0, (768 * MIB, 20 * GIB))).gpus
    assert plain[0] - budget[0] == 768 * MIB
    assert plain[1] - budget[1] == 12 * GIB


def test_memory_that_is_free_now_is_without_them_already() -> None:
    assert budget_of(machine(32), live=True, others=UsedByOthers(8 * GIB)) == budget_of(machine(32), live=True)


def test_small_changes_change_nothing() -> None:
    known = UsedByOthers()
    seen = []
    for used in (0.4, 0.9, 1.2, 1.9, 2.2, 1.6, 3.4, 2.9, 1.7):
        known = UsedByOthers(int(used * GIB), (int(used * GIB),)).steady(known)
        seen.append(known.ram // GIB)
    assert seen == [0, 0, 1, 1, 2, 2, 3, 3, 1]
    assert UsedByOthers(0, (300 * MIB,)).steady(UsedByOthers()).gpus == (256 * MIB,)


@pytest.mark.parametrize(
    ("by_process", "ours", "rest"),
    [({7: 6 * GIB}, {7}, 2 * GIB), ({}, {7}, 8 * GIB), (None, {7}, 0), (None, set(), 8 * GIB), ({7: 9 * GIB}, {7}, 0)],
)
def test_what_our_models_have_is_not_of_others(by_process: dict[int, int] | None, ours: set[int], rest: int) -> None:
    assert rest_of(DeviceUse("gpu0", "card", 24 * GIB, 8 * GIB, by_process), ours) == rest


def test_a_living_instance_tells_its_models_processes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    try:
        import os

        with ledger.locked():
            ledger.record_child(os.getpid(), "m")  # our own process stands for a model's
        assert [instance.children for instance in living_instances(tmp_path)] == [(os.getpid(),)]
    finally:
        ledger.close()


def test_what_a_person_has_said_is_not_corrected() -> None:
    memory = Memory(8 * GIB, 8 * GIB, "as given")
    assert used_by_others(Hardware(Processor("cpu", 1, 1, 1), memory), ()).ram == 0


def test_it_is_remembered_and_told(tmp_path: Path) -> None:
    hardware = Hardware(Processor("cpu", 1, 1, 1), probe().memory)
    first = Others(tmp_path).on(hardware)
    assert Others(tmp_path).on(hardware) == first
    assert with_note(hardware, UsedByOthers(GIB)).notes == ()
    assert with_note(hardware, UsedByOthers(6 * GIB, (GIB,))).notes == (
        "other programs use 6.0 GiB of RAM and 1.0 GiB on GPU 0 now, which is left to them",
    )
    (tmp_path / "others.json").write_bytes(b"[" * 100_000)
    assert Others(tmp_path).on(hardware).ram >= 0
