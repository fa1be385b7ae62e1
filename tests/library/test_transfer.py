"""One file from the hub to the disk, whatever happens on the way."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from claracore.errors import DiskFull
from claracore.host.library import download_files as module
from claracore.host.library.download import DownloadStatus
from claracore.host.library.partial import PartialFile
from fakes.fake_hub import FakeHub, Fault
from library.desk import BODY, NAME, PLACE, REPO, Desk, at_desk


def test_a_model_is_fetched_checked_and_in_its_place(hub: FakeHub, tmp_path: Path) -> None:
    async def talk(desk: Desk) -> None:
        download = await desk.pull()
        assert (download.status, download.error, download.quantization) == (DownloadStatus.FINISHED, None, "Q4_K_M")
        assert download.done == download.total == len(BODY)

    desk = at_desk(hub, tmp_path, talk)
    assert desk.files == [PLACE]
    assert (tmp_path / PLACE).read_bytes() == BODY
    assert desk.pauses == []
    (tmp_path / "new").touch()
    assert (tmp_path / PLACE).stat().st_mode == (tmp_path / "new").stat().st_mode


def test_a_broken_connection_is_gone_on_with(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults += [Fault(cut_after=1_500_000), Fault(cut_after=100_000)]

    async def talk(desk: Desk) -> None:
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    desk = at_desk(hub, tmp_path, talk)
    assert (tmp_path / PLACE).read_bytes() == BODY
    assert [one.headers.get("range") for one in hub.asked("cdn")] == [None, "bytes=1500000-", "bytes=1600000-"]
    assert desk.pauses == [1, 1]


def test_a_server_that_ignores_the_range_starts_over(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults += [Fault(cut_after=1_500_000), Fault(ignore_range=True)]

    async def talk(desk: Desk) -> None:
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    at_desk(hub, tmp_path, talk)
    assert (tmp_path / PLACE).read_bytes() == BODY


def test_a_busy_hub_is_left_alone_for_as_long_as_it_wants(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults += [Fault(status=429, headers={"Retry-After": "7"}), Fault(status=503), Fault(status=500)]

    async def talk(desk: Desk) -> None:
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    assert at_desk(hub, tmp_path, talk).pauses == [7, 2, 4]


def test_a_busy_hub_is_not_asked_for_ever(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults += [Fault(status=503) for _ in range(8)]

    async def talk(desk: Desk) -> None:
        download = await desk.pull()
        assert download.status is DownloadStatus.FAILED
        assert "503" in (download.error or "")
        desk.downloads.resume(download.id)
        await desk.downloads.idle()
        assert (download.status, download.error) == (DownloadStatus.FINISHED, None)

    assert at_desk(hub, tmp_path, talk).pauses == [1, 2, 4, 8, 16, 32, 60]


def test_wrong_bytes_are_thrown_away(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.append(Fault(corrupt=True))

    async def talk(desk: Desk) -> None:
        download = await desk.pull()
        assert download.status is DownloadStatus.FAILED
        assert "are not those that were announced" in (download.error or "")

    assert at_desk(hub, tmp_path, talk).files == []


def test_what_an_older_version_has_left_is_replaced(hub: FakeHub, tmp_path: Path) -> None:
    part = tmp_path / f"{PLACE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"of an older version" * 1000)

    async def talk(desk: Desk) -> None:
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    at_desk(hub, tmp_path, talk)
    assert (tmp_path / PLACE).read_bytes() == BODY
    assert [one.headers.get("range") for one in hub.asked("cdn")] == ["bytes=19000-", None]


def test_a_file_that_changed_since_it_was_listed_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    async def talk(desk: Desk) -> None:
        plan, _files = await desk.downloads.hub.look(REPO)
        hub.repos[REPO][NAME] = BODY[::-1]
        download = await desk.downloads.add(plan, desk.folder)
        await desk.downloads.idle()
        assert "has changed since it was listed" in (download.error or "")

    at_desk(hub, tmp_path, talk)


def test_a_file_that_is_there_is_checked_and_not_fetched(hub: FakeHub, tmp_path: Path) -> None:
    place = tmp_path / PLACE
    place.parent.mkdir(parents=True)
    place.write_bytes(BODY)

    async def talk(desk: Desk) -> None:
        download = await desk.pull()
        assert download.status is DownloadStatus.FINISHED
        place.write_bytes(BODY[::-1])
        other = await desk.pull()
        assert other.status is DownloadStatus.FAILED
        assert "is another file" in (other.error or "")
        await desk.downloads.remove(other.id)

    at_desk(hub, tmp_path, talk)
    assert hub.asked("cdn") == []
    assert place.read_bytes() == BODY[::-1]


def test_a_full_disk_is_told_before_and_during(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def before(desk: Desk) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(module, "free_bytes", lambda _: 1_000_000)
            with pytest.raises(DiskFull, match=r"needs 2\.1 MB more .* where 1\.0 MB are free"):
                await desk.start()

    async def during(desk: Desk) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(PartialFile, "_put", full)
            download = await desk.pull()
        assert download.status is DownloadStatus.FAILED
        assert "no space is left" in (download.error or "")
        assert desk.files == [f"{PLACE}.part"]
        assert await desk.resumed(download) is DownloadStatus.FINISHED

    real = PartialFile._put

    def full(part: PartialFile, data: memoryview) -> int:
        if part.size >= 1024 * 1024:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(part, data)

    at_desk(hub, tmp_path, before)
    at_desk(hub, tmp_path, during)
    assert (tmp_path / PLACE).read_bytes() == BODY


def test_a_folder_that_is_none_is_told(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(desk: Desk) -> None:
        download = await desk.pull()
        assert download.status is DownloadStatus.FAILED
        assert said in (download.error or "")

    (tmp_path / "file").touch()
    said = "cannot be written to: Not a directory"
    at_desk(hub, tmp_path / "file", talk)

    def refused(_part: object, *_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    said = f"{PLACE} cannot be used: Permission denied"
    monkeypatch.setattr("claracore.host.library.transfer.PartialFile", refused)
    at_desk(hub, tmp_path, talk)


def test_nobody_else_writes_to_the_same_part(hub: FakeHub, tmp_path: Path) -> None:
    async def talk(desk: Desk) -> None:
        plan, _files = await desk.downloads.hub.look(REPO)
        other = PartialFile(tmp_path / PLACE, plan.files[0].remote)
        other.write(BODY[:10])
        download = await desk.pull()
        assert "another ClaraCore" in (download.error or "")
        other.close()

    at_desk(hub, tmp_path, talk)
