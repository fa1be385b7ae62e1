from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import pytest

from claracore.errors import Conflict, DiskFull
from claracore.host import disk
from claracore.host.locks import locked
from claracore.host.store import files
from claracore.host.store.files import (
    ChangedMeanwhile,
    FileUnusable,
    backups,
    change,
    digest,
    read,
    read_sources,
    sweep,
    write,
)


def test_a_new_file_is_written_without_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "config.yaml"
    written = write(path, "models: {}\n")
    assert path.read_text() == "models: {}\n"
    assert written.backup is None
    assert written.digest == digest("models: {}\n")


def test_a_replaced_file_keeps_permissions_and_leaves_its_old_text_as_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("old")
    path.chmod(0o640)
    written = write(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert written.backup is not None
    assert written.backup.read_text() == "old"
    assert written.backup.stat().st_mode & 0o777 == 0o640
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config.yaml", written.backup.name]


def test_the_last_ten_backups_stay(tmp_path: Path) -> None:
    path = tmp_path / "con[f]ig.yaml"
    for number in range(14):
        write(path, str(number))
    assert [backup.read_text() for backup in backups(path)] == [str(number) for number in range(3, 13)]


def test_writing_the_same_text_touches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write(path, "same")
    before = path.stat()
    assert write(path, "same").backup is None
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_ino == before.st_ino


def test_a_writer_who_read_an_older_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("one")
    read_by_both = digest(read(path))
    write(path, "two", expected=read_by_both)
    with pytest.raises(ChangedMeanwhile, match="changed by somebody else") as caught:
        write(path, "three", expected=read_by_both)
    assert caught.value.status == 412
    assert path.read_text() == "two"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target = tmp_path / "real" / "config.yaml"
    target.parent.mkdir()
    target.write_text("old")
    link = tmp_path / "config.yaml"
    link.symlink_to(target)
    write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_file_that_cannot_be_renamed_over_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a longer old text")
    inode = path.stat().st_ino

    def busy(_source: Path, _target: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(disk, "_exchange", busy)
    monkeypatch.setattr(Path, "replace", busy)
    write(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_ino == inode
    assert len(backups(path)) == 1
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_failing_write_leaves_the_old_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("old")

    def full(_handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="No space left") as caught:
        write(path, "new")
    assert caught.value.status == 507
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_read_is_said_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="No such file"):
        read(tmp_path / "missing.yaml")
    with pytest.raises(FileUnusable, match="Is a directory"):
        read(tmp_path)
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"models:\n  a: \xff\n")
    with pytest.raises(FileUnusable, match=r"bad\.yaml:2: byte 0xFF is no UTF-8"):
        read(bad)


def test_a_folder_is_read_by_name_after_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name in ("b.yaml", "a.yml", "c.txt"):
        (folder / name).write_text(name)
    (folder / "sub.yaml").mkdir()
    main = tmp_path / "config.yaml"
    main.write_text("main")
    assert [text for _, text in read_sources(main, folder)] == ["main", "a.yml", "b.yaml"]
    assert [text for _, text in read_sources(None, folder)] == ["a.yml", "b.yaml"]


def test_a_file_inside_the_folder_is_not_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("x")
    with pytest.raises(FileUnusable, match="name only one of them"):
        read_sources(path, tmp_path)


def test_an_empty_folder_alone_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="no configuration sources found"):
        read_sources(None, tmp_path)


def exchange_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_source: Path, _target: Path, _flags: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(disk, "_rename", unknown)


def test_of_two_writers_who_read_the_same_text_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("0")
    for number in range(20):
        seen, start = digest(read(path)), threading.Barrier(2)

        def replace(letter: str, seen: str = seen, start: threading.Barrier = start, number: int = number) -> bool:
            start.wait()
            try:
                write(path, f"{number}{letter}", expected=seen)
            except ChangedMeanwhile:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(replace, "ab")) == [False, True]


ADD = """
import sys
from pathlib import Path
from typing import TextIO
from claracore.host.store.files import change
path, name = Path(sys.argv[1]), sys.argv[2]
for number in range(25):
    change(path, lambda old: old + f"{name}{number}\\n")
"""


@pytest.mark.parametrize("without_exchange", [False, True])
def test_no_edit_of_several_processes_is_lost(tmp_path: Path, *, without_exchange: bool) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("")
    code = ADD
    if without_exchange:
        refuse = "import errno\nfrom claracore.host import disk\ndef no(*_): raise OSError(errno.ENOSYS, '')\n"
        code = f"{refuse}disk._rename = no\n{ADD}"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert sorted(path.read_text().split()) == sorted(f"{name}{number}" for name in "abc" for number in range(25))
    assert len(backups(path)) == files.BACKUPS
    assert not list(tmp_path.glob(".*.tmp"))


