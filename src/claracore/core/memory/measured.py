"""What do the runs that were measured say: what does a command take, what does every process take, what was miscounted?

One `MeasuredCommand` for each command that was seen to run; `overheads` and `correction` are worked out anew from those
that are remembered, so nothing that was learnt once outlives what it was learnt from.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final

from claracore.core.fit.learnt import NOTABLE, NOTABLE_BYTES, Correction, PlacementClass
from claracore.core.memory.devices import Overheads, place_of
from claracore.core.memory.footprint import RAM, UNIFIED, Footprint, FootprintSource
from claracore.core.units import GIB, MIB

RUNS: Final = 3
"""So many last runs of a command are remembered; the largest counts, since not each meets a long prompt."""
LEAST_OVERHEAD, MOST_OVERHEAD = 64 * MIB, 3 * GIB // 2
"""What a driver takes for a process on a GPU is within these; another difference has another cause."""


@dataclass(frozen=True, slots=True)
class MeasuredCommand:
    """What servers took that were started with one command, in bytes by device."""

    model: str
    file: str
    """The model file; "" when the command names none that we could read."""
    runs: tuple[Mapping[str, int], ...]
    """The most that each of the last runs took, the newest last."""
    at: float
    """When it was measured last, unix seconds."""
    expected: Mapping[str, int] = field(default_factory=dict)
    """What was counted from command and header, without overheads and corrections; empty when nothing could be."""
    placement: str = ""
    context: int = 0
    overheads: Mapping[str, int] = field(default_factory=dict)
    """What the last run's process took beside the buffers of its log, by device; empty when the log told none."""
    loaded: Mapping[str, int] = field(default_factory=dict)
    """What the last run took once it was loaded: of RAM without the caches that grow while it answers."""

    @property
    def footprint(self) -> Footprint:
        """What it takes: on each device the most of the runs that are remembered."""
        return Footprint(_most(*self.runs), FootprintSource.MEASURED)


def with_run(before: MeasuredCommand | None, now: MeasuredCommand, *, same_run: bool) -> MeasuredCommand:
    """Return what is known of a command after one more measurement, which may be of a run that was measured before.

    RAM counts as loaded when the server has become ready, a GPU after the first prompts, which make it grow once.
    """
    taken = now.runs[-1]
    if before is None or not before.runs or not same_run:
        earlier = before.runs if before is not None else ()
        return replace(now, runs=(*earlier, dict(taken))[-RUNS:], loaded=dict(taken))
    return replace(
        now,
        runs=(*before.runs[:-1], _most(before.runs[-1], taken)),
        loaded=_most(before.loaded, _on_gpus(taken)),
        overheads=_most(before.overheads, _on_gpus(now.overheads)),
    )


def _most(*sizes: Mapping[str, int]) -> dict[str, int]:
    return {name: max(each.get(name, 0) for each in sizes) for name in {name for each in sizes for name in each}}


def _on_gpus(sizes: Mapping[str, int]) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if name.startswith("gpu")}


def overheads(measured: Iterable[MeasuredCommand]) -> Overheads:
    """Return what processes take beside what llama.cpp counts.

    Where logs told of buffers, the usual difference; else on GPUs the smallest between what was taken and expected.
    """
    by_log: defaultdict[str, list[int]] = defaultdict(list)
    by_difference: defaultdict[str, list[int]] = defaultdict(list)
    for command in measured:
        for device, size in command.overheads.items():
            by_log[device].append(size)
        for device, taken in command.loaded.items():
            more = taken - command.expected.get(device, 0)
            if command.expected.get(device) and device not in {RAM, UNIFIED} and more >= LEAST_OVERHEAD:
                by_difference[device].append(min(more, MOST_OVERHEAD))
    learnt = {device: min(sizes) for device, sizes in by_difference.items()}
    learnt |= {device: int(median(sizes)) for device, sizes in by_log.items()}
    return Overheads(learnt)


def expected_of(command: MeasuredCommand, known: Overheads) -> dict[str, int]:
    """Return what was expected of a command, with what its process takes beside that."""
    return known.added(command.expected) if command.expected else {}


def correction(command: MeasuredCommand, known: Overheads) -> Correction | None:
    """Return how far the estimate of a command was off; None where it was near enough, or there was none."""
    if not command.expected or command.placement not in set(PlacementClass):
        return None
    counted, taken = expected_of(command, known), command.loaded
    by_place: Counter[int] = Counter()
    for device in {*counted, *taken}:
        off = taken.get(device, 0) - counted.get(device, 0)
        if abs(off) > max(NOTABLE_BYTES, NOTABLE * taken.get(device, 0)):
            by_place[place_of(device)] += off
    return Correction(PlacementClass(command.placement), dict(by_place)) if by_place else None


def correction_for(
    newest_first: Iterable[MeasuredCommand], placement: PlacementClass, known: Overheads
) -> Correction | None:
    """Return how far estimates of a file were off when it was placed in this way, by its newest measurement."""
    command = next((command for command in newest_first if command.placement == placement), None)
    return correction(command, known) if command is not None else None
