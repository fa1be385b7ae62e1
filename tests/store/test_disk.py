from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from claracore.host.disk import finish, is_temporary, keep, keep_private, private_file, private_folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


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


@pytest.mark.parametrize(
    "call",
    [
        "create(path.with_name('other'), b'new')",
        "replace(path, b'new', b'old', path.with_name('backup'))",
        "keep(path, b'new')",
        "keep_private(path, b'new')",
    ],
)
@pytest.mark.parametrize("deadly", ["os.fsync", "disk._rename", "disk.Path.replace", "disk.Path.rename"])
def test_a_writer_that_is_killed_leaves_the_old_or_the_new_content_whole(
    tmp_path: Path, call: str, deadly: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    code = (
        "import os, signal\n"
        "from claracore.host import disk\n"
        "from claracore.host.disk import *\n"
        f"path = disk.Path({str(path)!r})\n"
        f"{deadly} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"{call}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode in {0, -signal.SIGKILL}
    for left in tmp_path.iterdir():
        assert is_temporary(left.name) or left.read_bytes() in {b"old", b"new"}
    if done.returncode == 0 and "create" not in call:
        assert path.read_bytes() == b"new"


def test_permissions_are_the_umasks_or_the_owners_alone(tmp_path: Path, umask: int) -> None:
    keep(tmp_path / "schema.json", b"{}")
    assert mode_of(tmp_path / "schema.json") == 0o666 & ~umask
    private_folder(tmp_path / "state" / "ports")
    assert mode_of(tmp_path / "state" / "ports") == 0o700
    loose, beside = tmp_path / "activity.db", tmp_path / "activity.db-wal"
    for path in (loose, beside):
        path.touch(0o644)
    private_file(loose, beside, tmp_path / "activity.db-shm")
    assert (mode_of(loose), mode_of(beside)) == (0o600, 0o600)
    assert not (tmp_path / "activity.db-shm").exists()
    private_file(tmp_path / "new.db")
    assert mode_of(tmp_path / "new.db") == 0o600


def test_what_came_in_pieces_gets_its_name_when_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished, path = tmp_path / "m.gguf.part", tmp_path / "m.gguf"
    flushed: list[bool] = []
    real = os.fsync

    def watched(handle: int) -> None:
        flushed.append(path.exists())
        real(handle)

    monkeypatch.setattr(os, "fsync", watched)
    with unfinished.open("wb") as file:
        file.write(b"GGUF")
        finish(file, unfinished, path)
    assert (path.read_bytes(), unfinished.exists()) == (b"GGUF", False)
    assert flushed == [False, True], "the content first, then the name in its folder"
