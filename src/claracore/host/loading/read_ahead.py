"""How are the files of a model read into memory before its server needs them, without being in anybody's way?

One thread, a window at a time: it waits for each before it asks for the next but one. While nobody loads the model yet
it has the lowest priority at the disk. It ends when all is there, when nobody waits for the model any more, or where
memory has no more room for pages of files.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from claracore.core.units import MIB
from claracore.host.loading.page_cache import WINDOW_BYTES, ask_for, cached_share, piece_bytes, wait_for
from claracore.host.loading.weight_files import WeightFile

logger = logging.getLogger("claracore.loading")

GRANT_BYTES: Final = 256 * MIB
"""After so much it is looked again how much room there is."""
IN_MEMORY: Final = 0.999
"""A file of which this much is there is not read again."""


@dataclass(frozen=True, slots=True)
class WasRead:
    """What came of it."""

    bytes: int
    """What was not in memory and is now, as far as that could be seen."""
    seconds: float
    disk: str
    complete: bool


class ReadAhead:
    """Reads files into memory."""

    def __init__(
        self,
        files: Callable[[], Sequence[WeightFile]],
        *,
        room: Callable[[], int],
        wanted: Callable[[], bool],
        urgent: Callable[[], bool],
        on_end: Callable[[WasRead], None],
    ) -> None:
        """Take what is asked in the thread, `files` once, and told at the end, once, whatever has happened.

        `room` says how many bytes of these files memory may hold, those that it holds included; `urgent` whether the
        model is being loaded.
        """
        self._find_files = files
        self._room = room
        self._wanted = wanted
        self._urgent = urgent
        self._on_end = on_end
        self._cancelled = threading.Event()
        self._there = 0
        """Bytes that are in memory by now, of the files so far."""
        self._granted = 0
        """Up to this many may be."""
        self._thread = threading.Thread(target=self._run, name="read ahead", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """End soon: after the windows that are under way."""
        self._cancelled.set()

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def join(self) -> None:
        """Return when it has ended."""
        self._thread.join()

    def _run(self) -> None:
        begun, read, disk, complete = time.monotonic(), 0, "", True
        try:
            for file in self._find_files():
                disk = disk or file.disk
                before, missing = self._there, self._missing(file)
                if not missing:
                    self._there += file.bytes
                    continue
                complete = self._read(file.path, file.bytes)
                read += round(missing * (self._there - before) / file.bytes)
                if not complete:
                    break
        except OSError as error:
            complete = False
            logger.debug("reading ahead ended: %s", error)
        except Exception:
            complete = False
            logger.exception("reading ahead ended by an unexpected error")
        finally:
            self._on_end(WasRead(read, time.monotonic() - begun, disk, complete))

    def _missing(self, file: WeightFile) -> int:
        share = cached_share(file.path)
        return file.bytes if share is None else 0 if share >= IN_MEMORY else round((1.0 - share) * file.bytes)

    def _read(self, path: str, size: int) -> bool:
        """Read a file; False when it was left off."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            piece = piece_bytes(os.fstat(descriptor).st_dev)
            for offset in range(0, size, WINDOW_BYTES):
                window = min(WINDOW_BYTES, size - offset)
                if not self._may_read(window):
                    return False
                ask_for(descriptor, offset, window, piece)
                if offset:
                    wait_for(descriptor, offset - 1)
                self._there += window
            wait_for(descriptor, max(0, size - 1))
        finally:
            os.close(descriptor)
        return True

    def _may_read(self, size: int) -> bool:
        if self._cancelled.is_set():
            return False
        if self._there + size > self._granted:
            _yield_to_others(yielding=not self._urgent())
            self._granted = min(self._there + GRANT_BYTES, self._room())
        return self._there + size <= self._granted and self._wanted()


def _yield_to_others(*, yielding: bool) -> None:
    """Let everybody else's reads go before those of this thread, where the system can, or no longer."""
    if sys.platform == "linux":
        priority = psutil.IOPRIO_CLASS_IDLE if yielding else psutil.IOPRIO_CLASS_NONE
        with contextlib.suppress(psutil.Error, OSError):
            psutil.Process(threading.get_native_id()).ionice(priority)
