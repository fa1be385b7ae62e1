"""What a scan finds, pairs, leaves out, and says about it."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from claracore.core.gguf.model import Kind
from claracore.host.library.model import Library, LibraryModel
from claracore.host.library.scan import scan
from claracore.host.library.walk import FolderMissing
from zoo.families import mmproj
from zoo.hostile import HOSTILE
from zoo.synthetic import Image, Shape, shard_images, shard_name, write
from zoo.templates import CHATML

SMALL = Shape("llama", 2, 64, 2, 2, 128, 96, 512, "Q8_0", template=CHATML)
OTHER = Shape("llama", 2, 128, 2, 2, 256, 96, 512, "Q8_0", template=CHATML)


def model(path: Path, shape: Shape = SMALL) -> Path:
    return write(path, shape.image())


def reasons(library: Library) -> dict[str, str]:
    return {left.path.name: left.reason for left in library.left_out}


def ids(library: Library) -> list[str]:
    return [one.id for one in library.models]


def test_folders_are_scanned_recursively_and_sorted(tmp_path: Path) -> None:
    for name in ("z/b-7b.gguf", "a/c/a-7b.GGUF", "c-7b.Gguf", "notes.txt", "a/model.bin"):
        model(tmp_path / name)
    library = scan([tmp_path])
    assert ids(library) == ["a-7b-q8_0", "b-7b-q8_0", "c-7b-q8_0"]
    assert library.left_out == ()


def test_several_folders_overlapping_ones_and_single_files(tmp_path: Path) -> None:
    one, two = model(tmp_path / "x" / "a-7b.gguf"), model(tmp_path / "y" / "b-7b.gguf")
    library = scan([tmp_path / "x", tmp_path, two])
    assert [found.path for found in library.models] == [one, two]
    assert library.left_out == ()


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FolderMissing, match="nowhere cannot be used: No such file"):
        scan([tmp_path / "nowhere"])
    assert "No such file" in reasons(scan([tmp_path / "nowhere"], missing_ok=True))["nowhere"]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800"])
def test_a_name_that_no_folder_can_have(name: str) -> None:
    with pytest.raises(FolderMissing, match="cannot be used: "):
        scan([Path(name)])


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    store, folder = tmp_path / "store", tmp_path / "models"
    model(store / "blob")
    model(store / "deep" / "b-7b.gguf")
    folder.mkdir()
    (folder / "a-7b.gguf").symlink_to(store / "blob")
    (folder / "linked").symlink_to(store / "deep")
    (store / "deep" / "loop").symlink_to(folder)
    (folder / "self").symlink_to(folder)
    (folder / "gone.gguf").symlink_to(store / "nothing")
    library = scan([folder])
    assert ids(library) == ["a-7b-q8_0", "b-7b-q8_0"]
    assert reasons(library) == {"gone.gguf": "cannot be looked at: a link that leads nowhere"}


def test_a_link_that_leads_to_itself(tmp_path: Path) -> None:
    (tmp_path / "round.gguf").symlink_to(tmp_path / "round.gguf")
    assert "leads nowhere" in reasons(scan([tmp_path]))["round.gguf"]


def test_the_same_file_twice_is_one_model(tmp_path: Path) -> None:
    first = model(tmp_path / "a-7b.gguf")
    (tmp_path / "b-7b.gguf").hardlink_to(first)
    (tmp_path / "c-7b.gguf").symlink_to(first)
    library = scan([tmp_path])
    assert ids(library) == ["a-7b-q8_0"]
    assert reasons(library) == dict.fromkeys(["b-7b.gguf", "c-7b.gguf"], f"the same file as {first}")


def test_a_link_does_not_take_a_model_from_its_own_path(tmp_path: Path) -> None:
    """Else adding a link would change the path, and with it the configuration, of a model that was there before."""
    real = model(tmp_path / "z" / "m-7b.gguf")
    (tmp_path / "a").symlink_to(tmp_path / "z")
    (tmp_path / "b-7b.gguf").symlink_to(real)
    library = scan([tmp_path])
    assert [found.path for found in library.models] == [real]
    assert reasons(library) == {"b-7b.gguf": f"the same file as {real}"}


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Root may read everything; the tests of refusals run as somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def open_up(path: Path) -> None:
    """Let others look into a temporary folder of root's: pytest's own are closed, and a worker's lie one deeper."""
    for folder in (path, *path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)


