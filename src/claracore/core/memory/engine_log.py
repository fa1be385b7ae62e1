"""Which buffers does llama.cpp say it has made, in the log of a server that loads a model?

    load_tensors:        CUDA0 model buffer size =  4403.55 MiB
    llama_kv_cache:      CUDA0 KV buffer size = 16384.00 MiB
    sched_reserve:   CUDA_Host compute buffer size =   160.02 MiB

Builds since b10000 or so print these at `--verbosity 4` only. What is `_Mapped` lies in pages of the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from claracore.core.units import MIB

MARK: Final = "buffer size ="
"""In each line that tells of a buffer."""
BUFFER: Final = re.compile(r"(\w+): +(\S+) +(\w+) buffer size = +([\d.]+) MiB")
CLIP: Final = "reserve_compute_meta"
"""Which function of a projector's code tells the size of its buffer."""
MAPPED: Final = "_Mapped"
ELSEWHERE: Final = "RPC"
"""What the devices of other machines are called."""
ADDED: Final = frozenset({"model", "KV", "RS", "output"})
"""Each line of these is a buffer more. The others (compute) are told again when they are made anew."""
NUMBER: Final = re.compile(r"[A-Za-z]+(\d+)(?:_Mapped)?")


@dataclass(frozen=True, slots=True)
class EngineBuffers:
    """Bytes by device as llama.cpp names it (`CUDA0`, `CUDA_Host`, `CPU`, `CPU_Mapped`); empty when it tells none."""

    by_device: Mapping[str, int] = field(default_factory=dict)

    @property
    def mapped(self) -> int:
        """Bytes of weights that are used in the pages of the file: in RAM, or by a GPU that shares it."""
        return sum(size for name, size in self.by_device.items() if name.endswith(MAPPED))

    @property
    def in_ram(self) -> int:
        """Bytes of buffers in RAM of this machine, without what is mapped."""
        near = (name for name in self.by_device if not name.startswith(ELSEWHERE) and MAPPED not in name)
        return sum(self.by_device[name] for name in near if _gpu_number(name) is None)

    def on_gpu(self, index: int) -> int:
        """Bytes of buffers on a GPU, by the engine's own number."""
        return sum(size for name, size in self.by_device.items() if _gpu_number(name) == index)


def engine_buffers(lines: Iterable[str]) -> EngineBuffers:
    """Read the lines of a server until it was ready; others than those of buffers are passed over.

    A draft model's buffers, which are told behind the model's, are added to those. A log without the model's own
    buffers (builds of 2024 named them otherwise) tells too little to be of use.
    """
    added: Counter[str] = Counter()
    latest: dict[tuple[int, str, str], int] = {}
    contexts, has_model = 0, False
    for line in lines:
        match = BUFFER.search(line) if MARK in line else None
        if match is None:
            continue
        by, device, what, mebibytes = match.groups()
        size = int(float(mebibytes) * MIB)
        contexts += what == "output"
        has_model = has_model or what == "model"
        if what in ADDED:
            added[device] += size
        else:
            latest[contexts if by != CLIP else -1, device, what] = size
    for (_, device, _), size in latest.items():
        added[device] += size
    return EngineBuffers(dict(added) if has_model else {})


def _gpu_number(device: str) -> int | None:
    match = NUMBER.fullmatch(device)
    return int(match[1]) if match is not None else None
