"""Where models of other programs are looked for, and what is found there; no store is touched, none can hang us."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from claracore.host.library import stores
from claracore.host.library.cache import ReadingCache
from claracore.host.library.data_disks import model_folders
from claracore.host.library.store_places import Whereabouts, places
from claracore.host.library.stores import FoundStores, StoreFinder, names_of
from zoo.stores import HubRepository, OllamaFolder, filled, put


def finder(
    home: Path, environ: Mapping[str, str] = {}, *, disks: Sequence[Path] = (), root: Path | None = None
) -> StoreFinder:
    around = Whereabouts(home, environ, "linux", root or home / "no root")
    return StoreFinder(lambda: around, lambda _: disks)


def find(
    home: Path, environ: Mapping[str, str] = {}, *, disks: Sequence[Path] = (), root: Path | None = None
) -> FoundStores:
    return finder(home, environ, disks=disks, root=root).find(ReadingCache())


def listed(found: FoundStores) -> list[tuple[str, Path, int]]:
    return [(store.store, store.path, len(store.models)) for store in found.stores]


def test_stores_of_a_home_are_found_with_counts_and_sizes(tmp_path: Path) -> None:
    one = filled(seed=1)
    put(tmp_path / ".lmstudio/models/org/A-7B-GGUF/A-7B-Q8_0.gguf", one)
    put(tmp_path / ".lmstudio/models/org/B-7B-GGUF/B-7B-Q8_0.gguf", filled(seed=2))
    OllamaFolder(tmp_path / ".ollama/models").pull("c:7b", model=filled(seed=3))
    HubRepository.of(tmp_path / ".cache/huggingface/hub", "org/D-7B-GGUF").fetch("D-7B.gguf", filled(seed=4))
    put(tmp_path / ".cache/llama.cpp/org_E-7B-GGUF_E-7B.gguf", filled(seed=5))
    put(tmp_path / ".local/share/Jan/data/llamacpp/models/F-7B/model.gguf", filled(seed=6))
    put(tmp_path / ".local/share/nomic.ai/GPT4All/G-7B.gguf", filled(seed=7))
    put(tmp_path / "text-generation-webui-3.5/user_data/models/H-7B.gguf", filled(seed=8))
    put(tmp_path / "models/I-7B.gguf", filled(seed=9))
    put(tmp_path / "Downloads/J-7B.gguf", filled(seed=10))
    found = find(tmp_path)
    assert {store: models for store, _, models in listed(found)} == {
        "LM Studio": 2,
        "Ollama": 1,
        "Hugging Face": 1,
        "llama.cpp": 1,
        "Jan": 1,
        "GPT4All": 1,
        "text-generation-webui": 1,
        "models folder": 1,
    }
    assert found.stores[0].bytes == 2 * len(one)
    assert (len(found.models), found.bytes) == (9, 9 * len(one))
    assert (found.unusable, found.left_out) == ((), ())


def test_a_home_without_models_has_none(tmp_path: Path) -> None:
    (tmp_path / ".ollama/models/blobs").mkdir(parents=True)
    (tmp_path / ".ollama/models/manifests").mkdir()
    put(tmp_path / ".lmstudio/models", b"a file, not a folder")
    assert find(tmp_path) == FoundStores((), ())


VARIABLES = {
    "HF_HUB_CACHE": ("Hugging Face", "elsewhere/x.gguf"),
    "HF_HOME": ("Hugging Face", "elsewhere/hub/x.gguf"),
    "LLAMA_CACHE": ("llama.cpp", "elsewhere/x.gguf"),
    "OLLAMA_MODELS": ("Ollama", "elsewhere/x.gguf"),
    "OLLAMA_HOME": ("Ollama", "elsewhere/models/x.gguf"),
    "XDG_CACHE_HOME": ("llama.cpp", "elsewhere/llama.cpp/x.gguf"),
    "XDG_DATA_HOME": ("GPT4All", "elsewhere/nomic.ai/GPT4All/x.gguf"),
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_variables_say_where_stores_are(tmp_path: Path, variable: str) -> None:
    store, file = VARIABLES[variable]
    path = put(tmp_path / file, filled())
    (found,) = find(tmp_path, {variable: str(tmp_path / "elsewhere")}).stores
    assert found.store == store
    assert path.is_relative_to(found.path)


def test_lm_studio_says_in_its_settings_where_models_are(tmp_path: Path) -> None:
    put(tmp_path / "big disk/org/repo/A-7B.gguf", filled())
    put(tmp_path / ".lmstudio-home-pointer", f"{tmp_path}/studio\n".encode())
    put(tmp_path / "studio/settings.json", b'{"downloadsFolder": "~/big disk", "other": 1}')
    assert listed(find(tmp_path)) == [("LM Studio", tmp_path / "big disk", 1)]


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"downloadsFolder": 7}', b'{"downloadsFolder": "a\\u0000b"}'])
def test_settings_that_say_nothing(tmp_path: Path, text: bytes) -> None:
    put(tmp_path / ".lmstudio/settings.json", text)
    put(tmp_path / ".lmstudio/models/org/repo/A-7B.gguf", filled())
    assert listed(find(tmp_path)) == [("LM Studio", tmp_path / ".lmstudio/models", 1)]


def test_jan_says_in_its_settings_where_its_data_is(tmp_path: Path) -> None:
    put(tmp_path / "jan data/llamacpp/models/A-7B/model.gguf", filled())
    put(tmp_path / ".local/share/Jan/settings.json", b'{"data_folder": "' + bytes(tmp_path / "jan data") + b'"}')
    assert listed(find(tmp_path)) == [("Jan", tmp_path / "jan data/llamacpp/models", 1)]


def test_ollama_as_a_service(tmp_path: Path) -> None:
    """Its unit says where; without a word /usr/share/ollama or /var/lib/ollama."""
    root = tmp_path / "root"
    OllamaFolder(root / "var/lib/ollama").pull("a:7b", model=filled(seed=1))
    OllamaFolder(tmp_path / "disk/ollama").pull("b:7b", model=filled(seed=2))
    unit = f'[Service]\nEnvironment="OLLAMA_HOST=0.0.0.0"\nEnvironment="OLLAMA_MODELS={tmp_path}/disk/ollama"\n'
    put(root / "etc/systemd/system/ollama.service.d/override.conf", unit.encode())
    assert listed(find(tmp_path, root=root)) == [
        ("Ollama", tmp_path / "disk/ollama", 1),
        ("Ollama", root / "var/lib/ollama", 1),
    ]


def test_places_on_other_systems(tmp_path: Path) -> None:
    mac = {place.path for place in places(Whereabouts(tmp_path, {}, "darwin"))}
    support = tmp_path / "Library/Application Support"
    assert {tmp_path / "Library/Caches/llama.cpp", support / "nomic.ai/GPT4All", support / "Jan/data/models"} <= mac
    environ = {"APPDATA": str(tmp_path / "Roaming"), "LOCALAPPDATA": str(tmp_path / "Local")}
    windows = {place.path for place in places(Whereabouts(tmp_path, environ, "win32"))}
    assert {tmp_path / "Roaming/Jan/data/llamacpp/models", tmp_path / "Local/llama.cpp"} <= windows
    assert tmp_path / "Local/nomic.ai/GPT4All" in windows


def test_copies_are_counted_where_they_are_and_once_in_all(tmp_path: Path) -> None:
    put(tmp_path / ".lmstudio/models/org/A-7B-GGUF/A-7B-Q8_0.gguf", filled())
    OllamaFolder(tmp_path / ".ollama/models").pull("a:7b", model=filled())
    found = find(tmp_path)
    assert [models for _, _, models in listed(found)] == [1, 1]
    assert (len(found.models), found.bytes) == (1, len(filled()))


def test_a_store_behind_a_link_or_inside_another_is_counted_once(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    put(disk / "ai/own/B-7B.gguf", filled(seed=2))
    OllamaFolder(disk / "ai/ollama").pull("a:7b", model=filled(seed=1))
    (tmp_path / ".ollama").mkdir()
    (tmp_path / ".ollama/models").symlink_to(disk / "ai/ollama")
    assert listed(find(tmp_path, disks=[disk])) == [
        ("Ollama", tmp_path / ".ollama/models", 1),
        ("disk", disk / "ai", 1),
    ]


def test_what_is_passed_over_is_told_also_where_there_is_no_model(tmp_path: Path) -> None:
    put(tmp_path / ".lmstudio/models/mlx/A-4bit/model.safetensors", b"x")
    found = find(tmp_path)
    assert found.stores == ()
    assert [left.path for left in found.left_out] == [tmp_path / ".lmstudio/models/mlx/A-4bit"]


def test_a_store_of_another_user_is_told_with_the_way_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "root/usr/share/ollama/.ollama/models"
    real = os.scandir

    def refused(path: str | Path) -> Iterator[os.DirEntry[str]]:
        if str(path) == str(closed):
            raise PermissionError(13, os.strerror(13), str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = find(tmp_path, root=tmp_path / "root")
    (left,) = found.unusable
    assert left.path == closed
    assert "sudo usermod -aG ollama $USER" in left.reason


def test_a_place_that_does_not_answer_is_given_up_and_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "models/A-7B.gguf", filled())
    gone = tmp_path / ".lmstudio/models"
    asked, answer = [], threading.Event()
    real: Callable[..., object] = stores._names

    def names(path: Path, beat: Callable[[], None]) -> object:
        if path == gone:
            asked.append(path)
            answer.wait()
        return real(path, beat)

    monkeypatch.setattr(stores, "_names", names)
    looks = finder(tmp_path)
    looks.patience = 0.05
    try:
        first = looks.find(ReadingCache())
        second = looks.find(ReadingCache())
    finally:
        answer.set()
    assert [(left.path, left.reason) for left in first.unusable] == [
        (gone, "does not answer: a drive that is gone, or asleep")
    ]
    assert len(first.models) == len(second.models) == 1
    assert asked == [gone]


def test_models_near_the_top_of_a_disk(tmp_path: Path) -> None:
    put(tmp_path / "ai/llm/a/A-7B.gguf", b"x")
    put(tmp_path / "ai/llm/b/B-7B.gguf", b"x")
    put(tmp_path / "top-7B.gguf", b"x")
    put(tmp_path / "too/deep/for/us/at/all/C-7B.gguf", b"x")
    put(tmp_path / "backup/hub/models--org--x/snapshots/y/D.gguf", b"x")
    put(tmp_path / "node_modules/E.gguf", b"x")
    (tmp_path / "photos").mkdir()
    beats: list[None] = []
    found = model_folders(tmp_path, lambda: beats.append(None))
    assert sorted(found) == [tmp_path / "ai/llm", tmp_path / "backup/hub", tmp_path / "top-7B.gguf"]
    assert beats


def test_a_look_at_a_disk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claracore.host.library.data_disks.MOST_FOLDERS", 20)
    for number in range(40):
        put(tmp_path / f"{number:02d}/A-7B.gguf", b"x")
    assert len(model_folders(tmp_path, lambda: None)) == 19


def test_who_keeps_models_in_words(tmp_path: Path) -> None:
    put(tmp_path / ".lmstudio/models/o/r/A-7B.gguf", filled(seed=1))
    put(tmp_path / "models/B-7B.gguf", filled(seed=2))
    put(tmp_path / ".cache/llama.cpp/C-7B.gguf", filled(seed=3))
    found = find(tmp_path).stores
    assert names_of(found) == "LM Studio, llama.cpp and models folder"
    assert [names_of(found[:1]), names_of(())] == ["LM Studio", ""]
