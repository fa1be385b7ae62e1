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

from claracore.core.fit.budget import ProcessBytes
from claracore.core.fit.learnt import NOTABLE, NOTABLE_BYTES, Correction, PlacementClass, placement_class
from claracore.core.fit.machine import Hardware
from claracore.core.fit.settings import Settings
from claracore.core.memory.devices import RAM_BESIDE_GPU, Overheads, place_of
from claracore.core.memory.footprint import RAM, UNIFIED, Footprint, FootprintSource, gpu
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
    at_least: Mapping[str, int] = field(default_factory=dict)
    """What it needs by the last start, for which memory was not enough; empty when it has run since."""
    proven: bool = False
    """Whether the server has said all of that; else it is what was there and more."""

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


def with_need(before: MeasuredCommand | None, now: MeasuredCommand) -> MeasuredCommand:
    """Return what is known of a command after a start for which memory was not enough (`now.at_least`)."""
    if before is None:
        return now
    return replace(before, at=now.at, at_least=now.at_least, proven=now.proven, loaded=now.loaded or before.loaded)


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was expected of one device, with what processes take there, and what was taken; in bytes."""

    device: str
    expected: int
    taken: int


@dataclass(frozen=True, slots=True)
class LastLoad:
    """How the last load of a model that was placed in a certain way went, against what was expected."""

    at: float
    context: int
    devices: tuple[Comparison, ...]


def correction(command: MeasuredCommand, known: Overheads) -> Correction | None:
    """Return how far the estimate of a command was off; None where it was near enough, or there was none."""
    if not command.expected or not command.loaded or command.placement not in set(PlacementClass):
        return None
    counted, taken = expected_of(command, known), command.loaded
    by_place: Counter[int] = Counter()
    for device in {*counted, *taken}:
        off = taken.get(device, 0) - counted.get(device, 0)
        if off < 0 and device in {RAM, UNIFIED} and not command.overheads:
            continue  # Buffers that no long prompt has touched yet are no pages in RAM; only a log tells their size.
        if abs(off) > max(NOTABLE_BYTES, NOTABLE * taken.get(device, 0)):
            by_place[place_of(device)] += off
    if not by_place:
        return None
    return Correction(PlacementClass(command.placement), dict(by_place), command.context)


class Learnt:
    """What follows from a set of measured commands, worked out once."""

    def __init__(self, commands: Mapping[str, MeasuredCommand]) -> None:
        """`commands` are by key, and not to be changed from now on."""
        self.commands = commands
        self.overheads = overheads(commands.values())
        """What processes take beside what llama.cpp counts."""
        self._by_file: defaultdict[str, list[MeasuredCommand]] = defaultdict(list)
        for command in sorted(commands.values(), key=lambda command: -command.at):
            self._by_file[command.file].append(command)

    def of_file(self, path: str) -> list[MeasuredCommand]:
        """Return what was measured with a model file, the newest first."""
        return self._by_file.get(path, [])

    def last(self, path: str, placement: PlacementClass) -> MeasuredCommand | None:
        """Return what was measured last of a file that was placed in this way."""
        return next((command for command in self.of_file(path) if command.placement == placement), None)

    def correction(self, path: str, placement: PlacementClass) -> Correction | None:
        """Return how far the estimate of a file was off when it was last placed in this way."""
        command = self.last(path, placement)
        return correction(command, self.overheads) if command is not None else None

    def last_load(self, path: str, layers: int, settings: Settings) -> LastLoad | None:
        """Return how the last load of a file went that was placed as with these settings; None without one."""
        command = self.last(path, placement_class(layers, settings))
        if command is None or not command.expected or not command.loaded:
            return None
        counted = expected_of(command, self.overheads)
        names = sorted({*counted, *command.loaded}, key=lambda name: (name == RAM, name))
        rows = (Comparison(name, counted.get(name, 0), command.loaded.get(name, 0)) for name in names)
        return LastLoad(command.at, command.context, tuple(rows))

    def corrections(self, path: str) -> tuple[Correction, ...]:
        """Return how far the estimates of a file were off, for each way in which it was placed."""
        found = (self.correction(path, placement) for placement in PlacementClass)
        return tuple(off for off in found if off is not None)

    def process_bytes(self, hardware: Hardware) -> ProcessBytes:
        """Return what each process takes on a machine, as far as that was seen."""
        learnt = self.overheads.learnt
        gpus = tuple(self.overheads.of(gpu(index)) for index in range(len(hardware.gpus)))
        return ProcessBytes(gpus, learnt.get(RAM_BESIDE_GPU if gpus else RAM, 0))


NOTHING_LEARNT: Final = Learnt({})
