"""Locks between real processes and between threads; none of these tests waits for a time to pass."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from claracore.host.locks import FileLock, locked

HOLD = """
import sys
from pathlib import Path
from claracore.host.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that has the lock until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process


@pytest.fixture(params=["file", "folder"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    found = tmp_path / str(request.param)
    if request.param == "folder":
        found.mkdir()
    return found


def test_a_lock_excludes_another_process_and_is_free_when_that_is_killed(path: Path) -> None:
    ours: FileLock | None = None
    with holder(path) as process:
        ours = FileLock(path)
        assert not ours.acquire(0)
        assert not ours.acquire(0.01)
        with locked(path, patience_seconds=0) as is_ours:
            assert not is_ours
        process.kill()
        assert ours.acquire()
    ours.close()


def test_a_lock_on_a_folder_leaves_nothing_in_it(tmp_path: Path) -> None:
    with locked(tmp_path) as is_ours:
        assert is_ours
        assert sys.platform == "win32" or list(tmp_path.iterdir()) == []


def test_a_lock_keeps_what_is_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "m.gguf.part").write_bytes(b"GGUF")
    with locked(tmp_path / "m.gguf.part"):
        assert (tmp_path / "m.gguf.part").read_bytes() == b"GGUF"


def test_a_lock_excludes_the_threads_of_one_process(path: Path) -> None:
    inside, most = [], 0
    barrier = threading.Barrier(4)

    def enter(number: int) -> None:
        nonlocal most
        barrier.wait()
        for _ in range(50):
            with locked(path):
                inside.append(number)
                most = max(most, len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