def test_what_may_not_be_read_is_passed_over(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    model(tmp_path / "a-7b.gguf")
    secret = model(tmp_path / "secret-7b.gguf")
    model(tmp_path / "closed" / "b-7b.gguf")
    open_up(tmp_path)
    secret.chmod(0)
    (tmp_path / "closed").chmod(0)
    request.getfixturevalue("as_nobody")
    library = scan([tmp_path])
    assert ids(library) == ["a-7b-q8_0"]
    assert reasons(library) == {
        "closed": "the folder cannot be read: Permission denied",
        "secret-7b.gguf": "cannot be read: Permission denied",
    }


def test_things_that_only_look_like_models(tmp_path: Path) -> None:
    (tmp_path / "folder.gguf").mkdir()
    model(tmp_path / "folder.gguf" / "a-7b.gguf")
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "page.gguf").write_text("<html>404</html>")
    os.mkfifo(tmp_path / "pipe.gguf")
    with socket.socket(socket.AF_UNIX) as door:
        here = Path.cwd()
        os.chdir(tmp_path)
        try:
            door.bind("door.gguf")
        finally:
            os.chdir(here)
        library = scan([tmp_path])
    assert ids(library) == ["a-7b-q8_0"]
    assert reasons(library) == {
        "folder.gguf": "a folder, not a model file",
        "empty.gguf": "an empty file",
        "page.gguf": "not a GGUF file in spite of its name",
        "pipe.gguf": "not a regular file",
        "door.gguf": "not a regular file",
    }


def test_unfinished_downloads_are_known_by_their_names(tmp_path: Path) -> None:
    names = [
        "a.gguf.part",
        "b.gguf.crdownload",
        "c.gguf.incomplete",
        "d.gguf.downloadInProgress",
        "e.GGUF.!qB",
        "incomplete-g.gguf",
    ]
    for name in names:
        model(tmp_path / name)
    model(tmp_path / "f-7b.gguf")
    (tmp_path / "f-7b.gguf.aria2").touch()
    library = scan([tmp_path])
    assert library.models == ()
    assert reasons(library) == dict.fromkeys(names, "an unfinished download") | {
        "f-7b.gguf": "an unfinished download (aria2's control file is beside it)"
    }


