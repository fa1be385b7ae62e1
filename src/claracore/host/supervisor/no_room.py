"""What is a client told whose model takes more memory than it can ever get, or can get beside other programs?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from claracore.core.memory.footprint import DeviceMemory, Footprint, FootprintSource
from claracore.core.scheduler.picture import Shortage
from claracore.core.units import gib
from claracore.errors import ClaraCoreError

RETRY_SECONDS = 30
"""After so long other programs may have given memory back."""

CORRECTIONS: Mapping[FootprintSource, str] = {
    FootprintSource.DECLARED: "correct its `memory` if it takes less",
    FootprintSource.MEASURED: "say what it takes in its `memory` if that was measured wrongly",
    FootprintSource.ESTIMATED: "say what it takes in its `memory` if the estimate is wrong",
}


class NoRoom(ClaraCoreError):
    """The model takes more memory than there is for it; 503, not to be repeated where it never fits."""

    status = 503
    code = "insufficient_memory"
    cause = "The model takes more memory than is left, even if all go that may."
    way_out = "Give it a smaller context (`claracore fit FILE --choices`), unpin models, or end other programs."


def no_room(model: str, footprint: Footprint, shortages: Sequence[Shortage], devices: Sequence[DeviceMemory]) -> NoRoom:
    """Return the error with the numbers of each device that is short, and the ways out."""
    by_id = {device.id: device for device in devices}
    short = [(shortage, by_id[shortage.device]) for shortage in shortages if shortage.device in by_id]
    needs = " and ".join(_need(shortage, device) for shortage, device in short) or "more memory than there is"
    ways_out = ["give it a smaller context or another quantization"]
    passing = all(shortage.needed <= min(device.budget, device.total - device.reserved) for shortage, device in short)
    if short and passing:
        ways_out.insert(0, "end other programs that use it")
    if (correction := CORRECTIONS.get(footprint.source)) is not None:
        ways_out.append(correction)
    message = f"model {model!r} takes {needs} ({footprint.source}); {', or '.join(ways_out)}"
    error = NoRoom(message, param="model", retry_after_seconds=RETRY_SECONDS if passing else None)
    error.should_retry = None if passing else False
    return error


def _need(shortage: Shortage, device: DeviceMemory) -> str:
    parts = [f"{gib(device.total)} in all"]
    if device.budget < device.total:
        parts.append(f"{gib(device.budget)} granted to models")
    if device.reserved:
        parts.append(f"{gib(device.reserved)} kept free")
    if device.other:
        parts.append(f"{gib(device.other)} used by other programs")
    left = gib(max(0, shortage.available))
    return f"{gib(shortage.needed)} of {device.id}, where it can have {left} ({', '.join(parts)})"
