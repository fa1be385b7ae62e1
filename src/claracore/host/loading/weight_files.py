"""Which files does a model's server read when it starts, and how much of them is in memory? Blocking.

All that its command names: shards, projector, draft model, adapters. What a container or a script reads by other names
is not seen.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from claracore.core.config.model import ModelConfig
from claracore.core.loading.past import ModelFile
from claracore.host.loading.page_cache import cached_share
from claracore.host.supervisor.named_files import holds_weights, stamped_paths

DIRECT: Final = frozenset({"-dio", "--direct-io"})
DIRECT_MODES: Final = frozenset({("--load-mode", "dio"), ("-lm", "dio")})
"""llama.cpp, common/arg.cpp."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file that is there."""

    path: str
    bytes: int
    disk: str
    """On which file system."""


def weight_files(model: ModelConfig, environ: Mapping[str, str]) -> tuple[WeightFile, ...]:
    """Return the files with weights that a model's command names, in the order of the command.

    None where its server does not read them by way of the page cache: it does not matter what is in memory then.
    """
    if _reads_past_memory(model):
        return ()
    found = (_file(path) for path in dict.fromkeys(stamped_paths(model, environ)) if holds_weights(path))
    return tuple(file for file in found if file is not None)


def in_memory(files: Sequence[WeightFile]) -> ModelFile:
    """Look how much of the files is in memory."""
    missing: int | None = 0 if files else None
    for file in files:
        share = cached_share(file.path)
        missing = None if share is None or missing is None else missing + round((1.0 - share) * file.bytes)
    largest = max(files, key=lambda file: file.bytes, default=None)
    return ModelFile(sum(file.bytes for file in files), missing, largest.disk if largest is not None else "")


def _reads_past_memory(model: ModelConfig) -> bool:
    """Whether its server uses direct I/O."""
    words = model.cmd.replace("=", " ").split()
    return bool(DIRECT & set(words)) or any(pair in DIRECT_MODES for pair in pairwise(words))


def _file(path: str) -> WeightFile | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a word of a command may be no path at all
    except (OSError, ValueError):
        return None
    return WeightFile(path, found.st_size, str(found.st_dev)) if stat.S_ISREG(found.st_mode) else None
