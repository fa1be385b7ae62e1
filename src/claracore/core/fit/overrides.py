"""Which tensors does `--override-tensor` keep elsewhere than their layer is?

`PATTERN=BUFFER`: the first pattern that is found in a tensor's name decides, as in llama.cpp. A buffer is `CPU`, or the
name of a device (`CUDA0`, `Vulkan1`); the number of a device is its place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from claracore.core.fit.memory import MemoryItem
from claracore.core.fit.places import RAM
from claracore.core.fit.settings import Settings

LAYER = re.compile(r"blk\.(\d+)\.")
EXPERTS = re.compile(r"\.ffn_(up|down|gate|gate_up)_(ch|)exps")
"""llama.cpp's LLM_FFN_EXPS_REGEX."""
IN_RAM = ("CPU", "CUDA_Host", "ROCm_Host", "Vulkan_Host", "SYCL_Host")
NUMBER = re.compile(r"[A-Za-z]+(\d+)")
MOVED = "moved weights"


@dataclass(frozen=True, slots=True)
class Moved:
    """Tensors that are kept elsewhere, and of how many first layers all experts are in RAM."""

    tensors: tuple[tuple[str, int, int], ...] = ()
    """Name, bytes, and the place where it is kept."""
    first_experts: int = 0

    def applied(self, rows: Sequence[MemoryItem], places: Sequence[int], settings: Settings) -> list[MemoryItem]:
        """Return the rows of an estimate with these tensors where they are kept."""
        leaving: Counter[tuple[str, int]] = Counter()
        coming: Counter[int] = Counter()
        for name, size, place in self.tensors:
            what, source = _home(name, places, settings)
            if source != place:
                leaving[what, source] += size
                coming[place] += size
        kept = [replace(row, bytes=max(0, row.bytes - leaving[row.what, row.place])) for row in rows]
        return [*kept, *(MemoryItem(MOVED, place, size, "--override-tensor") for place, size in sorted(coming.items()))]


def moved_tensors(overrides: Sequence[str], tensors: Sequence[tuple[str, int]], first: int, gpus: int) -> Moved:
    """Return what these overrides keep elsewhere, where the experts of the `first` layers are in RAM already.

    Raises ValueError for a pattern that is none, or a device that is not there.
    """
    patterns = [_pattern(text, gpus) for text in overrides]
    found = []
    for name, size in tensors:
        place = next((place for pattern, place in patterns if pattern.search(name)), None)
        if place is not None:
            found.append((name, size, place))
    count = max(first, _first_layers([name for name, _, place in found if place == RAM], tensors))
    rest = tuple(row for row in found if not (row[2] == RAM and EXPERTS.search(row[0]) and _layer(row[0]) < count))
    return Moved(rest, count)


def _pattern(text: str, gpus: int) -> tuple[re.Pattern[str], int]:
    pattern, _, buffer = text.rpartition("=")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no pattern: {error}") from error
    if buffer in IN_RAM:
        return compiled, RAM
    number = NUMBER.fullmatch(buffer)
    if number is None or int(number[1]) >= gpus:
        raise ValueError(f"there is no device {buffer!r}")
    return compiled, int(number[1])


def _layer(name: str) -> int:
    match = LAYER.search(name)
    return int(match[1]) if match is not None else -1


def _first_layers(in_ram: Sequence[str], tensors: Sequence[tuple[str, int]]) -> int:
    """Return of how many layers, counted from the first, all experts are among these names."""
    kept = {name for name in in_ram if EXPERTS.search(name)}
    layers = {_layer(name) for name in kept}
    layers -= {_layer(name) for name, _ in tensors if kept and name not in kept and EXPERTS.search(name)}
    count = 0
    while count in layers:
        count += 1
    return count


def _home(name: str, places: Sequence[int], settings: Settings) -> tuple[str, int]:
    """Return the row in which a tensor is counted, and the place where it would be."""
    layer = _layer(name)
    if layer < 0 or layer >= len(places) - 1:
        return ("output layer", places[-1]) if name.startswith("output") else ("token embedding", RAM)
    if EXPERTS.search(name):
        return "experts", RAM if layer < settings.cpu_experts else places[layer]
    return "weights", places[layer]
