from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.store.files import ChangedMeanwhile, FileUnusable, backups, digest, read, read_sources, write


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

    def busy(self: Path, target: Path) -> Path:
        if target == path:
            raise OSError(16, os.strerror(16))
        return rename(self, target)

    rename = Path.replace
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
    with pytest.raises(FileUnusable, match="No space left"):
        write(path, "new")
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