def test_truncated_files_are_known_by_their_headers(tmp_path: Path) -> None:
    image = SMALL.image()
    for name, size in (("header", len(image.header) // 2), ("data", image.size - 1000)):
        with (tmp_path / f"{name}-7b.gguf").open("wb") as stream:
            stream.write(image.header)
            stream.truncate(size)
    found = reasons(scan([tmp_path]))
    assert "truncated inside its header" in found["header-7b.gguf"]
    assert "truncated: 1,000 bytes are missing at its end" in found["data-7b.gguf"]


def test_the_whole_hostile_corpus_is_reported_and_nothing_breaks(tmp_path: Path) -> None:
    for number, (data, _) in enumerate(HOSTILE.values()):
        (tmp_path / f"hostile-{number}.gguf").write_bytes(data)
    model(tmp_path / "good-7b.gguf")
    library = scan([tmp_path])
    assert ids(library) == ["good-7b-q8_0"]
    assert len(library.left_out) == len(HOSTILE)


Shards = Callable[..., list[Path]]


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    def make(stem: str, count: int = 3) -> list[Path]:
        images = shard_images(SMALL.metadata(), SMALL.tensors(), count)
        return [write(tmp_path / shard_name(stem, n, count), image) for n, image in enumerate(images, start=1)]

    return make


def test_shards_are_one_model(tmp_path: Path, shards: Shards) -> None:
    paths = shards("big-7b-Q8_0")
    library = scan([tmp_path])
    whole = scan([model(tmp_path / "whole" / "big-7b-Q8_0.gguf")]).models[0]
    (found,) = library.models
    assert (found.id, found.paths) == ("big-7b-q8_0", tuple(paths))
    assert found.facts.parameters == whole.facts.parameters
    assert found.facts.tensor_bytes == whole.facts.tensor_bytes
    assert found.facts.quantization == "Q8_0"
    assert found.facts.shards == 3
    assert found.facts.file_bytes == sum(path.stat().st_size for path in paths)


def test_missing_and_truncated_shards_are_named(tmp_path: Path, shards: Shards) -> None:
    missing = shards("a-7b")
    missing[1].unlink()
    both = shards("b-7b", 4)
    both[0].unlink()
    both[3].unlink()
    cut = shards("c-7b")
    os.truncate(cut[2], cut[2].stat().st_size - 64)
    library = scan([tmp_path])
    assert library.models == ()
    found = reasons(library)
    assert found["a-7b-00001-of-00003.gguf"] == "a shard is missing: a-7b-00002-of-00003.gguf"
    assert found["b-7b-00002-of-00004.gguf"] == (
        "shards are missing: b-7b-00001-of-00004.gguf, b-7b-00004-of-00004.gguf"
    )
    assert found["c-7b-00001-of-00003.gguf"].startswith("c-7b-00003-of-00003.gguf: truncated: 64 bytes")


def test_a_shard_under_another_name_and_shards_mixed_up(tmp_path: Path, shards: Shards) -> None:
    alone = shards("a-7b")
    alone[1].rename(tmp_path / "renamed-7b.gguf")
    for path in (alone[0], alone[2]):
        path.unlink()
    mixed = shards("b-7b")
    mixed[1].rename(tmp_path / "x")
    mixed[2].rename(mixed[1])
    (tmp_path / "x").rename(mixed[2])
    library = scan([tmp_path])
    assert library.models == ()
    found = reasons(library)
    assert found["renamed-7b.gguf"] == "shard 2 of 3 under another name"
    assert found["b-7b-00001-of-00003.gguf"] == "b-7b-00002-of-00003.gguf is not shard 2 of 3 by its own account"


def test_a_wild_count_of_shards_is_no_work(tmp_path: Path) -> None:
    model(tmp_path / "a-7b-00001-of-99999.gguf")
    model(tmp_path / "b-7b-00000-of-00002.gguf")
    library = scan([tmp_path])
    assert "a-7b-00002-of-99999.gguf, " in reasons(library)["a-7b-00001-of-99999.gguf"]
    assert len(library.models) == 1


def seeing(library: Library) -> dict[str, str]:
    return {one.path.name: one.projector.path.name for one in library.models if one.projector}


def test_a_projector_belongs_to_the_model_beside_it(tmp_path: Path) -> None:
    model(tmp_path / "gem-4b-Q8_0.gguf")
    write(tmp_path / "mmproj-model-f16.gguf", mmproj(64))
    library = scan([tmp_path])
    (found,) = library.models
    assert seeing(library) == {"gem-4b-Q8_0.gguf": "mmproj-model-f16.gguf"}
    assert (found.kind, found.facts.kind, found.vision, found.audio) == (Kind.VISION, Kind.VISION, True, False)
    assert library.left_out == ()


def test_ears_make_no_eyes(tmp_path: Path) -> None:
    model(tmp_path / "ultra-8b.gguf")
    write(tmp_path / "mmproj-ultra-8b.gguf", mmproj(64, sound=True))
    (found,) = scan([tmp_path]).models
    assert (found.kind, found.vision, found.audio) == (Kind.AUDIO, False, True)


def test_projectors_find_their_models_by_name_and_width(tmp_path: Path) -> None:
    for name, shape in (("gem-4b", SMALL), ("gem-12b", OTHER), ("qwn-7b", SMALL)):
        model(tmp_path / f"{name}-it-Q8_0.gguf", shape)
    write(tmp_path / "mmproj-gem-4b-it-f16.gguf", mmproj(64))
    write(tmp_path / "gem-12b-it.mmproj-Q8_0.gguf", mmproj(128))
    write(tmp_path / "mmproj-other-f16.gguf", mmproj(64))
    write(tmp_path / "mmproj-qwn-7b-it-f16.gguf", mmproj(999))
    library = scan([tmp_path])
    assert seeing(library) == {
        "gem-4b-it-Q8_0.gguf": "mmproj-gem-4b-it-f16.gguf",
        "gem-12b-it-Q8_0.gguf": "gem-12b-it.mmproj-Q8_0.gguf",
    }
    assert set(reasons(library)) == {"mmproj-other-f16.gguf", "mmproj-qwn-7b-it-f16.gguf"}


def test_dashes_in_the_name_of_a_projector_mean_nothing(tmp_path: Path) -> None:
    for name, shape in (("gem-3-4b", SMALL), ("gem-3-12b", OTHER), ("qwn-4b", SMALL)):
        model(tmp_path / f"{name}-it-Q8_0.gguf", shape)
    write(tmp_path / "mmproj-gem3-4b-f16.gguf", mmproj(64))
    library = scan([tmp_path])
    assert seeing(library) == {"gem-3-4b-it-Q8_0.gguf": "mmproj-gem3-4b-f16.gguf"}
    assert library.left_out == ()


def test_the_best_of_several_projectors(tmp_path: Path) -> None:
    model(tmp_path / "gem-4b-Q8_0.gguf")
    model(tmp_path / "gem-4b-BF16.gguf", Shape("llama", 2, 64, 2, 2, 128, 96, 512, "BF16"))
    write(tmp_path / "mmproj-BF16.gguf", mmproj(64, quant="BF16"))
    write(tmp_path / "mmproj-F16.gguf", mmproj(64))
    library = scan([tmp_path])
    assert set(seeing(library).values()) == {"mmproj-F16.gguf"}
    assert len(seeing(library)) == 2
    assert "use mmproj-F16.gguf instead" in reasons(library)["mmproj-BF16.gguf"]


def test_a_draft_model_is_known_by_its_file_name(tmp_path: Path) -> None:
    model(tmp_path / "qwn-draft-0.5b.gguf")
    (found,) = scan([tmp_path]).models
    assert (found.kind, found.facts.kind) == (Kind.DRAFT, Kind.DRAFT)


def test_progress_is_told(tmp_path: Path) -> None:
    for name in ("a-7b", "b-7b"):
        model(tmp_path / f"{name}.gguf")
    told: list[tuple[int, int, str]] = []
    scan([tmp_path], on_progress=lambda done, all_, path: told.append((done, all_, path.name)))
    assert told == [(1, 2, "a-7b.gguf"), (2, 2, "b-7b.gguf")]


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """Linux file names are bytes."""
    image: Image = SMALL.image()
    with open(os.fsencode(tmp_path) + b"/caf\xe9-7b.gguf", "wb") as stream:  # noqa: PTH123 - bytes
        stream.write(image.header)
        stream.truncate(image.size)
    found: LibraryModel = scan([tmp_path]).models[0]
    assert found.id == "caf-7b-q8_0"


def test_the_kernel_is_not_led_to_fetch_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "posix_fadvise"):
        pytest.skip("this system takes no advice")
    advised: list[str] = []

    def note(descriptor: int, offset: int, length: int, advice: int) -> None:
        assert (offset, length, advice) == (0, 0, os.POSIX_FADV_RANDOM)
        advised.append(Path(f"/proc/self/fd/{descriptor}").resolve().name)

    monkeypatch.setattr(os, "posix_fadvise", note)
    model(tmp_path / "a-7b.gguf")
    scan([tmp_path])
    assert advised == ["a-7b.gguf"]


def test_embedding_models_that_do_not_say_so_are_known_by_name(tmp_path: Path) -> None:
    model(tmp_path / "SFR-Embedding-Mistral-7B-Q8_0.gguf")
    model(tmp_path / "gte-Qwen2-7B-instruct-Q8_0.gguf")
    model(tmp_path / "Embarrassing-7B-Q8_0.gguf")
    kinds = {one.id: one.kind for one in scan([tmp_path]).models}
    assert kinds == {
        "embarrassing-7b-q8_0": Kind.CHAT,
        "gte-qwen2-7b-instruct-q8_0": Kind.EMBEDDING,
        "sfr-embedding-mistral-7b-q8_0": Kind.EMBEDDING,
    }


def test_a_reranker_without_its_head_is_told(tmp_path: Path) -> None:
    model(tmp_path / "Qwen3-Reranker-0.6B-Q8_0.gguf")
    library = scan([tmp_path])
    assert ids(library) == []
    assert "without its classifier head" in reasons(library)["Qwen3-Reranker-0.6B-Q8_0.gguf"]


def test_two_files_that_would_have_one_id_are_called_by_their_whole_names(tmp_path: Path) -> None:
    """Both hold Q8_0; one says F16, as files of gpt-oss do that hold MXFP4."""
    model(tmp_path / "oss-20b-F16.gguf")
    model(tmp_path / "oss-20b-Q8_0.gguf")
    assert ids(scan([tmp_path])) == ["oss-20b-f16-q8_0", "oss-20b-q8_0"]


def test_a_vision_model_without_its_projector_says_that_it_reads_text_only(tmp_path: Path) -> None:
    shape = Shape("qwen2vl", 2, 64, 2, 2, 128, 96, 512, "Q8_0", template=CHATML)
    write(tmp_path / "a" / "see-7b.gguf", shape.image())
    (alone,) = scan([tmp_path]).models
    assert alone.description.endswith("text only: there is no mmproj file near it")
    write(tmp_path / "a" / "mmproj-see-7b.gguf", mmproj(64))
    (seeing,) = scan([tmp_path]).models
    assert "text only" not in seeing.description
