"""Which of several files is read next for its checksum?

One at a time, slice by slice, and always of the smallest one: who waits for a small file does not wait for the disk to
read a big one that others have asked for before.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
from typing import Final

SLICE_BYTES: Final = 8 * 1024 * 1024


class Digesting:
    """Reads files for their checksums."""

    def __init__(self) -> None:
        self._wanted: set[tuple[int, int]] = set()
        """Size of each file, and a number that no other has."""
        self._numbers = itertools.count()
        self._turn = asyncio.Condition()
        self._is_reading = False

    async def sha256(self, descriptor: int) -> str:
        """Return the SHA-256 of an open file, in hex. Raises OSError."""
        size = os.fstat(descriptor).st_size
        entry, reading = (size, next(self._numbers)), _HalfRead(descriptor)
        self._wanted.add(entry)
        try:
            while not reading.is_over:
                await self._take_turn(entry, reading)
        finally:
            self._wanted.discard(entry)
            async with self._turn:
                self._turn.notify_all()
        return reading.digest.hexdigest()

    async def _take_turn(self, entry: tuple[int, int], reading: _HalfRead) -> None:
        """Read the next slice when no other one is read, and no smaller file is wanted."""
        async with self._turn:
            await self._turn.wait_for(lambda: not self._is_reading and min(self._wanted) == entry)
            self._is_reading = True
        try:
            await asyncio.to_thread(reading.read)
        finally:
            self._is_reading = False
            async with self._turn:
                self._turn.notify_all()


class _HalfRead:
    """How far one file is read."""

    def __init__(self, descriptor: int) -> None:
        self.digest = hashlib.sha256()
        self.is_over = False
        self._descriptor = descriptor
        self._at = 0

    def read(self) -> None:
        """Take in the next slice. Blocking."""
        data = os.pread(self._descriptor, SLICE_BYTES, self._at)
        self.digest.update(data)
        self._at += len(data)
        self.is_over = not data
