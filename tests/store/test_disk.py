from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from claracore.host.disk import keep_private


def test_what_is_kept_is_whole_and_for_its_user_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "keys.json"
    start = threading.Barrier(8)

    def keep(letter: str) -> None:
        start.wait()
        for _ in range(20):
            keep_private(path, letter.encode() * 10_000, flush=False)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keep, "abcdefgh"))
    text = path.read_text()
    assert text == text[0] * 10_000
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_a_failing_disk_leaves_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, os.strerror(28))

    path = tmp_path / "keys.json"
    keep_private(path, b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        keep_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
