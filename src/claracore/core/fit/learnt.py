"""What has this machine taught about estimates: how much more (or less) than counted did a model take?

A model that was loaded has shown how far its estimate is off. That difference is added when the same file is placed in
the same way again: on GPUs, with experts in RAM, with layers in RAM, or in RAM. Nothing of `fit` is imported, so that
`memory` can ask it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from claracore.core.units import MIB

if TYPE_CHECKING:
    from claracore.core.fit.settings import Settings

NOTABLE = 0.03
"""A difference of at most this part of what was taken corrects nothing..."""
NOTABLE_BYTES = 32 * MIB
"""... nor does one of so few bytes."""


class PlacementClass(StrEnum):
    """Which sums an estimate adds up, and so in what it can be wrong."""

    GPU = "gpu"
    EXPERTS_IN_RAM = "experts in RAM"
    PARTLY = "layers in RAM"
    CPU = "cpu"


def placement_class(layers: int, settings: Settings) -> PlacementClass:
    """Return how a model of so many layers is placed."""
    if not settings.gpu_layers:
        return PlacementClass.CPU
    if settings.gpu_layers <= layers:
        return PlacementClass.PARTLY
    return PlacementClass.EXPERTS_IN_RAM if settings.cpu_experts else PlacementClass.GPU


@dataclass(frozen=True, slots=True)
class Correction:
    """Bytes by place (a GPU's index, or -1 for RAM) that the model took more than was counted; less is negative."""

    placement: PlacementClass
    by_place: Mapping[int, int]
    context: int = 0
    """With how many tokens of context that was seen; 0 where it is not known."""

    def rows(self, layers: int, settings: Settings, places: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield place and bytes to add; none when the model is placed in another way than it was measured.

        What was measured on other GPUs than these is shared out among these. With a shorter context less of what was
        counted too much is there to be taken off.
        """
        if placement_class(layers, settings) is not self.placement:
            return
        gpus = sorted({place for place in places if place >= 0})
        measured = {place: size for place, size in self.by_place.items() if place >= 0}
        if set(measured) != set(gpus) and gpus:
            each = sum(measured.values()) // len(gpus)
            measured = dict.fromkeys(gpus, each)
        part = min(1.0, settings.context / self.context) if self.context else 1.0
        for place, size in sorted({**measured, -1: self.by_place.get(-1, 0)}.items()):
            yield place, size if size > 0 else int(size * part)
