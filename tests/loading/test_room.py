"""Room for pages of files, on this machine and on one of which all is known."""

from __future__ import annotations

import os

import pytest

from claracore.core.fit.machine import Memory
from claracore.core.units import GIB
from claracore.host.hardware.process_memory import ProcessMemory
from claracore.host.loading import room
from claracore.host.loading.room import room_for_pages


def test_pages_that_running_models_have_mapped_are_no_room_nor_is_what_is_kept_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = {7: ProcessMemory(own=50 * GIB, mapped=5 * GIB), 8: ProcessMemory(mapped=GIB)}
    monkeypatch.setattr(room, "probe_memory", lambda: Memory(64 * GIB, 20 * GIB, "a test"))
    monkeypatch.setattr(room, "process_memory", lambda pid, quick: taken.get(pid) if quick else None)
    assert room_for_pages((), 0) == 20 * GIB
    assert room_for_pages((7, 8, 9), 2 * GIB) == 12 * GIB
    assert room_for_pages((7, 8), 15 * GIB) == 0


def test_here() -> None:
    assert room_for_pages((os.getpid(),), 0) > 0
    assert room_for_pages((), 1_000_000 * GIB) == 0
