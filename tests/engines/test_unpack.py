"""What is in an archive that a stranger has made, and what of it comes out?"""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from claracore.errors import DiskFull
from claracore.host.engines import unpack as unpacking
from claracore.host.engines.members import HostileArchive
from claracore.host.engines.unpack import Unpacking, unpack
from engines.releases import tar_gz


def member(name: str, content: bytes = b"", **more: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def tar_of(*members: tuple[tarfile.TarInfo, bytes], kind: str = "gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{kind}") as tar:  # type: ignore[call-overload]
        for info, content in members:
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return out.getvalue()


def unpacked(tmp_path: Path, raw: bytes, name: str = "a.tar.gz") -> Path:
    (tmp_path / "in").mkdir(exist_ok=True)
    into = tmp_path / "out" / "new"
    into.mkdir(parents=True, exist_ok=True)
    (tmp_path / "in" / name).write_bytes(raw)
    unpack(tmp_path / "in" / name, into)
    return into


def test_a_build_comes_out_without_its_folder(tmp_path: Path) -> None:
    into = unpacked(tmp_path, tar_gz({"llama-server": b"#!", "libx.so.0.1": b"abc", "libx.so.0": "libx.so.0.1"}))
    assert sorted(path.name for path in into.iterdir()) == ["libx.so.0", "libx.so.0.1", "llama-server"]
    assert (into / "libx.so.0").read_bytes() == b"abc"
    assert os.access(into / "llama-server", os.X_OK)


@pytest.mark.parametrize(("name", "kind"), [("a.tar.xz", "xz"), ("a.tar.bz2", "bz2"), ("a.tar", ""), ("a.tgz", "gz")])
def test_other_kinds_of_tar(tmp_path: Path, name: str, kind: str) -> None:
    into = unpacked(tmp_path, tar_of(member("build/bin/x", b"1"), member("build/lib/y", b"2"), kind=kind), name)
    assert (into / "bin" / "x").read_bytes() == b"1"
    assert (into / "lib" / "y").read_bytes() == b"2"


def test_a_zip_without_a_common_folder(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("llama-server.exe", b"MZ")
        zipped.writestr("ggml.dll", b"x" * 5000)
    into = unpacked(tmp_path, out.getvalue(), "a.zip")
    assert sorted(path.name for path in into.iterdir()) == ["ggml.dll", "llama-server.exe"]


def test_two_archives_come_into_one_folder_and_never_over_each_other(tmp_path: Path) -> None:
    unpacked(tmp_path, tar_gz({"llama-server": b"1"}))
    into = unpacked(tmp_path, tar_gz({"libcudart.so.13": b"2"}, top="cudart"), "b.tar.gz")
    assert (into / "libcudart.so.13").exists()
    with pytest.raises(HostileArchive, match="two files are called llama-server"):
        unpacked(tmp_path, tar_gz({"llama-server": b"other"}), "c.tar.gz")
    assert (into / "llama-server").read_bytes() == b"1"


def test_a_hard_link_within_the_archive_is_one(tmp_path: Path) -> None:
    link = member("top/b", type=tarfile.LNKTYPE, linkname="top/a")
    into = unpacked(tmp_path, tar_of(member("top/a", b"1"), link))
    assert (into / "b").read_bytes() == b"1"


SYM, LNK = tarfile.SYMTYPE, tarfile.LNKTYPE
HOSTILE = {
    "absolute": ((member("/etc/evil", b"x"),), "leads out"),
    "climbs": ((member("a/../../evil", b"x"),), "leads out"),
    "climbs by backslash": ((member("..\\evil", b"x"),), "leads out"),
    "a drive": ((member("C:evil", b"x"),), "leads out"),
    "control characters": ((member("a\nb", b"x"),), "leads out"),
    "a link out": ((member("a/l", type=SYM, linkname="../../etc/passwd"),), "no file beside it"),
    "an absolute link": ((member("l", type=SYM, linkname="/etc/passwd"),), "no file beside it"),
    "a link to above": ((member("l", type=SYM, linkname=".."),), "no file beside it"),
    "a link to nothing": ((member("a/l", type=SYM, linkname="gone"),), "which is not there"),
    "a link to itself": ((member("l", type=SYM, linkname="l"),), "which is not there"),
    "through a link": (
        (member("d/x", b"1"), member("l", type=SYM, linkname="d"), member("l/evil", b"x")),
        "is in a folder that is a file",
    ),
    "a hard link out": ((member("h", type=LNK, linkname="../../../etc/passwd"),), "leads out"),
    "an absolute hard link": ((member("h", type=LNK, linkname="/etc/passwd"),), "leads out"),
    "a hard link to nothing": ((member("h", type=LNK, linkname="gone"),), "no file of the archive"),
    "a device": ((member("d", type=tarfile.CHRTYPE, devmajor=1, devminor=3),), "device or a pipe"),
    "a block device": ((member("d", type=tarfile.BLKTYPE),), "device or a pipe"),
    "a pipe": ((member("p", type=tarfile.FIFOTYPE),), "device or a pipe"),
    "two files with one name": ((member("a", b"1"), member("a", b"2")), "two files are called a"),
    "two names that differ by letters": ((member("a", b"1"), member("A", b"2")), "two files are called A"),
    "the same with a dot": ((member("x/a", b"1"), member("x/./a", b"2")), "two files are called"),
}


@pytest.mark.parametrize(("members", "words"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives(members: tuple[tuple[tarfile.TarInfo, bytes], ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(HostileArchive) as caught:
        unpacked(tmp_path, tar_of(*members))
    assert words in caught.value.message
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]


def test_a_bomb_by_its_declared_sizes(tmp_path: Path) -> None:
    huge = member("a")[0]
    huge.size = 1 << 40
    raw = gzip.compress(huge.tobuf(format=tarfile.GNU_FORMAT) + b"\0" * 2048)
    with pytest.raises(HostileArchive, match="grows to more than a build can be"):
        unpacked(tmp_path, raw)


def test_a_bomb_by_its_real_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claracore.host.engines.members.ALWAYS_ALLOWED", 1 << 20)
    with pytest.raises(HostileArchive, match="grows to more"):
        unpacked(tmp_path, tar_of(member("a", b"\0" * (4 << 20))))


def test_a_bomb_in_a_header(tmp_path: Path) -> None:
    """The tar module reads long names whole, as long as they say they are."""
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    raw = gzip.compress(name.tobuf(format=tarfile.GNU_FORMAT) + b"a" * 2048)
    with pytest.raises(HostileArchive, match="larger than any real one"):
        unpacked(tmp_path, raw)


def test_a_zip_that_lies_about_sizes(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("a", b"x" * 100_000)
    raw = out.getvalue().replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with pytest.raises(HostileArchive, match="cannot be read"):
        unpacked(tmp_path, raw, "a.zip")


def test_a_link_in_a_zip(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        info = zipfile.ZipInfo("l")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped.writestr(info, "/etc/passwd")
    with pytest.raises(HostileArchive, match="neither a file nor a folder"):
        unpacked(tmp_path, out.getvalue(), "a.zip")


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claracore.host.engines.members.MOST_MEMBERS", 3)
    with pytest.raises(HostileArchive, match="more than 3 members"):
        unpacked(tmp_path, tar_of(*(member(f"a{number}", b"x") for number in range(4))))


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.xz", "a.tar.bz2", "a.tar", "a.zip", "a.exe"])
@pytest.mark.parametrize("raw", [b"", b"not an archive", b"\x1f\x8b\x08\x00 broken", b"PK\x03\x04 broken"])
def test_what_is_no_archive(name: str, raw: bytes, tmp_path: Path) -> None:
    try:
        into = unpacked(tmp_path, raw, name)
    except HostileArchive:
        return
    assert (name, raw) == ("a.tar", b"")
    assert list(into.iterdir()) == []


def test_a_cut_archive(tmp_path: Path) -> None:
    raw = tar_gz({"llama-server": os.urandom(200_000)})
    with pytest.raises(HostileArchive):
        unpacked(tmp_path, raw[: len(raw) // 2])


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "free_at", lambda _folder: 1000)
    with pytest.raises(DiskFull, match="when unpacked"):
        unpacked(tmp_path, tar_gz({"llama-server": b"x" * 2000}))


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(tar_gz({"a": b"1", "b": b"2"}))
    (tmp_path / "new").mkdir()
    with pytest.raises(Unpacking):
        unpack(tmp_path / "a.tar.gz", tmp_path / "new", lambda: False)
