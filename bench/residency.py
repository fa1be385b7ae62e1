"""How long does it take to decide who must go, and what does memory cost a request for a model that is ready?

    python bench/residency.py

Nothing is started: the scheduler decides about values. Three machines with 8 devices: 500 models configured and 20
loaded, each on one or two devices; the same with all others loaded, which nobody has; and 12 loaded on all devices,
where every set is looked at. "decide" is the rule asked once; "picture" is what it is asked with; then the whole event,
from the sample to the orders. "ready" is what a request for a ready model takes from arrival to its end.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

from claracore.core.memory.footprint import DeviceMemory, Footprint, FootprintSource
from claracore.core.scheduler.by_memory import ByMemory
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import Arrived, Finished, Measure, MemorySampled, Ready
from claracore.core.scheduler.eviction import Group, Groups
from claracore.core.scheduler.policy import EvictionRule, ModelPolicy, Policy
from claracore.core.units import GIB

DEVICES = ["ram", *(f"gpu{number}" for number in range(7))]
MODELS = 500
REPEATS = 200


def timed(act: Callable[[], object], repeats: int = REPEATS) -> tuple[float, float]:
    """Return median and worst of so many calls, in microseconds."""
    took = []
    for _ in range(repeats):
        begun = time.perf_counter_ns()
        act()
        took.append((time.perf_counter_ns() - begun) / 1000)
    return statistics.median(took), sorted(took)[int(len(took) * 0.99)]


def machine(loaded: int, spread: int, dice: random.Random) -> tuple[Scheduler, Arrived, MemorySampled]:
    """Return a scheduler with so many models loaded, a request for one more, and the sample for it."""
    names = [f"m{number}" for number in range(MODELS)]
    footprints = {
        name: Footprint(
            {device: dice.randint(1, 8) * GIB for device in dice.sample(DEVICES, spread)}, FootprintSource.MEASURED
        )
        for name in names
    }
    footprints[names[-1]] = Footprint(dict.fromkeys(DEVICES, 8 * GIB), FootprintSource.MEASURED)
    used = {device: sum(footprints[name].on(device) for name in names[:loaded]) for device in DEVICES}
    size = {device: used[device] + 4 * GIB for device in DEVICES}
    devices = tuple(DeviceMemory(device, device, size[device], size[device], 0, 0) for device in DEVICES)
    scheduler = Scheduler(Policy(ByMemory(), {name: ModelPolicy() for name in names}))
    now = 0.0
    for request, name in enumerate(names[:loaded], 1):
        now += dice.random()
        scheduler.handle(Arrived(request, name), now)
        scheduler.handle(MemorySampled(devices, footprints), now)
        now += dice.random()
        scheduler.handle(Ready(name), now)
        scheduler.handle(Finished(request), now)
    return scheduler, Arrived(loaded + 1, names[-1]), MemorySampled(devices, footprints)


def decision(title: str, loaded: int, spread: int) -> None:
    scheduler, request, sample = machine(loaded, spread, random.Random(7))
    now = 1e6
    (look,) = scheduler.handle(request, now)
    assert isinstance(look, Measure)
    situation, rule = scheduler.situation(request.model, now), ByMemory()
    assert rule.evictees(situation)
    median, worst = timed(lambda: rule.evictees(situation))
    picture, _ = timed(lambda: scheduler.situation(request.model, now))
    begun = time.perf_counter_ns()
    orders = scheduler.handle(sample, now)
    arrive = (time.perf_counter_ns() - begun) / 1000
    print(
        f"{title:38} decide {median:5.0f} us (99 %: {worst:5.0f}), picture {picture:4.0f} us, "
        f"from sample to {len(orders):3} orders {arrive:5.0f} us"
    )


def ready(rule: EvictionRule, title: str) -> None:
    names = [f"m{number}" for number in range(MODELS)]
    scheduler = Scheduler(Policy(rule, {name: ModelPolicy() for name in names}))
    scheduler.handle(Arrived(1, "m0"), 0.0)
    if isinstance(rule, ByMemory):
        scheduler.handle(MemorySampled((), {"m0": Footprint({}, FootprintSource.MEASURED)}), 0.0)
    scheduler.handle(Ready("m0"), 0.0)
    scheduler.handle(Finished(1), 0.0)

    def thousand() -> None:
        for request in range(2, 1002):
            scheduler.admit(request, "m0")
            scheduler.release(request, 1.0)

    median, _ = timed(thousand)
    print(f"a request for a ready model, {title:10} {median:7.1f} ns")


if __name__ == "__main__":
    decision("20 of 500 loaded, 2 devices each", 20, 2)
    decision("499 of 500 loaded, 2 devices each", 499, 2)
    decision("12 of 500 loaded, 8 devices each", 12, 8)
    names = [f"m{number}" for number in range(MODELS)]
    ready(Groups({"g": Group()}, dict.fromkeys(names, "g")), "groups:")
    ready(ByMemory(), "memory:")
