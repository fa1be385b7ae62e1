"""Several downloads: order, pause, cancel, and what a restart finds."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from claracore.errors import Conflict
from claracore.host.library import downloads
from claracore.host.library.download import Download, DownloadStatus, NoSuchDownload
from claracore.host.library.download_files import delete_fetched
from claracore.host.library.views import download_view
from claracore.host.store.downloads import DownloadStoreOnDisk
from fakes.fake_hub import FakeHub, Fault
from library.desk import BODY, PLACE, REPO, Desk, at_desk, held


def test_pausing_keeps_what_is_here(hub: FakeHub, tmp_path: Path) -> None:
    fault = Fault(hold_after=1_200_000)
    hub.faults.append(fault)

    async def talk(desk: Desk) -> None:
        download = await desk.start()
        await held(fault)
        await desk.until(lambda: download.done > 0)
        desk.downloads.pause(download.id)
        assert download.status is DownloadStatus.PAUSED
        await desk.downloads.idle()
        assert desk.files == [f"{PLACE}.part"]
        assert await desk.resumed(download) is DownloadStatus.FINISHED
        with pytest.raises(Conflict):
            desk.downloads.pause(download.id)

    at_desk(hub, tmp_path, talk)
    fault.release.set()
    assert (tmp_path / PLACE).read_bytes() == BODY
    assert (hub.asked("cdn")[-1].headers.get("range") or "").startswith("bytes=1")


def test_one_that_stands_still_says_so_and_has_no_speed(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "QUIET_SECONDS", 0.0)
    fault = Fault(hold_after=1_200_000)
    hub.faults.append(fault)

    async def talk(desk: Desk) -> None:
        download = await desk.start()
        await held(fault)
        await desk.until(lambda: download.quiet_seconds == 1)
        view = download_view(download)
        assert (view.quiet_seconds, view.bytes_per_second, view.eta_seconds) == (1, None, None)
        assert view.done_bytes > 0
        desk.downloads.pause(download.id)
        assert download_view(download).quiet_seconds is None
        assert await desk.resumed(download) is DownloadStatus.FINISHED

    at_desk(hub, tmp_path, talk)
    fault.release.set()


def test_cancelling_deletes_what_was_fetched_and_nothing_else(hub: FakeHub, tmp_path: Path) -> None:
    fault = Fault(hold_after=1_200_000)
    hub.faults.append(fault)
    mine = tmp_path / REPO / "mine.gguf"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")

    async def talk(desk: Desk) -> None:
        download = await desk.start()
        await held(fault)
        await desk.until(lambda: download.done > 0)
        await desk.downloads.remove(download.id)
        with pytest.raises(NoSuchDownload):
            desk.downloads.get(download.id)

    assert at_desk(hub, tmp_path, talk).files == [f"{REPO}/mine.gguf"]
    fault.release.set()


def test_what_is_fetched_anew_is_not_deleted_by_the_removal_before(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Fault(hold_after=1_200_000), Fault(hold_after=600_000)
    has_begun = threading.Event()
    hub.faults += [first, second]

    def delete_late(download: Download) -> None:
        has_begun.wait(0.5)  # an upper bound on waiting for nothing
        delete_fetched(download)

    monkeypatch.setattr(downloads, "delete_fetched", delete_late)

    async def talk(desk: Desk) -> None:
        download = await desk.start()
        await held(first)
        removing = asyncio.ensure_future(desk.downloads.remove(download.id))
        again = await desk.start()
        await held(second)
        has_begun.set()
        await removing
        second.release.set()
        await desk.downloads.idle()
        assert again.status is DownloadStatus.FINISHED

    assert at_desk(hub, tmp_path, talk).files == [PLACE]
    first.release.set()
    assert (tmp_path / PLACE).read_bytes() == BODY


def test_a_restart_goes_on_where_it_was(hub: FakeHub, tmp_path: Path) -> None:
    fault = Fault(hold_after=1_200_000)
    hub.faults.append(fault)
    ids = []

    async def first(desk: Desk) -> None:
        download = await desk.start()
        await held(fault)
        await desk.until(lambda: download.done > 0)
        ids.append(download.id)

    async def second(desk: Desk) -> None:
        [download] = desk.downloads.all
        assert (download.id, download.status) == (ids[0], DownloadStatus.DOWNLOADING)
        assert download.folder == tmp_path
        desk.downloads.begin()
        await desk.downloads.idle()
        assert download.status is DownloadStatus.FINISHED

    state = tmp_path / "state"
    assert at_desk(hub, tmp_path, first, DownloadStoreOnDisk(state, "key")).files == [f"{PLACE}.part"]
    fault.release.set()
    assert at_desk(hub, tmp_path, second, DownloadStoreOnDisk(state, "key")).files == [PLACE]
    assert (tmp_path / PLACE).read_bytes() == BODY
    assert DownloadStoreOnDisk(state, "another").load() == []
    assert "range" in hub.asked("cdn")[-1].headers


def test_a_damaged_list_costs_only_itself(tmp_path: Path) -> None:
    book = DownloadStoreOnDisk(tmp_path, "key")
    book.path.parent.mkdir()
    book.path.write_text("{")
    assert book.load() == []


def test_two_run_at_a_time_and_the_next_follows(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos |= {f"org/m{n}": {"m.gguf": bytes([n]) * 1000} for n in range(4)}
    faults = [Fault(hold_after=10) for _ in range(4)]
    hub.faults += faults

    async def talk(desk: Desk) -> None:
        every = [await desk.start(f"org/m{n}") for n in range(4)]
        await held(faults[0])
        await held(faults[1])
        assert [download.status for download in every[2:]] == [DownloadStatus.QUEUED, DownloadStatus.QUEUED]
        assert await desk.start("org/m3") is every[3]
        faults[0].release.set()
        await held(faults[2])
        for fault in faults:
            fault.release.set()
        await desk.downloads.idle()
        assert {download.status for download in every} == {DownloadStatus.FINISHED}

    at_desk(hub, tmp_path, talk)


def test_all_shards_and_the_projector_come_along(hub: FakeHub, tmp_path: Path) -> None:
    shards = {f"Q4_K_M/seer-Q4_K_M-0000{n}-of-00002.gguf": bytes([n]) * 5000 for n in (1, 2)}
    hub.repos["org/seer"] = {**shards, "mmproj-F32.gguf": b"f32", "mmproj-F16.gguf": b"f16"}

    async def talk(desk: Desk) -> None:
        assert (await desk.pull("org/seer")).status is DownloadStatus.FINISHED

    assert at_desk(hub, tmp_path, talk).files == [
        "org/seer/mmproj-F16.gguf",
        "org/seer/seer-Q4_K_M-00001-of-00002.gguf",
        "org/seer/seer-Q4_K_M-00002-of-00002.gguf",
    ]
