"""Fetching models from a hub that is not always well."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from claracore.errors import ClaraCoreError, Conflict
from claracore.library import downloads as module
from claracore.library.download import Book, Download, DownloadStatus, NoSuchDownload
from claracore.library.downloads import Downloads
from claracore.library.hub_errors import Gated, HubUnreachable, NotOnHub
from claracore.library.part import DiskFull, Part
from claracore.library.tokens import Token, Tokens
from claracore.pull.choice import NoSuchFile
from claracore.store.downloads import BookOnDisk
from fakes.fake_hub import FakeHub, Fault, fake_hub

BODY = bytes(range(256)) * 8192  # 2 MiB
REPO = "org/tiny-GGUF"
NAME = "tiny-Q4_K_M.gguf"
PLACE = f"{REPO}/{NAME}"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    files = {NAME: BODY, "tiny-Q8_0.gguf": BODY[:-5], "README.md": b"# tiny"}
    with fake_hub(repos={REPO: files}) as hub:
        yield hub
        for fault in hub.faults:
            fault.release.set()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")  # which the library asks the process for, and not us


class Desk:
    """Downloads with a clock that does not run: pauses are noted and over at once."""

    def __init__(self, hub: FakeHub, folder: Path, *, book: Book | None = None, **environ: str) -> None:
        self.folder = folder
        self.pauses: list[float] = []
        self.told: list[tuple[str, DownloadStatus]] = []
        tokens = Tokens(folder / "state", hub.environ(**environ))
        self.downloads = Downloads(hub.environ(**environ), tokens, book or Book(), wait=self.wait)
        self.downloads.on_change = self.changed
        self._changed = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def changed(self, download: Download) -> None:
        self.told.append((download.id, download.status))
        self._changed.set()

    async def start(self, reference: str = REPO, **more: Any) -> Download:
        plan, _files = await self.downloads.look(reference)
        return await self.downloads.add(plan, self.folder, **more)

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not wanted():
                self._changed.clear()
                await self._changed.wait()

    async def pull(self, reference: str = REPO) -> Download:
        download = await self.start(reference)
        await self.downloads.idle()
        return download

    async def resumed(self, download: Download) -> DownloadStatus:
        """Go on with a download and wait for what comes of it."""
        self.downloads.resume(download.id)
        await self.downloads.idle()
        return download.status

    @property
    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and "state" not in path.parts
        )


def at_desk(
    hub: FakeHub, folder: Path, talk: Callable[[Desk], Coroutine[Any, Any, None]], book: Book | None = None, **env: str
) -> Desk:
    async def main() -> Desk:
        desk = Desk(hub, folder, book=book, **env)
        try:
            await talk(desk)
        finally:
            await desk.downloads.close()
        return desk

    return asyncio.run(main())


async def held(fault: Fault) -> None:
    assert await asyncio.to_thread(fault.held.wait, 60)


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


def test_a_listing_is_read_to_its_last_page(hub: FakeHub, tmp_path: Path) -> None:
    hub.page_size = 1

    async def talk(desk: Desk) -> None:
        assert (await desk.pull(f"{REPO}:q8_0")).status is DownloadStatus.FINISHED

    assert at_desk(hub, tmp_path, talk).files == [f"{REPO}/tiny-Q8_0.gguf"]
    assert sum("/tree/" in one.path for one in hub.seen) == 3


def test_a_listing_that_goes_on_elsewhere_is_not_followed(hub: FakeHub, tmp_path: Path) -> None:
    hub.next_link = f"{hub.cdn}/steal"

    async def talk(desk: Desk) -> None:
        with pytest.raises(HubUnreachable, match="another host"):
            await desk.start()

    at_desk(hub, tmp_path, talk, HF_TOKEN=hub.token)
    assert hub.asked("cdn") == []


def test_the_token_is_for_the_hub_and_never_in_the_log(
    hub: FakeHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.gated.add(REPO)
    hub.faults.append(Fault(status=503))
    caplog.set_level(logging.DEBUG)

    async def talk(desk: Desk) -> None:
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    at_desk(hub, tmp_path, talk, HF_TOKEN=hub.token)
    assert all(one.headers.get("authorization") == f"Bearer {hub.token}" for one in hub.asked("hub"))
    assert hub.asked("cdn")
    assert not any("authorization" in one.headers or hub.token in str(one) for one in hub.asked("cdn"))
    assert hub.token not in caplog.text
    assert "signature=secret" not in "".join(
        record.getMessage() for record in caplog.records if "claracore" in record.name
    )


def test_a_gated_model_says_what_to_do(hub: FakeHub, tmp_path: Path) -> None:
    hub.gated.add(REPO)

    async def talk(desk: Desk) -> None:
        with pytest.raises(Gated, match=r"is gated: ask for access .*HF_TOKEN"):
            await desk.start()
        desk.downloads.tokens.keep(hub.token)
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    at_desk(hub, tmp_path, talk)
    assert (tmp_path / "state" / "hub-token").stat().st_mode & 0o777 == 0o600


def test_a_private_model_is_only_there_for_those_who_may_see_it(hub: FakeHub, tmp_path: Path) -> None:
    hub.hidden.add(REPO)

    async def without(desk: Desk) -> None:
        with pytest.raises(NotOnHub, match="or only for those whom it knows: see HF_TOKEN"):
            await desk.start()

    async def knowing(desk: Desk) -> None:
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    at_desk(hub, tmp_path, without)
    at_desk(hub, tmp_path, knowing, HF_TOKEN=hub.token)


def test_a_hub_that_is_busy_for_a_moment_is_asked_again(hub: FakeHub, tmp_path: Path) -> None:
    hub.listing_faults += [Fault(status=429, headers={"Retry-After": "3"}), Fault(status=502)]

    async def talk(desk: Desk) -> None:
        assert (await desk.pull()).status is DownloadStatus.FINISHED
        hub.listing_faults.append(Fault(status=429, headers={"Retry-After": "60"}))
        with pytest.raises(HubUnreachable, match="429") as caught:
            await desk.start()
        assert caught.value.retry_after_seconds == 60

    assert at_desk(hub, tmp_path, talk).pauses == [3, 2]


def test_a_wrong_token_is_told_with_where_it_comes_from(hub: FakeHub, tmp_path: Path) -> None:
    async def talk(desk: Desk) -> None:
        with pytest.raises(Gated, match="does not accept the token") as caught:
            await desk.start()
        assert "HF_TOKEN" in caught.value.message
        assert "hf_wrong" not in caught.value.message

    at_desk(hub, tmp_path, talk, HF_TOKEN="hf_wrong")


def test_a_token_that_comes_with_a_download_is_used_for_it(hub: FakeHub, tmp_path: Path) -> None:
    hub.gated.add(REPO)
    token = Token(hub.token, "the request")

    async def talk(desk: Desk) -> None:
        plan, _files = await desk.downloads.look(REPO, token=token)
        download = await desk.downloads.add(plan, desk.folder, token=token)
        await desk.downloads.idle()
        assert download.status is DownloadStatus.FINISHED

    at_desk(hub, tmp_path, talk)


@pytest.mark.parametrize(
    ("reference", "error", "words"),
    [
        ("org/tinny-GGUF", NotOnHub, "did you mean org/tiny"),
        ("org/nothing-like-it", NotOnHub, r"no such repository on 127.0.0.1:\d+: org/nothing-like-it"),
        (f"{REPO}@v9", NotOnHub, "no such revision"),
        (f"{REPO}:Q4_K_S", NoSuchFile, "did you mean Q4_K_M"),
        (f"{REPO}/tiny-q4.gguf", NoSuchFile, "did you mean tiny-Q4_K_M.gguf"),
        ("org/tiny", NoSuchFile, f"others have: {REPO}"),
    ],
)
def test_what_is_not_there_comes_with_near_names(
    hub: FakeHub, tmp_path: Path, reference: str, error: type[ClaraCoreError], words: str
) -> None:
    hub.repos |= {"org/tinny-small": {"x": b""}, "org/tiny": {"model.safetensors": b"x"}}
    if reference == "org/tinny-GGUF":
        hub.repos = {"org/tiny-x": {}, "org/tinny": {}, REPO: {}}
        words = "did you mean org/tinny"

    async def talk(desk: Desk) -> None:
        with pytest.raises(error, match=words) as caught:
            await desk.start(reference)
        assert caught.value.status == 404

    at_desk(hub, tmp_path, talk)


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
        assert "are not those that the hub has announced" in (download.error or "")

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
        plan, _files = await desk.downloads.look(REPO)
        hub.repos[REPO][NAME] = BODY[::-1]
        download = await desk.downloads.add(plan, desk.folder)
        await desk.downloads.idle()
        assert "has changed on the hub" in (download.error or "")

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


def test_names_that_climb_out_of_the_folder_are_not_seen(hub: FakeHub, tmp_path: Path) -> None:
    for path in (
        "../../evil.gguf",
        "/etc/evil.gguf",
        "a/../../evil.gguf",
        "..\\evil.gguf",
        ".hidden.gguf",
        "a//b.gguf",
    ):
        hub.more_entries.append({"type": "file", "path": path, "size": 1, "oid": "0" * 40, "lfs": {"oid": "0" * 64}})

    async def talk(desk: Desk) -> None:
        _plan, files = await desk.downloads.look(REPO)
        assert not [file for file in files if "evil" in file.path or "hidden" in file.path or "//" in file.path]
        with pytest.raises(ClaraCoreError):
            await desk.start(f"{REPO}/../../evil.gguf")
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    folder = tmp_path / "downloads"
    assert at_desk(hub, folder, talk).files == [PLACE]
    assert not list(tmp_path.rglob("evil*"))


def test_a_redirect_to_something_else_is_not_followed(hub: FakeHub, tmp_path: Path) -> None:
    hub.redirect_to = "file:///etc/passwd"

    async def talk(desk: Desk) -> None:
        assert "not followed" in ((await desk.pull()).error or "")

    at_desk(hub, tmp_path, talk)


def test_a_full_disk_is_told_before_and_during(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def before(desk: Desk) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(module, "free_bytes", lambda _: 1_000_000)
            with pytest.raises(DiskFull, match=r"needs 2\.1 MB more .* where 1\.0 MB are free"):
                await desk.start()

    async def during(desk: Desk) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Part, "_put", full)
            download = await desk.pull()
        assert download.status is DownloadStatus.FAILED
        assert "no space is left" in (download.error or "")
        assert desk.files == [f"{PLACE}.part"]
        assert await desk.resumed(download) is DownloadStatus.FINISHED

    real = Part._put

    def full(part: Part, data: memoryview) -> int:
        if part.size >= 1024 * 1024:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(part, data)

    at_desk(hub, tmp_path, before)
    at_desk(hub, tmp_path, during)
    assert (tmp_path / PLACE).read_bytes() == BODY


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
    assert at_desk(hub, tmp_path, first, BookOnDisk(state, "key")).files == [f"{PLACE}.part"]
    fault.release.set()
    assert at_desk(hub, tmp_path, second, BookOnDisk(state, "key")).files == [PLACE]
    assert (tmp_path / PLACE).read_bytes() == BODY
    assert BookOnDisk(state, "another").load() == []
    assert "range" in hub.asked("cdn")[-1].headers


def test_a_damaged_list_costs_only_itself(tmp_path: Path) -> None:
    book = BookOnDisk(tmp_path, "key")
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
    monkeypatch.setattr("claracore.library.transfer.Part", refused)
    at_desk(hub, tmp_path, talk)


def test_nobody_else_writes_to_the_same_part(hub: FakeHub, tmp_path: Path) -> None:
    async def talk(desk: Desk) -> None:
        plan, _files = await desk.downloads.look(REPO)
        other = Part(tmp_path / PLACE, plan.targets[0].remote)
        other.write(BODY[:10])
        download = await desk.pull()
        assert "another ClaraCore" in (download.error or "")
        other.close()

    at_desk(hub, tmp_path, talk)


def test_an_offline_machine_and_a_wrong_endpoint_are_told(hub: FakeHub, tmp_path: Path) -> None:
    async def talk(desk: Desk) -> None:
        with pytest.raises(ClaraCoreError) as caught:
            await desk.start()
        said.append(caught.value.message)

    said: list[str] = []
    at_desk(hub, tmp_path, talk, HF_HUB_OFFLINE="1")
    at_desk(hub, tmp_path, talk, HF_ENDPOINT="ftp://x")
    at_desk(hub, tmp_path, talk, HF_ENDPOINT="http://127.0.0.1:1")
    assert [
        words in text for words, text in zip(("HF_HUB_OFFLINE", "HF_ENDPOINT", "cannot be reached"), said, strict=True)
    ]
    assert "127.0.0.1:1 cannot be reached" in said[2]
