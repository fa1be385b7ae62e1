"""Where is llama.cpp's own program for plans, and what does it print?

`llama-fit-params` lies beside llama-server since late 2025. It reads headers only, but wakes the graphics devices: tens
of milliseconds on processors, a second or two with CUDA. Each run is bounded, and ended by its process where it is not
done in time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from claracore.host.engines import abilities
from claracore.host.engines.find import Engine, Unusable, ask
from claracore.host.hardware.engine import PCI_ORDER

NAME: Final = "llama-fit-params.exe" if os.name == "nt" else "llama-fit-params"
NEEDED: Final = "--fit-print"
"""Earlier ones cannot say what given flags take."""
MOST_SECONDS: Final = 10.0
"""For one question."""


@dataclass(frozen=True, slots=True)
class FitBinary:
    """The program, the flags that it knows, and what tells this build of it from another."""

    path: str
    flags: frozenset[str]
    stamp: str


def fit_binary(engine: Engine) -> FitBinary | None:
    """Return the program that belongs to an engine; None where there is none that can be asked. Blocking, once."""
    if engine.embedded:
        return None
    server = Path(engine.argv[0])
    for folder in dict.fromkeys((server.parent, server.resolve().parent)):
        path = folder / NAME
        try:
            stat = path.stat()
        except OSError:
            continue
        if (flags := _flags(str(path), stat.st_size, stat.st_mtime_ns)) and NEEDED in flags:
            return FitBinary(str(path), flags, f"{path} {stat.st_size} {stat.st_mtime_ns}")
    return None


@lru_cache(maxsize=8)
def _flags(path: str, _size: int, _mtime_ns: int) -> frozenset[str]:
    text = ask(path, "--help")
    return frozenset() if isinstance(text, Unusable) else abilities.flags(text)


@dataclass(slots=True)
class FitRunner:
    """Runs the program, until a moment or until it is closed; for any thread."""

    binary: FitBinary
    until: float
    """By `time.monotonic`."""
    _running: set[subprocess.Popen[str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    @property
    def may_run(self) -> bool:
        """Whether there is time for another question."""
        return not self._closed and time.monotonic() < self.until

    def run(self, words: Sequence[str]) -> str | None:
        """Return what it prints; None when it fails, or there is no time (left) for it."""
        seconds = min(MOST_SECONDS, self.until - time.monotonic())
        with self._lock:
            if self._closed or seconds <= 0:
                return None
            try:
                process = subprocess.Popen(
                    [self.binary.path, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL, text=True, errors="replace",
                    start_new_session=True, env={**os.environ, PCI_ORDER[0]: PCI_ORDER[1]},
                )  # fmt: skip
            except OSError:
                return None
            self._running.add(process)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            process.communicate()
            return None
        finally:
            with self._lock:
                self._running.discard(process)
        return output if process.returncode == 0 else None

    def close(self) -> None:
        """End what runs, and run nothing from now on."""
        with self._lock:
            self._closed = True
            for process in self._running:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a program that was started as the first of its session, and what it started: a script in its place, say."""
    with contextlib.suppress(ProcessLookupError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
