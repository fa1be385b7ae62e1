"""A second scan reads no model file; a changed file is read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.core.gguf.array_cache import ArrayCache
from claracore.host.library import read as reading
from claracore.host.library import scan as scanning
from claracore.host.library.cache import ReadingCache
from claracore.host.library.found_files import ModelFiles
from claracore.host.library.scan import scan
from zoo.synthetic import Shape, write
from zoo.templates import CHATML

SMALL = Shape("llama", 2, 64, 2, 2, 128, 96, 512, "Q8_0", template=CHATML)
LARGER = Shape("llama", 3, 64, 2, 2, 128, 96, 512, "Q8_0", template=CHATML)


@pytest.fixture
def read_paths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were really read, in order."""
    paths: list[str] = []
    original = reading.read

    def noted(files: ModelFiles, seen: ArrayCache) -> reading.ModelReading:
        paths.append(Path(files.paths[0]).name)
        return original(files, seen)

    monkeypatch.setattr(scanning, "read", noted)
    return paths


def test_a_second_scan_reads_nothing(tmp_path: Path, read_paths: list[str]) -> None:
    models, file = tmp_path / "models", tmp_path / "state" / "library.cache"
    write(models / "a-7b.gguf", SMALL.image())
    (models / "broken.gguf").write_text("no")
    first = scan([models], cache=ReadingCache(file))
    assert read_paths == ["a-7b.gguf", "broken.gguf"]
    assert scan([models], cache=ReadingCache(file)) == first
    assert len(read_paths) == 2


def test_a_changed_file_is_read_again(tmp_path: Path, read_paths: list[str]) -> None:
    file, path = tmp_path / "cache", tmp_path / "m" / "a-7b.gguf"
    write(path, SMALL.image())
    write(tmp_path / "m" / "b-7b.gguf", SMALL.image())
    scan([tmp_path / "m"], cache=ReadingCache(file))
    write(path, LARGER.image())
    library = scan([tmp_path / "m"], cache=ReadingCache(file))
    assert library.models[0].facts.layers == 3
    os.utime(path, ns=(0, 0))
    scan([tmp_path / "m"], cache=ReadingCache(file))
    assert read_paths == ["a-7b.gguf", "b-7b.gguf", "a-7b.gguf", "a-7b.gguf"]


def test_vanished_files_are_forgotten_only_where_we_looked(tmp_path: Path) -> None:
    file = tmp_path / "cache"
    one, two = write(tmp_path / "x" / "a-7b.gguf", SMALL.image()), write(tmp_path / "y" / "b-7b.gguf", SMALL.image())
    scan([tmp_path / "x", tmp_path / "y"], cache=ReadingCache(file))
    one.unlink()
    scan([tmp_path / "x"], cache=ReadingCache(file))
    assert ReadingCache(file).ids() == {str(two): "b-7b-q8_0"}


def test_ids_stay_although_better_names_come(tmp_path: Path) -> None:
    """`b/` was there first and keeps the plain id, although `a/` sorts before it."""
    cache = ReadingCache(tmp_path / "cache")
    write(tmp_path / "m" / "b" / "x-7b.gguf", SMALL.image())
    scan([tmp_path / "m"], cache=cache)
    write(tmp_path / "m" / "a" / "x-7b.gguf", SMALL.image())
    library = scan([tmp_path / "m"], cache=ReadingCache(tmp_path / "cache"))
    assert {model.path.parent.name: model.id for model in library.models} == {"b": "x-7b-q8_0", "a": "a-x-7b-q8_0"}


@pytest.mark.parametrize("content", [b"", b"\xc1", b"{}", b"\x92\xa1x\x80", b"\x93\x01\x02\x03", os.urandom(1000)])
def test_a_damaged_cache_is_an_empty_one(tmp_path: Path, content: bytes, read_paths: list[str]) -> None:
    file = tmp_path / "cache"
    file.write_bytes(content)
    write(tmp_path / "m" / "a-7b.gguf", SMALL.image())
    assert len(scan([tmp_path / "m"], cache=ReadingCache(file)).models) == 1
    scan([tmp_path / "m"], cache=ReadingCache(file))
    assert read_paths == ["a-7b.gguf"]


def test_a_disk_that_refuses_the_cache_costs_only_the_saving(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    write(tmp_path / "m" / "a-7b.gguf", SMALL.image())
    cache = ReadingCache(tmp_path / "file" / "cache")
    assert len(scan([tmp_path / "m"], cache=cache).models) == 1
    assert [path.name for path in tmp_path.iterdir()] in (["file", "m"], ["m", "file"])


def test_a_refusal_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a-7b.gguf", SMALL.image())
    cache = ReadingCache()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(reading, "read_header", refuse)
        assert [left.reason for left in scan([tmp_path], cache=cache).left_out] == ["cannot be read: Permission denied"]
    assert [model.path for model in scan([tmp_path], cache=cache).models] == [path]
