"""Small files that ClaraCore can do without: whatever is in them, wherever they are, things go on."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from claracore.host.state_file import LARGEST_BYTES, StateFile, typed

DEEP = b'{"version": 1, "seen": {"/m": ' + b"[" * 100_000
PROCESSES = 4
CHANGES = 15
ADD = """
import sys
from pathlib import Path
from claracore.host import state_file
state_file.PATIENCE_SECONDS = 600.0
file = state_file.StateFile(Path(sys.argv[1]), state_file.typed(dict[str, int]), without="")
for number in range(int(sys.argv[3])):
    file.change(lambda kept: {**(kept or {}), f"{sys.argv[2]} {number}": number})
"""


@dataclass(frozen=True)
class Seen:
    """What such a file may hold."""

    version: int
    seen: dict[str, tuple[int, ...]]
    at: Path = Path("/m")


SEEN = Seen(1, {"/m": (1, 2)})


def file_at(path: Path | None, *, private: bool = True) -> StateFile[Seen]:
    return StateFile(path, typed(Seen), version=1, without="all is seen anew", private=private)


def test_what_is_kept_is_read_by_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "state/claracore/seen.json"
    assert file_at(path).read() is None
    file_at(path).write(SEEN)
    assert file_at(path).read() == SEEN
    assert json.loads(path.read_bytes()) == {"version": 1, "seen": {"/m": [1, 2]}, "at": "/m"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    file_at(path).remove()
    file_at(path).remove()
    assert list(path.parent.iterdir()) == []


def test_what_earlier_versions_have_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "seen.json").write_bytes(b'{"version":1,"seen":{"/m":[1,2]},"more":{}}')
    assert file_at(tmp_path / "seen.json").read() == SEEN


def test_a_file_may_be_for_others_as_well(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        file_at(tmp_path / "seen.json", private=False).save(SEEN)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "seen.json").stat().st_mode) == 0o644


def test_a_name_that_is_no_text_is_kept_as_it_is(tmp_path: Path) -> None:
    odd = Seen(1, {"/m\udcff": (1,)}, Path("/\udcff"))
    file_at(tmp_path / "seen.json").write(odd)
    assert file_at(tmp_path / "seen.json").read() == odd


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "JSONDecodeError"),
        (b"{", "JSONDecodeError"),
        (b"\xff", "UnicodeDecodeError"),
        (DEEP, "RecursionError"),
        (b"1" * 5000, "ValueError"),
        (b"[]", "TypeError"),
        (b"7", "TypeError"),
        (b"{}", "KeyError: 'version'"),
        (b'{"version": 1}', "ValidationError: Object missing required field `seen`"),
        (b'{"version": 1, "seen": {"/m": ["x"]}}', "ValidationError: Expected `int`, got `str`"),
        (b'{"version": 2, "seen": 3}', ""),
        (b'{"version": "x"}', ""),
        (b" " * LARGEST_BYTES + b"1", "ValueError: more than 16 MiB"),
    ],
    ids=str.split("nothing half bytes deep digits list number object missing type newer text large"),
)
def test_what_cannot_be_used_is_nothing_which_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, raw: bytes, said: str
) -> None:
    path = tmp_path / "seen.json"
    path.write_bytes(raw)
    assert [file_at(path).read() for _ in "ab"] == [None, None]
    assert path.read_bytes() == raw
    assert len(caplog.messages) == (1 if said else 0)
    if said:
        assert caplog.messages[0].startswith(f"{path} cannot be read ({said}")
        assert caplog.messages[0].endswith("): all is seen anew")
    assert file_at(path).change(lambda kept: kept or SEEN) == SEEN
    assert file_at(path).read() == SEEN


def test_what_was_written_again_is_said_again_when_it_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "seen.json"
    for _ in range(2):
        path.write_bytes(b"{")
        assert file_at(path).read() is None
        file_at(path).save(SEEN)
    assert len(caplog.messages) == 2


def full(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return refusing(monkeypatch, errno.ENOSPC)


def over_quota(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return refusing(monkeypatch, errno.EDQUOT)


def read_only(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return refusing(monkeypatch, errno.EROFS, also=".lock")


def no_folder(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> str:
    folder.rmdir()
    folder.touch()
    return os.strerror(errno.EEXIST)


def refusing(monkeypatch: pytest.MonkeyPatch, number: int, also: str = ".tmp") -> str:
    """Have no new file be made."""
    really = os.open

    def refuse(path: str | os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT and os.fspath(path).endswith((".tmp", also)):
            raise OSError(number, os.strerror(number), os.fspath(path))
        return really(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    return os.strerror(number)


def with_one_more(name: str, kept: Seen | None) -> Seen:
    return Seen(1, {**(kept.seen if kept is not None else {}), name: ()})


@pytest.mark.parametrize("refuse", [full, over_quota, read_only, no_folder])
def test_where_the_disk_refuses_things_go_on_which_is_said_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    refuse: Callable[[Path, pytest.MonkeyPatch], str],
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    file = file_at(folder / "seen.json")
    said = refuse(folder, monkeypatch)
    for number in "012":
        file.change(partial(with_one_more, number))
    known = Seen(1, {"0": (), "1": (), "2": ()})
    assert file.read() == known
    assert caplog.messages == [f"{file.path} cannot be written ({said}): at the next start all is seen anew"]
    with pytest.raises(OSError, match=said):
        file.write(SEEN)
    assert file.read() == known, "who is told that it cannot be is not deceived"
    monkeypatch.undo()
    if folder.is_file():
        folder.unlink()
    file.change(lambda kept: kept or SEEN)
    assert file_at(file.path).read() == known, "there is room again"
    assert [path.name for path in folder.iterdir() if path.suffix == ".tmp"] == []


def test_without_a_path_it_is_known_as_long_as_the_object_lives() -> None:
    file = file_at(None)
    assert file.read() is None
    file.save(SEEN)
    assert file.change(lambda kept: kept or Seen(1, {})) == SEEN
    assert file.read() == SEEN
    file.remove()
    assert file.read() is None


def test_several_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "state/added.json"
    words = [sys.executable, "-c", ADD, str(path)]
    running = [subprocess.Popen([*words, str(number), str(CHANGES)]) for number in range(PROCESSES)]
    assert [process.wait() for process in running] == [0] * PROCESSES
    kept = StateFile(path, typed(dict[str, int]), without="").read()
    assert kept == {f"{process} {number}": number for process in range(PROCESSES) for number in range(CHANGES)}


def test_several_threads_lose_nothing_of_each_other() -> None:
    file = StateFile(None, typed(dict[str, int]), without="")

    def add(number: int) -> None:
        file.change(lambda kept: {**(kept or {}), str(number): number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(200)))
    assert file.read() == {str(number): number for number in range(200)}
