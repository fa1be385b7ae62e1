"""How long will a load take, by the loads that were seen on this machine?

A load is the time that it takes with its file in memory, and the reading of what is not there. The first is known of a
command that has been loaded before (else it is taken from the command whose file is nearest in size), the second from
what the disk has given. Where neither was seen nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

from claracore.core.loading.past import WARM, Forecast, ModelFile, PastLoad
from claracore.core.units import MIB

NEWEST = 3
"""So many last loads of a command count: what runs beside them differs."""
NEWEST_READS = 7
TELLING_BYTES = 64 * MIB
"""A load that has read less says nothing about the disk."""
LEAST_SHARE = 0.1
"""Of a load's time nothing that was read takes more than the rest of this."""


class Experience:
    """What past loads let expect."""

    def __init__(self, loads: Mapping[str, Sequence[PastLoad]], read_speeds: Mapping[str, float] | None = None) -> None:
        """Take loads by command, the newest last; and by disk what reading ahead gave, in bytes per second."""
        self._loads = loads
        self._read_speeds = read_speeds or {}

    def forecast(self, command: str, file: ModelFile) -> Forecast | None:
        """Return how long a load of the file with the command will take; None where that is not known."""
        own = self._loads.get(command, ())[-NEWEST:]
        rests = [load.seconds - load.weights_seconds for load in own if load.weights_seconds is not None]
        rest = median(rests) if rests else None
        warmups = [load.warmup_seconds for load in own if load.warmup_seconds is not None]
        warmup = median(warmups) if warmups else None
        if file.missing_bytes is None and own:
            return Forecast(median(load.seconds for load in own), rest, warmup)
        known = self._warm_seconds(own)
        warm, guessed = known or self._like(file.bytes), not known
        missing = file.missing_bytes or 0
        if warm is None or missing <= WARM * file.bytes:
            return Forecast(warm, rest, warmup, guessed) if warm is not None else None
        speed = self._disk_speed(file.disk)
        return Forecast(warm + missing / speed, rest, warmup, guessed) if speed is not None else None

    def _warm_seconds(self, loads: Iterable[PastLoad]) -> float | None:
        """Return what loads took, without the reading of what was not in memory."""
        found = [seconds for load in loads if (seconds := self._without_reading(load)) is not None]
        return median(found) if found else None

    def _without_reading(self, load: PastLoad) -> float | None:
        if load.is_warm or load.file.missing_bytes is None:
            return load.seconds
        speed = self._disk_speed(load.file.disk)
        if speed is None:
            return None
        return max(LEAST_SHARE * load.seconds, load.seconds - load.file.missing_bytes / speed)

    def _like(self, size: int) -> float | None:
        """Return what a load of a file of this size may take with the file in memory: a larger one takes longer."""
        known = [(load.file.bytes, seconds) for load, seconds in self._all_warm() if load.file.bytes and size]
        if not known:
            return None
        near, seconds = min(known, key=lambda each: abs(math.log(each[0] / size)))
        return max(seconds * size / near, min(seconds for _, seconds in known))

    def _all_warm(self) -> Iterator[tuple[PastLoad, float]]:
        for loads in self._loads.values():
            for load in loads[-1:]:
                if (seconds := self._without_reading(load)) is not None:
                    yield load, seconds

    def _disk_speed(self, disk: str) -> float | None:
        """Return bytes per second that loads get from a disk, or from any where this one was never seen."""
        reads = [(load, loads) for loads in self._loads.values() for load in loads if _tells(load)]
        on_disk = [(load, loads) for load, loads in reads if load.file.disk == disk] or reads
        newest = sorted(on_disk, key=lambda read: read[0].at)[-NEWEST_READS:]
        seen = [speed for load, loads in newest if (speed := _speed(load, loads)) is not None]
        if seen:
            return median(seen)
        if disk in self._read_speeds:
            return self._read_speeds[disk]
        # All that is known is that it is no slower than this.
        return max((_missing(load) / load.seconds for load, _ in newest), default=None)


def _tells(load: PastLoad) -> bool:
    return _missing(load) >= max(TELLING_BYTES, WARM * load.file.bytes) and load.seconds > 0


def _speed(load: PastLoad, loads: Iterable[PastLoad]) -> float | None:
    """Return what a load has read per second; None unless one of the same command had nothing to read."""
    warm = [each.seconds for each in loads if each.is_warm]
    more = load.seconds - median(warm) if warm else 0.0
    return _missing(load) / more if more > LEAST_SHARE * load.seconds else None


def _missing(load: PastLoad) -> int:
    return load.file.missing_bytes or 0
