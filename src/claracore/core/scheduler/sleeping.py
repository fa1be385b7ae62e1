"""Who sleeps instead of being stopped: for whom is there room asleep?

A server that sleeps has moved to RAM what it had on graphics devices, or has thrown it away; what it takes then is
declared, or taken to be all that it took. Memory that cannot be seen has no room, and where it is not known what
somebody takes, nobody sleeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from claracore.core.memory.footprint import RAM, UNIFIED, Footprint, FootprintSource
from claracore.core.scheduler.picture import MemoryPicture
from claracore.core.scheduler.policy import Situation


def asleep_footprint(declared: Footprint, awake: Footprint) -> Footprint | None:
    """Return what a model takes asleep; None where that is not known, or where sleeping gives nothing back."""
    if declared.source is not FootprintSource.UNKNOWN:
        return declared
    if awake.source is FootprintSource.UNKNOWN or not awake.total > awake.on(RAM) + awake.on(UNIFIED):
        return None
    return Footprint({RAM: awake.total}, awake.source)


def fits(
    picture: MemoryPicture, beside: Iterable[str], asleep: Mapping[str, Footprint], more: Iterable[Footprint] = ()
) -> bool:
    """Whether there is room for these that sleep beside others that run, on each device that they would take.

    `more` is what is taken besides.
    """
    others = [*more, *(picture.footprint(model) for model in beside if model not in asleep)]
    if any(other.source is FootprintSource.UNKNOWN for other in others):
        return False
    return all(
        sum(each.on(device) for each in (*others, *asleep.values())) <= picture.usable.get(device, -1)
        for device in {device for each in asleep.values() for device, size in each.by_device.items() if size}
    )


def sleepers(
    situation: Situation, could: Mapping[str, Footprint], target: Footprint | None = None
) -> Mapping[str, Footprint]:
    """Return who of those that go for the target sleeps, of those that could: the dearest first.

    Those that are stopped at the same time still have what they have; so has the target what it takes asleep
    (`target`), if it sleeps: it is woken when the others have made room for it.
    """
    picture = situation.memory
    if picture is None:
        return {}
    beside = situation.running | {situation.target}
    chosen: dict[str, Footprint] = {}
    for model in sorted(could, key=lambda each: (-picture.costs.get(each, 0.0), each)):
        if fits(picture, beside, with_it := {**chosen, model: could[model]}, (target,) if target is not None else ()):
            chosen = with_it
    return chosen
