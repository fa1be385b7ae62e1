from __future__ import annotations

import pytest

from claracore.http.wire.buffer import new_buffer


def test_a_buffer_is_zero_and_can_be_written() -> None:
    buffer = new_buffer(3 << 20)
    assert len(buffer) == 3 << 20
    assert not any(buffer)
    buffer[1:4] = b"abc"
    assert bytes(buffer[:5]) == b"\0abc\0"


def test_more_than_there_can_be_is_an_error() -> None:
    with pytest.raises((OSError, MemoryError, OverflowError)):
        new_buffer(1 << 62)
