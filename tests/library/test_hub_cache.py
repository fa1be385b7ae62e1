"""What the hub's cache holds: files by their names in snapshots, each once, the newest revision."""

from __future__ import annotations

from pathlib import Path

import pytest

from claracore.host.library.hub_cache import without_revision
from claracore.host.library.model import Library
from claracore.host.library.scan import scan
from zoo.families import mmproj
from zoo.stores import HubRepository, filled, put
from zoo.synthetic import Shape, shard_images, shard_name, write

OLD, NEW = "0" * 40, "f" * 40


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "huggingface" / "hub"


def reasons(library: Library) -> dict[str, str]:
    return {str(left.path): left.reason for left in library.left_out}


def test_a_file_is_known_by_its_name_and_not_by_its_blob(cache: Path) -> None:
    path = HubRepository.of(cache, "org/Tiny-7B-GGUF").fetch("Tiny-7B-Q8_0.gguf", filled())
    library = scan([cache])
    assert [(model.id, model.path) for model in library.models] == [("tiny-7b-q8_0", path)]
    assert library.left_out == ()


def test_a_file_of_two_revisions_is_one_model(cache: Path) -> None:
    repository = HubRepository.of(cache, "org/Tiny-7B-GGUF")
    repository.fetch("Tiny-7B-Q8_0.gguf", filled(), OLD, ref=None)
    path = repository.fetch("Tiny-7B-Q8_0.gguf", filled(), NEW)
    library = scan([cache])
    assert [model.path for model in library.models] == [path]
    assert library.left_out == ()


@pytest.mark.parametrize("current", [OLD, NEW])
def test_of_two_contents_the_one_of_main_is_served(cache: Path, current: str) -> None:
    repository = HubRepository.of(cache, "org/Tiny-7B-GGUF")
    paths = {
        revision: repository.fetch("T-7B.gguf", filled(seed=number), revision, ref=None)
        for number, revision in enumerate((OLD, NEW))
    }
    put(repository.root / "refs/main", current.encode())
    library = scan([cache])
    assert [model.path for model in library.models] == [paths[current]]
    (other,) = {OLD, NEW} - {current}
    assert reasons(library) == {str(paths[other]): "an older revision of a file that is there in a newer one"}


def test_a_projector_is_found_in_another_revision(cache: Path) -> None:
    repository = HubRepository.of(cache, "org/See-7B-GGUF")
    repository.fetch("See-7B-Q8_0.gguf", filled(), OLD)
    eyes = repository.fetch("mmproj-model-f16.gguf", filled(mmproj(64), seed=1), NEW)
    HubRepository.of(cache, "org/Other-7B-GGUF").fetch("Other-7B-Q8_0.gguf", filled(seed=2))
    seeing = {model.id: model.projector.path if model.projector else None for model in scan([cache]).models}
    assert seeing == {"see-7b-q8_0": eyes, "other-7b-q8_0": None}


def test_a_name_that_says_nothing_is_that_of_the_repository(cache: Path) -> None:
    HubRepository.of(cache, "org/Tiny-7B-GGUF").fetch("model-Q8_0.gguf", filled())
    assert [model.id for model in scan([cache]).models] == ["tiny-7b-q8_0"]


def test_shards_in_a_folder_of_their_own(cache: Path, tmp_path: Path) -> None:
    shape = Shape("llama", 2, 64, 2, 2, 128, 96, 512, "Q8_0")
    repository = HubRepository.of(cache, "org/Big-70B-GGUF")
    for number, image in enumerate(shard_images(shape.metadata(), shape.tensors(), 2), start=1):
        name = shard_name("Big-70B-Q8_0", number, 2)
        repository.fetch(f"Q8_0/{name}", write(tmp_path / name, image).read_bytes())
    (model,) = scan([cache]).models
    assert (model.id, len(model.paths)) == ("big-70b-q8_0", 2)


def test_what_is_no_gguf_is_told_with_what_would_serve_it(cache: Path) -> None:
    repository = HubRepository.of(cache, "org/Tiny-7B")
    repository.fetch("model-00001-of-00002.safetensors", bytes(700_000))
    repository.fetch("model-00002-of-00002.safetensors", bytes(500_000))
    put(cache / "datasets--org--texts/snapshots/x/all.safetensors", b"x")
    put(repository.root / "blobs/abc.incomplete", b"")
    (cache / ".locks").mkdir()
    put(cache / ".locks/models--org--Tiny-7B/x.gguf", b"")
    library = scan([cache])
    assert library.models == ()
    found = reasons(library)
    assert set(found) == {str(repository.root), str(repository.root / "blobs/abc.incomplete")}
    assert found[str(repository.root)].startswith("weights in .safetensors form (2 files, 1.2 MB): llama-server reads")
    assert "vLLM serves them" in found[str(repository.root)]


def test_a_repository_of_which_nothing_has_arrived_yet(cache: Path) -> None:
    part = put(cache / "models--org--Tiny-7B-GGUF/blobs/abc.incomplete", b"GG")
    assert reasons(scan([cache])) == {str(part): "an unfinished download"}


def test_links_that_lead_nowhere_and_odd_folders(cache: Path) -> None:
    repository = HubRepository.of(cache, "org/Tiny-7B-GGUF")
    path = repository.fetch("Tiny-7B.gguf", filled())
    path.resolve().unlink()
    put(cache / "models--alone/snapshots/x/Tiny-1B.gguf", filled(seed=1))
    library = scan([cache])
    assert [model.id for model in library.models] == ["tiny-1b-q8_0"]
    assert reasons(library) == {str(path): "cannot be looked at: a link that leads nowhere"}


def test_downloads_of_older_llama_cpp_are_known_by_repository_and_file(tmp_path: Path) -> None:
    """All in one folder, in names such as `ggml-org_gemma-3-4b-it-GGUF_mmproj-model-f16.gguf`."""
    folder = tmp_path / "llama.cpp"
    put(folder / "ggml-org_gem-4b-it-GGUF_gem-4b-it-Q8_0.gguf", filled())
    put(folder / "ggml-org_gem-4b-it-GGUF_mmproj-model-f16.gguf", filled(mmproj(64), seed=1))
    put(folder / "org_other-7b-GGUF_other-7b-Q8_0.gguf", filled(seed=2))
    put(folder / "org_third-7b-GGUF_third-7b.gguf.downloadInProgress", b"")
    library = scan([folder])
    assert {model.id: model.projector is not None for model in library.models} == {
        "gem-4b-it-q8_0": True,
        "other-7b-q8_0": False,
    }
    assert list(reasons(library).values()) == ["an unfinished download"]


def test_a_path_without_its_revision() -> None:
    one = without_revision("/c/models--org--x/snapshots/aaa/q/x.gguf")
    assert one == without_revision("/c/models--org--x/snapshots/bbb/q/x.gguf")
    assert one != without_revision("/c/models--org--y/snapshots/bbb/q/x.gguf")
    assert without_revision("/models/snapshots/a/x.gguf") == "/models/snapshots/a/x.gguf"
