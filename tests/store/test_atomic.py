from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from claracore.store.atomic import ABANDONED_SECONDS, keep_private, sweep_abandoned


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


def test_what_killed_instances_have_left_is_swept_after_an_hour(tmp_path: Path) -> None:
    left = [".keys.json.0123456789ab.tmp", "ports.4711", "keys.4711.tmp", "hub-token.4711.tmp"]
    kept = [".settings.json.0123456789ab.tmp", "ports.json", "keys.json", "library.cache", "x.tmp"]
    for name in left + kept:
        (tmp_path / name).touch()
    for name in left + kept[1:]:
        os.utime(tmp_path / name, (time.time() - ABANDONED_SECONDS - 60,) * 2)
    sweep_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    sweep_abandoned(tmp_path / "missing")
