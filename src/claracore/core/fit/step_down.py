"""With which command line does a model start that ran out of memory with its own?

Context first: as much as fits, as long as it is of use. Then what can be given to RAM: the experts of more layers, then
whole layers, at a modest context. Nothing else of the command changes. What each command takes is asked of the caller,
who counts it as the one that failed was counted; a device then has so much less as the count was off.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from claracore.core.fit.case import FLOOR, STEP
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.server_flags import VALUE_NAMES
from claracore.core.fit.settings import Settings
from claracore.core.units import counted

USEFUL: Final = 4096
"""Less context than this is taken only where nothing can go to RAM."""
MODEST: Final = 8192
"""The context of a model that has to compute partly in RAM for want of memory."""
WRITTEN: Final = {"context": "--ctx-size", "cpu_experts": "--n-cpu-moe", "gpu_layers": "--n-gpu-layers"}

Sizes = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Lesser:
    """A command line with less than the model's own."""

    cmd: str
    values: Mapping[str, int]
    """What is different, as `with_values` takes it."""
    change: str
    """What is less, for people."""
    sizes: Sizes
    """Bytes by device, as they were counted."""


@dataclass(frozen=True, slots=True)
class StepDown:
    """A command line that ran out of memory, and how others like it are counted."""

    cmd: str
    settings: Settings
    """What it means."""
    layers: int
    """Layers that are dealt out, without the output."""
    has_experts: bool
    count: Callable[[str], Sizes | None]
    """Returns what a command line takes of each device; None where it cannot be counted."""
    room: Sizes
    """What each device has for it, by the same count; devices that are not named are not looked at."""
    in_ram: bool
    """Whether RAM is what was short: then nothing can be given there."""
    known_flags: KnownFlags

    def ways(self) -> tuple[Lesser, ...]:
        """Return every command line that fits, for a person to choose from: with less context, with less on GPUs."""
        if self.settings.embeddings:
            return ()
        shorter = self._shorter()
        moved = (found for found in self._moved() if found is not None)
        return (*([shorter[1]] if shorter is not None else []), *moved)

    def lesser(self) -> Lesser | None:
        """Return the command line to start with instead; None when nothing helps."""
        if self.settings.embeddings:
            return None
        shorter = self._shorter()
        if shorter is not None and shorter[0] >= min(USEFUL, self.settings.context):
            return shorter[1]
        moved = next((found for found in self._moved() if found is not None), None)
        return moved or (shorter[1] if shorter is not None else None)

    def _shorter(self) -> tuple[int, Lesser] | None:
        """Return the most context that fits, and its command line."""
        contexts = range(-(-FLOOR // STEP) * STEP, self.settings.context, STEP)
        fitting = bisect_left(contexts, 1, key=lambda context: not self._fits({"context": context}))
        if not fitting:
            return None
        context = contexts[fitting - 1]
        return context, self._with({"context": context}, self._context_words(context))

    def _moved(self) -> Iterator[Lesser | None]:
        """Give the command lines with less on the GPUs: with the experts of more layers in RAM, with more layers."""
        settings = self.settings
        if self.in_ram or not settings.gpu_layers:
            return
        context = min(settings.context, MODEST)
        words = self._context_words(context) if context < settings.context else ""
        fixed = {"context": context}
        if self.has_experts and self.known_flags.knows(WRITTEN["cpu_experts"]):
            experts = range(settings.cpu_experts + 1, self.layers + 1)
            at = bisect_left(experts, 1, key=lambda n: self._fits({**fixed, "cpu_experts": n}))
            if at < len(experts):
                what = f"the experts of {counted(experts[at], 'layer')} in RAM"
                yield self._with({**fixed, "cpu_experts": experts[at]}, _joined(words, what))
            fixed["cpu_experts"] = self.layers
        fewer = range(min(settings.gpu_layers, self.layers + 1))
        fitting = bisect_left(fewer, 1, key=lambda n: not self._fits({**fixed, "gpu_layers": n}))
        if fitting:
            count = fewer[fitting - 1]
            what = f"{count} of {self.layers + 1} layers on the GPU"
            yield self._with({**fixed, "gpu_layers": count}, _joined(words, what))

    def _context_words(self, context: int) -> str:
        return f"{context} tokens of context instead of {self.settings.context}"

    def _fits(self, values: Mapping[str, int]) -> bool:
        sizes = self.count(with_values(self.cmd, values))
        return sizes is not None and all(sizes.get(device, 0) <= size for device, size in self.room.items())

    def _with(self, values: Mapping[str, int], change: str) -> Lesser:
        cmd = with_values(self.cmd, values)
        return Lesser(cmd, dict(values), change, self.count(cmd) or {})


def with_values(cmd: str, values: Mapping[str, int]) -> str:
    """Return a command, as it is written, with other values of these flags; those that it lacks stand behind it.

    Comments and macros stay as they are: it may be a text of a configuration.
    """
    for name, value in values.items():
        flags = "|".join(re.escape(flag) for flag, means in VALUE_NAMES.items() if means == name)
        given = re.compile(rf"^(?![ \t]*#)((?:.*\s)?(?:{flags})[ \t=]+)[^\s\"']+", re.MULTILINE)
        cmd, count = given.subn(lambda match, value=value: f"{match[1]}{value}", cmd)  # type: ignore[misc]
        if not count:
            cmd = f"{cmd.rstrip()}\n{WRITTEN[name]} {value}\n"
    return cmd


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
