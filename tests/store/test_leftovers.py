from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from claracore.host.store.leftovers import ABANDONED_SECONDS, sweep


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    process.wait()
    return process.pid


def test_what_a_dead_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    dead = dead_pid()
    stays = [
        "ports.json",
        f"ports.{os.getpid()}",
        f"keys.{os.getpid()}.tmp",
        "claracore.log.999999999",
        "a.tmp",
        "ports.lock",
        ".5",
    ]
    goes = [f"ports.{dead}", f"keys.{dead}.tmp", f"downloads.{dead}.tmp"]
    for name in (*stays, *goes):
        (tmp_path / name).touch()
    (tmp_path / f"folder.{dead}").mkdir()
    assert sweep(tmp_path) == tuple(sorted(goes))
    assert {path.name for path in tmp_path.iterdir()} == {*stays, f"folder.{dead}"}


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert sweep(tmp_path / "none") == ()


def test_what_does_not_name_its_writer_is_removed_after_an_hour(tmp_path: Path) -> None:
    fresh, old = tmp_path / ".settings.json.0123456789ab.tmp", tmp_path / ".keys.json.0123456789ab.tmp"
    for path in (fresh, old):
        path.touch()
    os.utime(old, (time.time() - ABANDONED_SECONDS - 60,) * 2)
    assert sweep(tmp_path) == (old.name,)
    assert list(tmp_path.iterdir()) == [fresh]
