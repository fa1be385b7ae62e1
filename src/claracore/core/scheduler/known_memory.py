"""What is known of memory, is it fresh enough to act on, and what has still to come back of models that ended?

A driver gives memory of a GPU back late: for a while it looks as if other programs used it. What they use more than
before is therefore taken for memory of the models that are ending or have just ended, up to what these took: it counts
as free for whoever is chosen next, but nobody starts in it before the device shows it. That is waited for only so long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from claracore.core.memory.footprint import RAM, UNKNOWN_FOOTPRINT, DeviceMemory, Footprint, FootprintSource
from claracore.core.scheduler.slot import FOREVER
from claracore.core.units import MIB

FRESH_SECONDS: Final = 1.0
"""Nothing is started, stopped or refused by a sample that is older."""
POLL_SECONDS: Final = 0.05
"""How often is looked whether memory has come back."""
RETURN_SECONDS: Final = 10.0
"""For how long after a model has ended that is waited for."""
UNSTEADY_BYTES: Final = 64 * MIB
"""What other programs use varies by so much all the time."""


@dataclass(slots=True)
class _Leaver:
    """A server that gives memory back."""

    model: str
    footprint: Footprint
    ended_at: float | None = None
    """None while it is ending."""

    def late(self, now: float) -> bool:
        """Whether all should have come back by now."""
        return self.ended_at is not None and now >= self.ended_at + RETURN_SECONDS

    def held(self, device: DeviceMemory) -> int:
        """Return the bytes that it may have had on a device: as measured, or any where that is not known surely."""
        match self.footprint.source:
            case FootprintSource.MEASURED:
                return self.footprint.on(device.id)
            case FootprintSource.UNKNOWN:
                return device.total
        return device.total if self.footprint.on(device.id) else 0


class KnownMemory:
    """The last sample of the devices, and what each model takes."""

    def __init__(self) -> None:
        self.devices: tuple[DeviceMemory, ...] = ()
        self.footprints: dict[str, Footprint] = {}
        self.asleep: dict[str, Footprint] = {}
        """What each server takes that sleeps; while it falls asleep, the more of both on each device."""
        self._soon: dict[str, Footprint] = {}
        """What those will take that fall asleep."""
        self.asked_at: float | None = None
        """When the sample that is under way was ordered."""
        self._asked: tuple[str, ...] = ()
        """About which models it was asked."""
        self.look_at = FOREVER
        """When somebody who waits needs a new sample."""
        self._ordered_at = self._seen_at = -FOREVER
        """When the last sample was ordered, and when it came."""
        self._outdated_at = self._limits_at = -FOREVER
        """Samples ordered before the first are not acted on; those before the second were by another configuration."""
        self._others: dict[str, int] = {}
        """What other programs used of each device when nothing had to come back."""
        self._leaving: list[_Leaver] = []
        self._awaited = False
        """Whether somebody could not start because it had not come back."""

    # --- what happens ----------------------------------------------------------------------------------------------

    def sampled(self, devices: tuple[DeviceMemory, ...], footprints: Mapping[str, Footprint], now: float) -> None:
        """Take in the sample that was asked for."""
        self.devices = devices
        self.footprints |= {model: UNKNOWN_FOOTPRINT for model in self._asked if model not in self.footprints}
        self.footprints.update(footprints)
        self._ordered_at, self._seen_at = now if self.asked_at is None else self.asked_at, now
        self.asked_at = None
        if devices and max(map(self._to_come_back, devices)) <= UNSTEADY_BYTES:
            self._leaving = [
                each for each in self._leaving if each.ended_at is None or each.ended_at > self._ordered_at
            ]
        # What others use is no more than that; with what has to come back it may be less.
        self._others |= {d.id: min(d.other, self._others.get(d.id, d.other)) for d in devices}
        if not self._leaving:
            self._settle()

    def give_up(self) -> dict[str, int]:
        """Wait no more for what by the last sample has not come back in time: it is other programs' from here on.

        Returns how much that is, in bytes by device; nothing where nobody has waited for it.
        """
        on_time = [each for each in self._leaving if not each.late(self._ordered_at)]
        if len(on_time) == len(self._leaving):
            return {}
        missing = {device.id: self._to_come_back(device) for device in self.devices} if self._awaited else {}
        self._leaving = on_time
        self._settle()
        return {device: size for device, size in missing.items() if size > UNSTEADY_BYTES}

    def _settle(self) -> None:
        """Take as other programs' what is not of those that are still to give memory back."""
        self._others |= {device.id: device.other - self._to_come_back(device) for device in self.devices}
        self._awaited = False

    def ask(self, models: tuple[str, ...], now: float) -> None:
        """Take in that a sample is ordered, with what these models take."""
        self.asked_at, self._asked = now, models

    def ending(self, model: str) -> None:
        """Take in that a model is ending: what it took may look like other programs' at any moment."""
        if not self.awaits_end(model):
            self._leaving.append(_Leaver(model, self._taken(model)))

    def ended(self, model: str, now: float) -> None:
        """Take in that a model has ended: what it took is to come back."""
        self.ending(model)
        for each in self._leaving:
            if each.model == model and each.ended_at is None:
                each.ended_at = now
        self.outdate(now)

    def falling_asleep(self, model: str, footprint: Footprint) -> None:
        """Take in that a model gives back all but this: it has what it had, and takes what it will have."""
        self.ending(model)
        awake, self._soon[model] = self._footprint(model), footprint
        devices = awake.by_device.keys() | footprint.by_device.keys()
        self.asleep[model] = Footprint({it: max(awake.on(it), footprint.on(it)) for it in devices}, awake.source)

    def fell_asleep(self, model: str, now: float) -> None:
        """Take in that a model sleeps: what it gave back is to be seen."""
        self.ended(model, now)
        self.asleep[model] = self._soon.pop(model)

    def awoke(self, model: str) -> None:
        """Take in that a model that sleeps takes its memory again, or that its server is gone."""
        self.asleep.pop(model, None)
        self._soon.pop(model, None)

    def outdate(self, now: float) -> None:
        """Take in that something has changed of which the next sample only will tell."""
        self._outdated_at = now

    def reconfigure(self, models: Iterable[str], now: float) -> None:
        """Take in another configuration: the devices may have other limits, and other models are forgotten."""
        self.outdate(now)
        self._limits_at = now
        kept = set(models)
        self.footprints = {model: footprint for model, footprint in self.footprints.items() if model in kept}

    # --- what is so ------------------------------------------------------------------------------------------------

    def awaits_end(self, model: str) -> bool:
        """Whether a model is ending, also where bytes have stopped to decide since."""
        return any(each.model == model and each.ended_at is None for each in self._leaving)

    @property
    def unseen(self) -> bool:
        """Whether there was no sample yet by the present configuration."""
        return self._seen_at == -FOREVER or self._ordered_at < self._limits_at

    def usable(self) -> dict[str, int]:
        """Return the bytes that our models may take together, by device, with what has still to come back."""
        return {
            device.id: max(
                0, min(device.budget, device.total - device.reserved - device.other + self._to_come_back(device))
            )
            for device in self.devices
        }

    def may_act(self, model: str, now: float) -> bool:
        """Whether what is known is fresh enough to decide about a model; if not, it is looked at anew."""
        fresh = self._ordered_at >= self._outdated_at and now < self._seen_at + FRESH_SECONDS
        if not fresh:
            self.look_at = min(self.look_at, now)
        return fresh and self.knows(model, now)

    def knows(self, model: str, now: float) -> bool:
        """Whether it was ever asked what a model takes; if not, it is now."""
        if model not in self.footprints:
            self.look_at = min(self.look_at, now)
        return model in self.footprints

    def is_back(self, model: str, beside: Iterable[str]) -> bool:
        """Whether a model beside these needs nothing of what has still to come back."""
        return not self._leaving or self._fits(self._footprint(model), beside)

    def shows_room(self, model: str, beside: Iterable[str]) -> bool:
        """Whether the devices show room for a model beside these; if not, they are looked at again soon."""
        if self.is_back(model, beside):
            return True
        self._awaited = True
        self.look_at = min(self.look_at, self._seen_at + POLL_SECONDS)
        return False

    def look_again(self) -> None:
        """Look again in a while: other programs may give memory back."""
        self.look_at = min(self.look_at, self._seen_at + FRESH_SECONDS)

    def _fits(self, footprint: Footprint, beside: Iterable[str]) -> bool:
        if footprint.source is FootprintSource.UNKNOWN:
            return all(self._to_come_back(device) <= UNSTEADY_BYTES for device in self.devices)
        others = [self._taken(model) for model in beside]
        usable = {device.id: device.usable for device in self.devices}
        needs = {device: need for device, need in footprint.by_device.items() if need > 0}
        if any(device in self._others and device not in usable for device in needs):
            return False  # it has been seen before, and will be again
        return all(
            need + sum(other.on(device) for other in others) <= usable[device]
            for device, need in needs.items()
            if device in usable
        )

    def _to_come_back(self, device: DeviceMemory) -> int:
        """Return how much of what other programs seem to use is of models that are ending or have ended."""
        more = device.other - self._others.get(device.id, device.other)
        # RAM is there when a process has ended: what others use more since then is theirs.
        leaving = (each for each in self._leaving if device.id != RAM or each.ended_at is None)
        return max(0, min(more, sum(each.held(device) for each in leaving))) if more > 0 else 0

    def _taken(self, model: str) -> Footprint:
        return self.asleep.get(model) or self._footprint(model)

    def _footprint(self, model: str) -> Footprint:
        return self.footprints.get(model, UNKNOWN_FOOTPRINT)
