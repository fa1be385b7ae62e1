from __future__ import annotations

import pytest

from claracore.core.units import GIB, MIB, about, gb, gib


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 KiB"), (96 * 1024, "96 KiB"), (MIB, "1 MiB"), (512 * MIB, "512 MiB"), (int(4.25 * GIB), "4.2 GiB")],
)
def test_memory(size: int, text: str) -> None:
    assert gib(size) == text


@pytest.mark.parametrize(
    ("size", "digits", "text"),
    [
        (0, 1, "0 B"),
        (99_999, 1, "99999 B"),
        (100_000, 1, "0.1 MB"),
        (82_460_000, 2, "82.5 MB"),
        (100_000_000, 1, "0.1 GB"),
        (4_680_000_000, 1, "4.7 GB"),
        (4_680_000_000, 2, "4.68 GB"),
        (1.6, 2, "2 B"),
    ],
)
def test_files(size: float, digits: int, text: str) -> None:
    assert gb(size, digits) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0, ""),
        (1.4, ""),
        (1.5, "about 2 s"),
        (8.2, "about 8 s"),
        (99.4, "about 99 s"),
        (170, "about 3 min"),
    ],
)
def test_how_long_something_takes(seconds: float | None, text: str) -> None:
    assert about(seconds) == text
