"""What is llama.cpp's own program for plans asked, and what does it answer?

`llama-fit-params` reads a model's header and says how many bytes llama.cpp would take of each device with given flags
(`--fit-print on`), or which flags it would choose itself. It knows fewer flags than llama-server: what it cannot be
told is left out of the question (`asked_settings`), and counted by us.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from claracore.core.fit.flags import KnownFlags
from claracore.core.units import MIB

if TYPE_CHECKING:
    from claracore.core.fit.settings import Settings

HOST: Final = "Host"
BREAKDOWN: Final = "fit_memory_breakdown"
PRINT: Final = ("--fit-print", "on")
STRUCTURED: Final = "--log-jsonl"
"""With it buffers are listed that are neither a device's nor plain RAM: weights re-arranged for a processor."""
ABOUT_MEMORY: Final = frozenset(
    {
        "--ctx-size", "--n-gpu-layers", "--n-cpu-moe", "--override-tensor", "--device", "--tensor-split",
        "--split-mode", "--main-gpu", "--cache-type-k", "--cache-type-v", "--flash-attn", "--batch-size",
        "--ubatch-size", "--parallel", "--kv-unified",
    }
)  # fmt: skip
CHOSEN_BY_IT: Final = frozenset({"--ctx-size", "--n-gpu-layers", "--n-cpu-moe", "--override-tensor", "--tensor-split"})
LINE: Final = re.compile(r"(\S+) (\d+) (\d+) (\d+) *")
"""A device, and MiB of weights, context and computing."""
SPACE_STEP: Final = 256 * MIB
FITTED: Final = re.compile(r"-c \d+ -ngl -?\d+.*")


@dataclass(frozen=True, slots=True)
class FitQuestion:
    """Words behind the program's name."""

    words: tuple[str, ...]
    about: tuple[str, ...]
    """What decides about the answer: the same words, with the memory there is instead of what to leave free of it."""
    askable: bool = True
    """False where an earlier answer may be known, but asking now would bring another: the memory is in use."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The flags that llama.cpp would choose."""

    context: int
    gpu_layers: int
    """Negative: all."""
    split: tuple[float, ...] = ()
    overrides: tuple[str, ...] = ()
    """Each `PATTERN=BUFFER` of `--override-tensor`."""


@dataclass(frozen=True, slots=True)
class FitAnswer:
    """What was answered: bytes by device, or flags."""

    devices: Mapping[str, int] = field(default_factory=dict)
    """By the engine's names."""
    ram: int = 0
    whole: bool = False
    """Whether RAM is complete, with weights that are re-arranged for the processor."""
    fitted: Fitted | None = None


Ask = Callable[[FitQuestion], FitAnswer | None]
"""Returns None when there is no answer (yet)."""


@dataclass(frozen=True, slots=True)
class FitProgram:
    """Which flags the program knows, and about which model it is asked."""

    flags: frozenset[str]
    model: str

    @property
    def known_flags(self) -> KnownFlags:
        """The flags that it can be told."""
        return KnownFlags(self.flags)

    def asked_settings(self, settings: Settings) -> Settings:
        """Return the settings as far as it can be told them: slots that share one cache are one slot for it."""
        settings = replace(settings, predicting=False, drafted=0, repeating=False)
        shares = settings.unified and "--kv-unified" not in self.flags
        return replace(settings, parallel=1, unified=False) if shares else settings

    def how_much(self, words: Sequence[str]) -> FitQuestion:
        """Ask what these flags take."""
        asked = (*self._start(), *words, *PRINT)
        return FitQuestion(asked, asked)

    def what_else(
        self, words: Sequence[str], space: Sequence[int], leave: Sequence[int] | None, context: int | None
    ) -> FitQuestion:
        """Ask what it would choose itself in `space` bytes of each device, with a context if one is given.

        `leave` are the bytes to leave free for that; None when so much is not free now.
        """
        asked = (*self._start(), *words, *(("--ctx-size", str(context)) if context is not None else ()))
        about = (*asked, "space", *(str(size // SPACE_STEP) for size in space))
        if leave is None:
            return FitQuestion((), about, askable=False)
        return FitQuestion((*asked, "--fit-target", ",".join(str(size // MIB) for size in leave)), about)

    def _start(self) -> tuple[str, ...]:
        return ("--model", self.model, *((STRUCTURED,) if STRUCTURED in self.flags else ()))


def read_answer(text: str) -> FitAnswer | None:
    """Return what the program has printed on its standard output; None when that is no answer."""
    sums: dict[str, int] = {}
    rows: list[dict[str, Any]] | None = None
    fitted = None
    for line in text.splitlines():
        if line.startswith("{"):
            rows = _breakdown(line) or rows
        elif (match := LINE.fullmatch(line)) is not None:
            sums[match[1]] = sum(map(int, match.groups()[1:])) * MIB
        elif FITTED.fullmatch(line.strip()):
            fitted = _fitted(line)
    if fitted is not None:
        return FitAnswer(fitted=fitted)
    if not sums:
        return None
    ram = sums.pop(HOST, 0) + sum(_size(row) for row in rows or () if row.get("kind") == "buffer_type")
    return FitAnswer(sums, ram, whole=rows is not None)


def _breakdown(line: str) -> list[dict[str, Any]] | None:
    """Return the rows of memory in one line of the structured log; None for any other line."""
    try:
        entry = json.loads(line)
        rows = entry["data"]["rows"] if entry["type"] == BREAKDOWN else None
    except (ValueError, KeyError, TypeError):
        return None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


def _size(row: Mapping[str, Any]) -> int:
    size = row.get("self")
    return size * MIB if isinstance(size, int) else 0


def _fitted(line: str) -> Fitted | None:
    r"""Return the flags of a line such as `-c 4096 -ngl 49 -ts 25,24 -ot "blk\.1\.ffn_.*=CPU"`."""
    try:
        words = shlex.split(line)
        values = dict(zip(words[::2], words[1::2], strict=True))
        split = tuple(float(part) for part in values.get("-ts", "").split(",") if part)
        overrides = tuple(part for part in values.get("-ot", "").split(",") if part)
        return Fitted(int(values["-c"]), int(values["-ngl"]), split, overrides)
    except (ValueError, KeyError):
        return None
