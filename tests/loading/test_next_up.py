"""Whose files are read, as things happen."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from claracore.core.scheduler.obstacle import Cause, Obstacle
from claracore.core.scheduler.policy import ModelPolicy
from claracore.core.scheduler.slot import Slot
from claracore.host.loading.next_up import NextUp
from claracore.types import ModelState


@dataclass
class Reading:
    """A read that ends when the test says so."""

    model: str
    is_over: bool = False
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = self.is_over = True


@dataclass
class Models:
    """Models of which a test says how they are."""

    slots: dict[str, Slot] = field(default_factory=dict)
    causes: dict[str, Cause] = field(default_factory=dict)
    from_disk: list[str] = field(default_factory=list)
    reads: list[Reading] = field(default_factory=list)

    def obstacle(self, model_id: str) -> Obstacle | None:
        return Obstacle(self.causes[model_id]) if model_id in self.causes else None

    def waits(self, model: str, cause: Cause, state: ModelState = ModelState.STOPPED) -> None:
        self.slots[model] = Slot(model, ModelPolicy(), state, waiting={1: 0.0})
        self.causes[model] = cause

    def read(self, model: str) -> Reading:
        self.reads.append(Reading(model))
        return self.reads[-1]

    def next_up(self) -> NextUp:
        return NextUp(self, self.read, lambda: self.from_disk)

    @property
    def under_way(self) -> list[str]:
        return [reading.model for reading in self.reads if not reading.is_over]


@pytest.mark.parametrize("cause", [Cause.ANSWERS, Cause.LOADS, Cause.UNLOADING, Cause.MEMORY, Cause.RETURNING])
def test_who_will_start_next_has_its_files_read(cause: Cause) -> None:
    models = Models()
    models.waits("b", cause)
    models.next_up().choose()
    assert models.under_way == ["b"]


def test_who_has_others_ahead_of_it_waits_for_its_turn() -> None:
    models = Models()
    models.waits("b", Cause.TURN)
    models.waits("c", Cause.ANSWERS)
    next_up = models.next_up()
    next_up.choose()
    assert models.under_way == ["c"]
    models.causes = {"b": Cause.ANSWERS}
    models.slots["c"].state = ModelState.READY
    next_up.choose()
    assert models.under_way == ["b"]
    assert models.reads[0].cancelled


def test_who_loads_from_the_disk_comes_first() -> None:
    models = Models(from_disk=["a"])
    models.waits("b", Cause.LOADS)
    next_up = models.next_up()
    next_up.choose()
    assert models.under_way == ["a"]
    models.from_disk.clear()
    next_up.choose()
    assert models.under_way == ["b"]


def test_it_goes_on_when_the_model_begins_to_load() -> None:
    models = Models()
    models.waits("b", Cause.ANSWERS)
    next_up = models.next_up()
    next_up.choose()
    models.slots["b"].state = ModelState.STARTING
    models.from_disk.append("b")
    next_up.choose()
    assert next_up.is_wanted("b")
    assert models.under_way == ["b"]
    assert len(models.reads) == 1


def test_what_was_read_is_read_again_only_for_somebody_who_begins_to_wait() -> None:
    models = Models()
    models.waits("b", Cause.ANSWERS)
    next_up = models.next_up()
    next_up.choose(again=True)
    next_up.choose(again=True)
    assert len(models.reads) == 1
    models.reads[0].is_over = True
    next_up.choose()
    assert len(models.reads) == 1
    next_up.choose(again=True)
    assert models.under_way == ["b"]


def test_nobody_is_read_for_when_nobody_waits() -> None:
    models = Models()
    models.waits("b", Cause.ANSWERS)
    next_up = models.next_up()
    next_up.choose()
    models.slots["b"].waiting.clear()
    assert not next_up.is_wanted("b")
    next_up.choose()
    assert models.under_way == []


def test_a_ready_model_whose_places_are_taken_needs_nothing() -> None:
    models = Models()
    models.waits("b", Cause.PLACES, ModelState.READY)
    models.next_up().choose()
    assert models.reads == []
