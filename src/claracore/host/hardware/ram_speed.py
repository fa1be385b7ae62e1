"""How fast is this machine's RAM? Measured once, by copying for a fifth of a second; kept in the state folder.

By as many threads as compute, each with memory of its own that no cache holds: reading weights is as fast as this.
Blocking.
"""

from __future__ import annotations

import ctypes
import threading
import time
from pathlib import Path
from typing import Any

from claracore.core.fit.machine import Hardware
from claracore.host.state_file import StateFile

FILE = "ram-speed.json"
BLOCK_BYTES = 32 * 1024 * 1024
SECONDS = 0.1
ROUNDS = 2
MOST_THREADS = 16


def ram_bandwidth(hardware: Hardware, state_dir: Path | None) -> float:
    """Return the bytes per second that threads of this machine read and write together, as measured once here."""
    path = state_dir / FILE if state_dir is not None else None
    file = StateFile(path, _of_json, flush=True, without="RAM is measured anew")
    processor = hardware.processor
    key = f"{processor.name} {processor.threads} {hardware.memory.total_bytes >> 30}"
    known = file.read() or {}
    if key not in known:
        known = {key: max(measured_bandwidth(min(processor.threads, MOST_THREADS)) for _ in range(ROUNDS))}
        file.save(known)
    return known[key]


def measured_bandwidth(threads: int) -> float:
    """Copy with so many threads, and return the bytes per second that they have read and written."""
    copied = [0] * threads
    spent = [0.0] * threads
    ready = threading.Barrier(threads)

    def copy(number: int) -> None:
        source, target = ctypes.create_string_buffer(BLOCK_BYTES), ctypes.create_string_buffer(BLOCK_BYTES)
        ctypes.memset(source, number + 1, BLOCK_BYTES)  # pages that were never written are one page of zeros
        ctypes.memmove(target, source, BLOCK_BYTES)
        ready.wait()
        began = time.thread_time()  # not of the clock on the wall: others may have the processor in between
        while spent[number] < SECONDS:
            ctypes.memmove(target, source, BLOCK_BYTES)
            copied[number] += BLOCK_BYTES
            spent[number] = time.thread_time() - began

    workers = [threading.Thread(target=copy, args=(number,), name="RAM speed") for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(2 * size / seconds for size, seconds in zip(copied, spent, strict=True))


def _of_json(found: Any) -> dict[str, float]:  # noqa: ANN401 - whatever is there
    """Return what a file says. Raises AttributeError."""
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float) and value > 0}
