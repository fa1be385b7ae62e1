"""Files of shared models on the head: which the commands name, what they are called, and what is known of them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

import pytest

from claracore.core.cluster.elsewhere import FoundFile, FoundSet, SoughtFile, SoughtSet
from claracore.core.cluster.named_files import all_shards, named_paths, names_for, source_in_cache, with_names
from claracore.core.cluster.part import Fetch, SharedModel
from claracore.core.cluster.shared import SharedOut
from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.reference import Reference
from claracore.host.cluster.model_files import FilesOfModels
from claracore.host.cluster.shared_files import SharedFiles
from claracore.host.library.download import Download, DownloadStatus, DownloadStore, FileState


@pytest.mark.parametrize(
    ("cmd", "paths"),
    [
        ("llama-server -m /m/a.gguf --port ${PORT}", ["/m/a.gguf"]),
        ('llama-server --model="/m/a b.gguf" --mmproj /m/p.gguf', ["/m/a b.gguf", "/m/p.gguf"]),
        ("llama-server -m /m/blob --chat-template-file /m/t.jinja", ["/m/blob", "/m/t.jinja"]),
        ("llama-server \\\n  -m /m/a.gguf # comment\n  --lora /m/l.gguf", ["/m/a.gguf", "/m/l.gguf"]),
        ("llama-server -m /m/a --spec-draft-model /m/d --control-vector /m/v", ["/m/a", "/m/d", "/m/v"]),
        ("serve /m/a.GGUF", ["/m/a.GGUF"]),
        ("llama-server --api-key-file /secret --log-file /l -m ${env.HOME}/a.gguf", []),
        ("llama-server -m", []),
        ("llama-server -m --port", []),
        ("/m/a.gguf", []),
        ("llama-server -m '/m/a.gguf", []),
    ],
)
def test_only_what_belongs_to_a_model_is_named(cmd: str, paths: list[str]) -> None:
    assert [found.path for found in named_paths(cmd)] == paths


def test_paths_become_names_and_all_else_stays() -> None:
    cmd = "llama-server \\\n  # /m/a.gguf\n  -m '/m/a b.gguf' --mmproj=/m/p.gguf --log-file /m/l --port ${PORT}"
    names = {"/m/a b.gguf": "x/a b.gguf", "/m/p.gguf": "x/p.gguf"}
    assert with_names(cmd, names) == (
        "llama-server \\\n  # /m/a.gguf\n  -m ${file:x/a b.gguf} --mmproj=${file:x/p.gguf} "
        "--log-file /m/l --port ${PORT}"
    )


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/models/org/repo/a.gguf", ["org/repo/a.gguf", "repo/a.gguf", "a.gguf"]),
        ("/elsewhere/deep/a.gguf", ["deep/a.gguf", "a.gguf"]),
        ("/c/models--org--repo/snapshots/abc/Q4/a.gguf", ["org/repo/Q4/a.gguf", "a.gguf"]),
        ("/a.gguf", ["a.gguf"]),
        ("/x/{odd}/a: b.gguf", ["a-b.gguf"]),
        ("/models/.hidden/a.gguf", ["a.gguf"]),
    ],
)
def test_what_a_file_is_called(path: str, names: list[str]) -> None:
    assert list(names_for(PurePath(path), (PurePath("/models"),))) == names


def test_where_a_file_of_the_cache_came_from() -> None:
    assert source_in_cache(PurePath("/c/models--o--r/snapshots/abc/Q4/a.gguf")) == "o/r@abc/Q4/a.gguf"
    assert source_in_cache(PurePath("/c/models--o--r/blobs/abc")) == source_in_cache(PurePath("/a/b")) == ""


def test_shards_are_known_by_the_one_that_is_named() -> None:
    assert [path.name for path in all_shards(PurePath("/m/a-00001-of-00002.gguf"))] == [
        "a-00001-of-00002.gguf",
        "a-00002-of-00002.gguf",
    ]
    assert all_shards(PurePath("/m/a.gguf")) == (PurePath("/m/a.gguf"),)
    assert all_shards(PurePath("/m/a-00001-of-99999.gguf")) == (PurePath("/m/a-00001-of-99999.gguf"),)


@dataclass
class At:
    roots: tuple[Path, ...]


def out(name: str, cmd: str) -> SharedOut:
    return SharedOut(SharedModel(name, {"cmd": cmd}, fetch=Fetch.HEAD), "all")


def test_files_are_announced_and_given(tmp_path: Path) -> None:
    models, other = tmp_path / "models", tmp_path / "org"
    for path, body in {
        models / "org/a.gguf": b"A" * 70_000,
        models / "s-00001-of-00002.gguf": b"1",
        models / "s-00002-of-00002.gguf": b"2",
        other / "a.gguf": b"other",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    remote = RemoteFile("Q4/a.gguf", 70_000, "f" * 64)
    download = Download("1", Reference("org/repo"), "", models, [FileState(remote, "org/a.gguf")])
    download.status = DownloadStatus.FINISHED

    class Store(DownloadStore):
        def load(self) -> list[Download]:
            return [download]

    files = SharedFiles()
    look = FilesOfModels(At((models,)), Store(), files, There())
    found = look(
        (
            out("a", f"serve -m {models}/org/a.gguf"),
            out("s", f"serve -m {models}/s-00001-of-00002.gguf"),
            out("o", f"serve -m {other}/a.gguf --mmproj {tmp_path}/gone.gguf"),
            out("again", f"serve -m {models}/org/../org/a.gguf"),
        )
    )
    a, s, o, again = (each.model for each in found)
    [file] = a.files
    assert (file.name, file.size, file.sha256, file.source) == (
        "org/a.gguf", 70_000, "f" * 64, "org/repo/Q4/a.gguf",
    )  # fmt: skip
    assert file.path == f"{models}/org/a.gguf"
    assert file.header == hashlib.sha256(b"A" * 65536).hexdigest()
    assert a.entry["cmd"] == again.entry["cmd"] == "serve -m ${file:org/a.gguf}"
    assert [each.name for each in s.files] == ["s-00001-of-00002.gguf", "s-00002-of-00002.gguf"]
    assert s.entry["cmd"] == "serve -m ${file:s-00001-of-00002.gguf}"
    # Another file that would be called the same; one that is not there stays the path that it is.
    [renamed] = o.files
    assert renamed.name == "a.gguf"
    assert o.entry["cmd"] == f"serve -m ${{file:a.gguf}} --mmproj {tmp_path}/gone.gguf"
    look(())


@dataclass
class There:
    """What nodes have, and what is looked for on them."""

    has: dict[str, FoundSet] = field(default_factory=dict)
    sought: tuple[SoughtSet, ...] = ()

    def found(self) -> dict[str, FoundSet]:
        return self.has

    def seek(self, sought: tuple[SoughtSet, ...]) -> None:
        self.sought = sought


class NoDownloads(DownloadStore):
    def load(self) -> list[Download]:
        return []


def test_a_link_gives_nothing_away_but_models(tmp_path: Path) -> None:
    folder, outside = tmp_path / "models", tmp_path / "outside"
    for each in (folder, outside):
        each.mkdir()
    link, files = folder / "a.gguf", SharedFiles()
    shared = FilesOfModels(At((folder,)), NoDownloads(), files, There())

    def names_of(target: Path, content: bytes) -> list[str]:
        target.write_bytes(content)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        model = SharedModel("m", {"cmd": f"llama-server -m {link}"}, fetch=Fetch.HEAD)
        return [file.name for file in shared((SharedOut(model, "all"),))[0].model.files]

    assert names_of(outside / "shadow", b"root:*:1") == []
    assert names_of(outside / "a disk of its own", b"GGUF and more") == ["a.gguf"]
    assert names_of(folder / "blob", b"{{ template }}") == ["a.gguf"]
    link.unlink()
    os.mkfifo(link)  # whoever opens it waits for a writer
    assert shared((out("m", f"llama-server -m {link}"),))[0].model.files == ()


def test_a_link_that_is_none_by_the_time_it_is_judged_gives_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, secret, read = tmp_path / "models", tmp_path / "shadow", os.pread
    folder.mkdir()
    secret.write_bytes(b"root:*:1")
    link = folder / "a.gguf"
    link.symlink_to(secret)
    swaps: list[bytes] = []

    def swapped(descriptor: int, size: int, at: int) -> bytes:
        swaps.append(read(descriptor, size, at))
        link.unlink()
        link.write_bytes(b"mine")
        return swaps[-1]

    monkeypatch.setattr(os, "pread", swapped)
    files = SharedFiles()
    shared = FilesOfModels(At((folder,)), NoDownloads(), files, There())
    assert shared((out("m", f"llama-server -m {link}"),))[0].model.files == ()
    assert swaps == [b"root:*:1"]


def test_a_file_with_a_second_name_is_given_only_if_it_is_a_model(tmp_path: Path) -> None:
    secret, names = tmp_path / "shadow", []
    shared = FilesOfModels(At((tmp_path,)), NoDownloads(), SharedFiles(), There())
    for body in (b"root:*:1", b"GGUF and more"):
        secret.write_bytes(body)
        second = tmp_path / "a.gguf"
        second.unlink(missing_ok=True)
        second.hardlink_to(secret)
        [found] = shared((out("m", f"llama-server -m {second}"),))
        names.append([file.name for file in found.model.files])
    assert names == [[], ["a.gguf"]]


def test_what_is_not_here_is_announced_as_a_node_has_it(tmp_path: Path) -> None:
    models, there, files = tmp_path / "models", There(), SharedFiles()
    look = FilesOfModels(At((models,)), NoDownloads(), files, there)
    first, second = (models / f"org/s-0000{number}-of-00002.gguf" for number in (1, 2))
    first.parent.mkdir(parents=True)
    second.write_bytes(b"only the second is here")
    shared = (out("s", f"serve -m {first}"), out("gone", "serve -m /x/y/gone.gguf"))
    no = replace(shared[1], model=replace(shared[1].model, name="no", fetch=Fetch.NO))
    before = look((*shared, no))
    assert [each.model.files for each in before] == [(), (), ()]
    assert list(there.sought) == [
        tuple(SoughtFile(f"org/{path.name}", str(path)) for path in (first, second)),
        (SoughtFile("y/gone.gguf", "/x/y/gone.gguf"),),
    ]
    there.has = {str(first): (FoundFile(1, "h1", "s1", "v1"), FoundFile(2, "h2", "s2", "v2"))}
    s, gone = (each.model for each in look(shared))
    assert s.entry["cmd"] == f"serve -m ${{file:org/{first.name}}}"
    assert [(file.size, file.header, file.sha256) for file in s.files] == [(1, "h1", "s1"), (2, "h2", "s2")]
    assert gone.entry["cmd"] == "serve -m /x/y/gone.gguf"
    assert [files.elsewhere(file.name) for file in s.files] == list(s.files)
    # When it is here in the end, it is given from here.
    first.write_bytes(b"the first")
    assert [file.size for file in look(shared)[0].model.files] == [9, 23]
    assert [file.name for files in there.sought for file in files] == ["y/gone.gguf"]
    assert files.elsewhere(f"org/{first.name}") is None
