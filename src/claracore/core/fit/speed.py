"""How many tokens per second will a model read and write, before it has ever run here?

Writing is bound by memory: for each token all active weights are read once, and the cache of the conversation so far,
each from where it lies. Reading a prompt is bound by arithmetic: two operations for each active parameter and token;
weights in RAM beside a GPU have to be copied to it for each batch. Both are predictions of the right size, no
measurements: what this machine has shown with other models corrects them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

from claracore.core.fit.places import RAM
from claracore.core.gguf.model import Kind

if TYPE_CHECKING:
    from claracore.core.fit.memory import Estimate
    from claracore.core.fit.settings import Settings
    from claracore.core.gguf.model import ModelFacts

CONVERSATION = 2048
"""Tokens that a conversation has when its speed is told."""
RAM_PART, GPU_PART = 0.8, 0.75
"""Of a bandwidth, what reading weights gets: of RAM as measured by copying, of a GPU's as its maker tells it."""
GPU_ARITHMETIC_PART = 0.35
"""Of a GPU's operations per second, what a prompt gets."""
CORE_OPERATIONS = 50e9
"""Per second, of one processor core with quantized weights and 256-bit vectors."""
BUS_BYTES = 12e9
"""Per second, from RAM to a GPU: PCIe 4.0 with some lanes to spare."""
TOKEN_SECONDS, LAYER_ON_GPU_SECONDS, LAYER_IN_RAM_SECONDS = 0.0002, 0.00001, 0.00005
"""What a token costs beside that: sampling, starting the work of a layer on a GPU, threads that wait for each other."""
LEAST_FACTOR, MOST_FACTOR = 0.1, 4.0
WHOLE = frozenset({"weights", "output layer", "moved weights"})


class SpeedSource(StrEnum):
    """How a speed is known."""

    MEASURED = "measured"
    PREDICTED = "predicted"


@dataclass(frozen=True, slots=True)
class MachineSpeed:
    """What a machine's memory and processors can do, per second; None is not known."""

    ram_bandwidth: float | None
    cores: int
    gpu_bandwidths: tuple[float | None, ...] = ()
    gpu_operations: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelSpeed:
    """Tokens per second of one answer at a time; None is not known, or none are written."""

    reading: float | None
    writing: float | None
    source: SpeedSource
    in_ram: bool = False
    """Whether any weights are computed with in RAM."""
    answers: int = 0
    """How many answers a measured speed is the median of."""

    @property
    def words(self) -> str:
        """What it is, for people; empty when nothing is known."""
        about = "about " if self.source is SpeedSource.PREDICTED else ""
        parts = [
            f"{verb} {about}{_rounded(speed)}"
            for verb, speed in (("writes", self.writing), ("reads", self.reading))
            if speed
        ]
        of = f", {self.answers} answers" if self.answers else ""
        return f"{' and '.join(parts)} tokens/s ({self.source}{of})" if parts else ""

    @property
    def short(self) -> str:
        """The same for a column: tokens written per second, else those read."""
        speed = self.writing or self.reading
        return "" if not speed else f"~{_rounded(speed)}" if self.source is SpeedSource.PREDICTED else _rounded(speed)


def predicted_speed(facts: ModelFacts, settings: Settings, estimate: Estimate, machine: MachineSpeed) -> ModelSpeed:
    """Predict how fast one answer at a time is; without a bandwidth of every place that is used there is no number."""
    read = _read_per_token(facts, settings, estimate)
    writes = facts.kind not in {Kind.EMBEDDING, Kind.RERANKER}
    return ModelSpeed(
        reading=_reading(facts, settings, read, machine),
        writing=_writing(facts, read, machine) if writes else None,
        source=SpeedSource.PREDICTED,
        in_ram=read[RAM] > 0,
    )