def saved_by_hand(path: Path, text: str) -> None:
    """Save as editors do: a new file takes the name of the old one."""
    beside = path.with_name("editor~")
    beside.write_text(text)
    beside.rename(path)


def saves_by_hand(path: Path, text: str) -> Callable[[str | None], str]:
    """Return an edit during which somebody else saves the file."""

    def edit(_old: str | None) -> str:
        saved_by_hand(path, text)
        return "new"

    return edit


def test_a_text_saved_while_it_is_edited_is_edited_instead_and_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    for exchange_is_known in (True, False):
        if not exchange_is_known:
            exchange_is_unknown(monkeypatch)
        path.write_text("old\n")
        seen: list[str | None] = []

        def edit(old: str | None, seen: list[str | None] = seen) -> str:
            seen.append(old)
            if len(seen) == 1:
                saved_by_hand(path, "by hand\n")
            return f"{old}added\n"

        change(path, edit)
        assert seen == ["old\n", "by hand\n"]
        assert path.read_text() == "by hand\nadded\n"
        with pytest.raises(ChangedMeanwhile):
            change(path, saves_by_hand(path, "again\n"), expected=digest(path.read_text()))
        assert path.read_text() == "again\n"
        assert not list(tmp_path.glob(".*.tmp"))


def test_what_is_saved_in_the_very_moment_of_the_exchange_goes_back_to_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("old")
    hands = iter(["by hand", "once more"])

    def exchange(one: Path, other: Path) -> None:
        saved_by_hand(path, next(hands))
        real(one, other)

    real = disk._exchange
    monkeypatch.setattr(disk, "_exchange", exchange)
    with pytest.raises(ChangedMeanwhile):
        write(path, "new", expected=digest("old"))
    assert path.read_text() == "by hand"
    assert [backup.read_text() for backup in backups(path)] == ["once more"]


def test_an_editor_that_writes_in_place_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("models: {a: {}, b: {}}\n")
    waited = []

    def wait(_seconds: float) -> None:
        waited.append(path.read_text())
        editor.write("models: {c: {}}\n")
        editor.close()

    monkeypatch.setattr(time, "sleep", wait)
    with path.open("w") as editor:
        written = change(path, lambda old: f"{old}# added\n")
    assert waited == [""]
    assert path.read_text() == "models: {c: {}}\n# added\n"
    assert written.backup is not None
    with path.open("a"):
        monkeypatch.setattr(files, "WRITER_SECONDS", -1.0)
        path.touch()
        with pytest.raises(ChangedMeanwhile, match="just being written"):
            write(path, "new")


def test_an_editor_that_begins_at_the_moment_of_the_exchange_keeps_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("old")
    editors: list[TextIO] = []

    def exchange(one: Path, other: Path) -> None:
        if not editors:
            editors.append(path.open("r+"))
            path.touch()
        real(one, other)

    def finish(_seconds: float) -> None:
        editors[0].write("by hand")
        editors[0].close()

    real = disk._exchange
    monkeypatch.setattr(disk, "_exchange", exchange)
    monkeypatch.setattr(time, "sleep", finish)
    assert change(path, lambda old: f"{old} and new").backup is not None
    assert path.read_text() == "by hand and new"


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    for exchange_is_known in (True, False):
        if not exchange_is_known:
            exchange_is_unknown(monkeypatch)
        with pytest.raises(ChangedMeanwhile):
            change(path, saves_by_hand(path, "by hand"), expected="")
        assert path.read_text() == "by hand"
        path.unlink()
    assert list(tmp_path.iterdir()) == []


def test_what_an_edit_raises_leaves_the_file_and_lets_the_next_one_in(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        change(path, lambda _: str(1 / 0))
    assert list(tmp_path.iterdir()) == [path]
    assert change(path, lambda old: f"{old} and new").backup is not None


def test_a_writer_that_is_stopped_with_the_lock_keeps_the_others_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PATIENCE_SECONDS", 0.0)
    with locked(tmp_path), pytest.raises(Conflict, match="nothing was written"):
        write(tmp_path / "config.yaml", "new")
    write(tmp_path / "config.yaml", "new")


def test_what_a_killed_writer_has_left_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    written = write(path, "one") and write(path, "two")
    assert written.backup is not None
    kept = {path, written.backup, tmp_path / ".config.yaml.mine.tmp", tmp_path / ".other.yaml.0123456789ab.tmp"}
    for name in (".config.yaml.0123456789ab.tmp", f".{written.backup.name}.0123456789ab.tmp"):
        (tmp_path / name).write_text("half")
    for own in kept - {path, written.backup}:
        own.write_text("not ours")
    sweep(path)
    assert set(tmp_path.iterdir()) == kept


def test_links_in_a_circle_are_told(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").symlink_to(tmp_path / "config.yaml")
    with pytest.raises(FileUnusable, match="cannot be followed"):
        write(tmp_path / "config.yaml", "new")
