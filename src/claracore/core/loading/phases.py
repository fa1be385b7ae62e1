"""What is a server at that loads a model, by the lines of its log, and how is that said to a person?

A table of llama.cpp's lines, from builds of 2023 to b11434: later ones print fewer of them unless they are asked for
more (`--verbosity 4`). The last line counts: where a projector or a draft model follows, weights are read once more.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from claracore.core.units import GIB, gib


class LoadPhase(StrEnum):
    """What a server is at, in the order of a load."""

    STARTING = "starting"
    """Its program starts: libraries, devices."""
    WEIGHTS = "weights"
    CONTEXT = "context"
    WARMUP = "warmup"
    CONVERSATIONS = "conversations"
    """It answers, and conversations of its last run are brought back."""
    WAKING = "waking"
    """It slept, and takes its memory again."""


AFTER_WEIGHTS: Final = frozenset({LoadPhase.CONTEXT, LoadPhase.WARMUP, LoadPhase.CONVERSATIONS})

TABLE: Final = (
    # tools/server/server-context.cpp, src/llama-model-loader.cpp, src/llama-model.cpp
    (LoadPhase.WEIGHTS, r"load_model: loading model|loaded meta data with|load_tensors?: |llm_load_tensors: "),
    # src/llama-context.cpp, before 2025 src/llama.cpp
    (LoadPhase.CONTEXT, r"constructing llama_context|llama_new_context_with_model: |llama_init_from_model: n_ctx"),
    # common/common.cpp: the first in all builds, since b10000 or so at --verbosity 4 only; the second just before it
    (LoadPhase.WARMUP, r"warming up the model|llama threadpool init"),
)
PATTERN: Final = re.compile("|".join(f"(?P<{phase}>{pattern})" for phase, pattern in TABLE))

STAGES: Final = {"Loading draft model": "the draft model", "Loading projector": "the projector"}
"""What is read besides the model itself, by the words for it in `host.engines.states`."""
ALL: Final = 0.995
"""So much that is read is all: what is in memory is counted by pages."""


def phase_of(line: str) -> LoadPhase | None:
    """Return what a server is at that prints this line; None where it does not tell."""
    found = PATTERN.search(line)
    return LoadPhase(str(found.lastgroup)) if found is not None else None


def phase_words(
    phase: LoadPhase | None, message: str, *, read: int | None, total: int, copies: bool = False, cached: bool = False
) -> str:
    """Return what a load is at, in words: `reading weights 4.1 of 8.2 GiB`; empty where nothing is known.

    `message` is what the server says itself, `read` how many bytes of `total` there are (None and 0 where that is not
    known), `copies`: they were read before, and are copied to where they are used, `cached`: they were in memory.
    """
    match phase:
        case LoadPhase.STARTING:
            return message if _tells(message) else "starting the engine"
        case LoadPhase.WEIGHTS:
            if message in STAGES:
                return f"reading {STAGES[message]}"
            return _weights_words(read, total, copies=copies, cached=cached)
        case LoadPhase.CONTEXT:
            return "making the context"
        case LoadPhase.WARMUP:
            return "warming up"
        case LoadPhase.CONVERSATIONS:
            return "bringing conversations back"
        case LoadPhase.WAKING:
            return "waking"
        case None:
            return message if _tells(message) else ""


def _tells(message: str) -> bool:
    """Whether a server's sentence says more than that it loads."""
    return bool(message) and not message.lower().startswith("loading model")


def _weights_words(read: int | None, total: int, *, copies: bool, cached: bool) -> str:
    if not total:
        return "reading weights"
    if read is None:
        return f"reading weights, {gib(total)}"
    if read >= ALL * total:
        return f"{gib(total)} of weights are {'in memory already' if cached else 'read'}"
    return f"{'copying' if copies else 'reading'} weights {_of(read, total)}"


def _of(read: int, total: int) -> str:
    """Return a part of a size: `4.1 of 8.2 GiB`, `0 of 93 MiB`."""
    if total >= GIB:
        return f"{read / GIB:.1f} of {gib(total)}"
    unit = gib(total).rpartition(" ")[2]
    return f"{read / (1024**2 if unit == 'MiB' else 1024):.0f} of {gib(total)}"
