"""Copies are one model with the names of all; what only looks alike is not taken for a copy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.host.library import copies
from claracore.host.library.cache import ReadingCache
from claracore.host.library.scan import scan
from zoo.families import mmproj
from zoo.stores import TINY, HubRepository, OllamaFolder, filled, put
from zoo.synthetic import build, write


def test_copies_are_one_model_that_answers_to_all_names(tmp_path: Path) -> None:
    studio = put(tmp_path / "studio/org/Tiny-7B-GGUF/Tiny-7B-Q8_0.gguf", filled())
    hub = HubRepository.of(tmp_path / "hub", "org/Tiny-7B-GGUF").fetch("Tiny-7B-Q8_0.gguf", filled())
    ollama = OllamaFolder(tmp_path / "ollama")
    ollama.pull("tiny:7b-instruct", model=filled())
    library = scan([tmp_path / "studio", tmp_path / "hub", tmp_path / "ollama"])
    (model,) = library.models
    assert (model.id, model.path) == ("tiny-7b-q8_0", studio)
    assert model.aliases == ("tiny-7b", "tiny-7b-instruct-q8_0", "tiny:7b-instruct")
    assert set(model.copies) == {hub, ollama.path(ollama.blob(filled()))}
    assert all(left.reason.startswith(f"the same contents as {studio} (") for left in library.left_out)
    assert len(library.left_out) == 2


def test_other_numbers_are_another_model(tmp_path: Path) -> None:
    """The same header and size: two trainings of one model."""
    data = bytearray(filled())
    put(tmp_path / "a-7b.gguf", bytes(data))
    middle = len(data) // 2
    data[middle : middle + 4096] = bytes(4096)
    put(tmp_path / "b-7b.gguf", bytes(data))
    assert [model.id for model in scan([tmp_path]).models] == ["a-7b-q8_0", "b-7b-q8_0"]


def test_another_header_is_another_model(tmp_path: Path) -> None:
    one, other = (build(TINY.metadata() | {"general.author": name}, TINY.tensors()) for name in ("ann", "bob"))
    assert one.size == other.size
    put(tmp_path / "a-7b.gguf", filled(one))
    put(tmp_path / "b-7b.gguf", filled(other))
    assert len(scan([tmp_path]).models) == 2


def test_zeros_prove_nothing(tmp_path: Path) -> None:
    """Two files whose space is reserved, with nothing but a header in them yet."""
    for name in ("a-7b", "b-7b"):
        write(tmp_path / f"{name}.gguf", TINY.image())
    assert len(scan([tmp_path]).models) == 2


def test_only_rivals_of_a_size_are_read_and_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = copies.fingerprint

    def noted(paths: tuple[str, ...]) -> str:
        read.extend(Path(path).name for path in paths)
        return real(paths)

    monkeypatch.setattr(copies, "fingerprint", noted)
    put(tmp_path / "a-7b.gguf", filled())
    put(tmp_path / "b-7b.gguf", filled())
    put(tmp_path / "alone-7b.gguf", filled(build(TINY.metadata() | {"general.author": "me"}, TINY.tensors())))
    cache = ReadingCache(tmp_path / "cache")
    first = scan([tmp_path], cache=cache)
    assert sorted(read) == ["a-7b.gguf", "b-7b.gguf"]
    assert scan([tmp_path], cache=ReadingCache(tmp_path / "cache")) == first
    assert len(read) == 2


def test_the_one_that_was_served_stays_served(tmp_path: Path) -> None:
    cache = ReadingCache()
    served = put(tmp_path / "z/old-7b.gguf", filled())
    assert scan([tmp_path], cache=cache).models[0].path == served
    put(tmp_path / "a/new-7b.gguf", filled())
    (model,) = scan([tmp_path], cache=cache).models
    assert (model.id, model.path, model.aliases) == ("old-7b-q8_0", served, ("old-7b", "new-7b-q8_0"))


def test_a_projector_beside_a_copy_is_the_models_eyes(tmp_path: Path) -> None:
    ollama = OllamaFolder(tmp_path / "ollama")
    cache = ReadingCache()
    ollama.pull("see:7b", model=filled())
    scan([tmp_path / "ollama"], cache=cache)
    put(tmp_path / "studio/See-7B-GGUF/See-7B-Q8_0.gguf", filled())
    eyes = put(tmp_path / "studio/See-7B-GGUF/mmproj-model-f16.gguf", filled(mmproj(64), seed=1))
    (model,) = scan([tmp_path / "ollama", tmp_path / "studio"], cache=cache).models
    assert model.path.parent.name == "blobs"
    assert model.projector is not None
    assert model.projector.path == eyes


def test_links_to_a_file_are_names_of_its_model(tmp_path: Path) -> None:
    real = put(tmp_path / "real-7b.gguf", filled())
    os.link(real, tmp_path / "hard-7b.gguf")
    (tmp_path / "soft-7b.gguf").symlink_to(real)
    (model,) = scan([tmp_path]).models
    assert model.path == tmp_path / "hard-7b.gguf"
    assert model.aliases == ("hard-7b", "real-7b-q8_0", "soft-7b-q8_0")


def test_what_cannot_be_read_has_no_print(tmp_path: Path) -> None:
    assert copies.fingerprint((str(tmp_path / "nothing.gguf"),)) == ""
    assert copies.fingerprint((str(put(tmp_path / "x.gguf", b"GGUF")),)) == ""
