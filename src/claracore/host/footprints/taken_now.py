"""Who has clearly more of a device at this moment than is known of it? Nobody else can have that.

A configuration may say too little, and caches grow between measurements. RAM of several processes is left out: they
share pages, which a quick look counts for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from claracore.core.memory.footprint import RAM, UNIFIED, Footprint, FootprintSource
from claracore.core.units import MIB

if TYPE_CHECKING:
    from claracore.host.hardware.memory_devices import DeviceUse

NOTABLE_BYTES: Final = 64 * MIB
"""What a server takes varies by less all the time."""


class TakenNow:
    """What servers had when the devices were looked at last; for any thread."""

    def __init__(self) -> None:
        self._sizes: Mapping[str, Mapping[str, int]] = {}

    def see(self, uses: Iterable[DeviceUse], pids: Mapping[str, tuple[int, ...]]) -> None:
        """Take in a look at devices; `pids` are the processes of each model."""
        found: dict[str, dict[str, int]] = {model_id: {} for model_id in pids}
        for use in uses:
            for model_id, members in pids.items() if use.by_process else ():
                if use.id not in {RAM, UNIFIED} or len(members) == 1:
                    found[model_id][use.id] = sum((use.by_process or {}).get(pid, 0) for pid in members)
        self._sizes = found

    def raised(self, model_id: str, known: Footprint) -> Footprint:
        """Return what a model takes, no less than it has where its server runs."""
        sizes = self._sizes.get(model_id, {}) if known.source is not FootprintSource.UNKNOWN else {}
        more = {device: size for device, size in sizes.items() if size > known.on(device) + NOTABLE_BYTES}
        return replace(known, by_device={**known.by_device, **more}) if more else known


def every(pids: Mapping[str, tuple[int, ...]]) -> frozenset[int]:
    """Return the processes of all models."""
    return frozenset(pid for members in pids.values() for pid in members)


def had_by(use: DeviceUse, awake: Iterable[Footprint]) -> int:
    """Return the bytes that servers have of a device: as seen by process, else by what those take that do not sleep."""
    return sum(footprint.on(use.id) for footprint in awake) if use.by_process is None else sum(use.by_process.values())