def corrected(speed: ModelSpeed, past: Iterable[tuple[ModelSpeed, ModelSpeed]]) -> ModelSpeed:
    """Correct a prediction by what was (predicted, seen) of other models that are placed alike."""
    alike = [(expected, seen) for expected, seen in past if expected.in_ram == speed.in_ram]
    reading = _factor((expected.reading, seen.reading) for expected, seen in alike)
    writing = _factor((expected.writing, seen.writing) for expected, seen in alike)
    return ModelSpeed(
        speed.reading * reading if speed.reading is not None else None,
        speed.writing * writing if speed.writing is not None else None,
        speed.source,
        speed.in_ram,
    )


def _read_per_token(facts: ModelFacts, settings: Settings, estimate: Estimate) -> Counter[int]:
    """Return the bytes that are read for each token, by place."""
    used = facts.experts_used / facts.experts if facts.experts else 1.0
    slots = 1 if settings.unified else settings.parallel
    filled = min(1.0, CONVERSATION * slots / settings.context) / slots if settings.context else 0.0
    parts = {**dict.fromkeys(WHOLE, 1.0), "experts": used, "KV cache": filled, "recurrent state": 1 / settings.parallel}
    read: Counter[int] = Counter()
    for row in estimate.rows:
        read[row.place] += int(row.bytes * parts.get(row.what, 0.0))
    weights = facts.tensor_bytes
    output = next((row for row in estimate.rows if row.what == "output layer"), None)
    if weights.tied_output and (output is None or output.bytes <= weights.output):
        read[RAM] += weights.token_embedding_weight  # multiplied with where it lies
    return read


def _writing(facts: ModelFacts, read: Counter[int], machine: MachineSpeed) -> float | None:
    seconds = TOKEN_SECONDS + facts.layers * (LAYER_IN_RAM_SECONDS if read[RAM] else LAYER_ON_GPU_SECONDS)
    for place, size in read.items():
        bandwidth = read_bandwidth(machine, place)
        if size and not bandwidth:
            return None
        seconds += size / bandwidth if bandwidth else 0.0
    return 1 / seconds


def _reading(facts: ModelFacts, settings: Settings, read: Counter[int], machine: MachineSpeed) -> float | None:
    operations = 2.0 * max(facts.parameters_active - _looked_up(facts), 1)
    gpus = [place for place, size in read.items() if place != RAM and size]
    if not gpus:
        return machine.cores * CORE_OPERATIONS / operations
    speeds = [_operations(machine, place) for place in gpus]
    known = [speed for speed in speeds if speed]
    if len(known) < len(speeds):
        return None
    copied = read[RAM] / (max(settings.micro_batch, 1) * BUS_BYTES)
    return 1 / (operations / min(known) + copied)


def _looked_up(facts: ModelFacts) -> int:
    """Return the parameters that a prompt is not multiplied with: embeddings, and the output but for its last token."""
    return (facts.vocab_size or 0) * (facts.embedding_length or 0) * (1 if facts.tensor_bytes.tied_output else 2)


def read_bandwidth(machine: MachineSpeed, place: int) -> float | None:
    """Return the bytes per second at which weights in a place are read; None when it is not known."""
    if place == RAM:
        return machine.ram_bandwidth * RAM_PART if machine.ram_bandwidth else None
    found = machine.gpu_bandwidths[place] if place < len(machine.gpu_bandwidths) else None
    return found * GPU_PART if found else None


def _operations(machine: MachineSpeed, place: int) -> float | None:
    found = machine.gpu_operations[place] if place < len(machine.gpu_operations) else None
    return found * GPU_ARITHMETIC_PART if found else None


def _factor(pairs: Iterable[tuple[float | None, float | None]]) -> float:
    ratios = [seen / expected for expected, seen in pairs if expected and seen]
    return max(LEAST_FACTOR, min(MOST_FACTOR, median(ratios))) if ratios else 1.0


def _rounded(speed: float) -> str:
    """Write tokens per second with two digits, or three where there is a third before the point."""
    return f"{speed:.0f}" if speed >= 10 else f"{speed:.1f}"
