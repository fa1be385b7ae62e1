"""Files of a head's models on their way to a node, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from claracore.core.cluster.part import Fetch, Part, SharedFile, SharedModel
from claracore.core.cluster.wanted import HeadDoor
from claracore.errors import DiskFull
from claracore.host.cluster.fetching import Fetching
from claracore.host.library import download_files
from claracore.host.library.download import Download, DownloadStatus, DownloadStore
from claracore.host.library.downloads import Downloads, NoListener
from claracore.host.library.hub_access import HubAccess
from claracore.host.library.hub_tokens import HubTokens
from claracore.host.store.downloads import DownloadStoreOnDisk
from fakes.fake_head import FakeHead, fake_head, shared
from fakes.fake_hub import Fault, fake_hub

BODY = bytes(range(256)) * 8192  # 2 MiB
OTHER = BODY[::-1]
NAME = "org/qwen/qwen.gguf"
HALF = 1_200_000


@dataclass
class Folders:
    folder: Path
    more: tuple[Path, ...] = ()

    @property
    def folders(self) -> tuple[Path, ...]:
        return (self.folder, *self.more)


class AtNode(NoListener):
    """A node's downloads and what it fetches for its head; pauses are over at once."""

    def __init__(self, folder: Path, head: FakeHead | None, environ: dict[str, str], store: DownloadStore) -> None:
        self.head = head
        self.shelves = Folders(folder / "models")
        access = HubAccess(environ, HubTokens(None, {}), wait=self.wait)
        self.downloads = Downloads(access, store, self)
        self.fetching = Fetching(self.downloads, self.shelves)
        self.fetching.on_files = self.came
        self.fetching.door = lambda: head.door if head is not None else None
        self.ready: list[tuple[str, ...]] = []
        self.on_pause: Callable[[], None] = lambda: None
        self._news = asyncio.Event()

    async def wait(self, _seconds: float) -> None:
        self.on_pause()
        await asyncio.sleep(0)

    async def came(self) -> None:
        self.ready.append(tuple(model.name for model in self.fetching.models if model.is_ready))
        self._news.set()

    def changed(self, download: Download) -> None:
        self.fetching.changed(download)
        self._news.set()

    async def complete(self, download: Download) -> None:
        await self.fetching.arrived(download)

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not wanted():
                self._news.clear()
                await self._news.wait()

    async def take(self, *models: SharedModel) -> None:
        await self.fetching.take(models)

    async def until_ready(self, *names: str) -> None:
        await self.until(lambda: bool(self.ready) and self.ready[-1] == names)

    def files(self) -> list[str]:
        top = self.shelves.folder
        return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())

    @property
    def download(self) -> Download:
        [found] = self.downloads.all
        return found

    def why(self) -> str:
        return "; ".join(model.why for model in self.fetching.not_ready())


def at_node(
    folder: Path,
    head: FakeHead | None,
    talk: Callable[[AtNode], Coroutine[Any, Any, None]],
    *,
    environ: dict[str, str] | None = None,
    store: DownloadStore | None = None,
) -> AtNode:
    async def main() -> AtNode:
        node = AtNode(folder, head, environ or {}, store or DownloadStore())
        try:
            await talk(node)
        finally:
            await node.fetching.close()
            await node.downloads.close()
        return node

    return asyncio.run(main())


@pytest.fixture
def head() -> Iterator[FakeHead]:
    with fake_head({NAME: BODY}) as head:
        yield head


def qwen(*files: SharedFile, name: str = "qwen", fetch: Fetch = Fetch.HEAD) -> SharedModel:
    return SharedModel(name, {"cmd": "serve"}, files or (shared(NAME, BODY),), fetch)


async def held(fault: Fault) -> None:
    assert await asyncio.to_thread(fault.held.wait, 30)


def test_a_missing_file_comes_from_the_head_under_its_name_there(head: FakeHead, tmp_path: Path) -> None:
    async def talk(node: AtNode) -> None:
        await node.take(qwen())
        assert "fetching org/qwen/qwen.gguf 0 %" in node.why()
        await node.until_ready("qwen")
        assert node.fetching.models[0].paths == {NAME: str(tmp_path / "models" / NAME)}
        assert [file.is_here for file in node.fetching.files()] == [True]
        assert not node.fetching.not_ready()
        await node.take(qwen())  # nothing happens for what is here

    assert at_node(tmp_path, head, talk).files() == [NAME]
    assert (tmp_path / "models" / NAME).read_bytes() == BODY
    assert head.ranges() == [None]


def test_a_file_that_is_here_under_another_name_is_not_fetched(head: FakeHead, tmp_path: Path) -> None:
    nas = tmp_path / "nas"
    nas.mkdir()
    (nas / "called-otherwise.gguf").write_bytes(BODY)
    (nas / "as-large.gguf").write_bytes(OTHER)

    async def talk(node: AtNode) -> None:
        node.shelves.more = (nas,)
        await node.take(qwen(fetch=Fetch.NO))
        assert node.fetching.models[0].paths == {NAME: str(nas / "called-otherwise.gguf")}

    at_node(tmp_path, head, talk)
    assert head.seen == []


def test_the_same_path_on_a_network_disk_needs_nothing(head: FakeHead, tmp_path: Path) -> None:
    nas = tmp_path / "nas/deep/qwen.gguf"
    nas.parent.mkdir(parents=True)
    nas.write_bytes(BODY)

    async def talk(node: AtNode) -> None:
        await node.take(qwen(replace(shared(NAME, BODY), path=str(nas))))
        assert node.fetching.models[0].paths == {NAME: str(nas)}
        # What is there is another file: then it is fetched.
        nas.write_bytes(OTHER)
        await node.take(qwen(replace(shared(NAME, BODY), path=str(nas))))
        await node.until_ready("qwen")
        assert node.fetching.models[0].paths == {NAME: str(tmp_path / "models" / NAME)}

    at_node(tmp_path, head, talk)


@pytest.mark.parametrize("path", ["/nas/\0", "/" + "a" * 5000, "relative", "/proc/self/mem", "/"])
def test_a_path_of_the_head_that_is_none_here(head: FakeHead, tmp_path: Path, path: str) -> None:
    async def talk(node: AtNode) -> None:
        model = qwen(replace(shared(NAME, BODY), path=path), fetch=Fetch.NO)
        assert node.fetching.paths_of(Part((model,))) == {NAME: str(tmp_path / "models" / NAME)}
        await node.take(model)
        assert "fetch: no" in node.why()

    at_node(tmp_path, head, talk)


def test_without_leave_to_fetch_it_is_said_why(head: FakeHead, tmp_path: Path) -> None:
    async def talk(node: AtNode) -> None:
        await node.take(qwen(fetch=Fetch.NO))
        assert node.why() == f"{NAME} is not here, and is not fetched (fetch: no)"
        assert node.downloads.all == []

    at_node(tmp_path, head, talk)


def test_two_models_want_the_same_file_at_once(head: FakeHead, tmp_path: Path) -> None:
    projector = shared("org/qwen/mmproj.gguf", OTHER)
    head.files["org/qwen/mmproj.gguf"] = OTHER

    async def talk(node: AtNode) -> None:
        await node.take(qwen(), qwen(shared(NAME, BODY), projector, name="eye"))
        await node.until_ready("qwen", "eye")

    assert at_node(tmp_path, head, talk).files() == ["org/qwen/mmproj.gguf", NAME]
    assert len(head.ranges()) == 2


def test_shards_come_all(head: FakeHead, tmp_path: Path) -> None:
    bodies = {f"m-0000{n}-of-00003.gguf": bytes([n]) * 90_000 for n in (1, 2, 3)}
    head.files |= bodies

    async def talk(node: AtNode) -> None:
        await node.take(qwen(*(shared(name, body) for name, body in bodies.items())))
        await node.until_ready("qwen")

    assert at_node(tmp_path, head, talk).files() == sorted(bodies)


def test_the_head_goes_away_in_the_middle_and_comes_back(tmp_path: Path) -> None:
    with fake_head({NAME: BODY}) as head:
        head.faults.append(Fault(cut_after=HALF))
        head.faults += [Fault(status=503) for _ in range(3)]

        async def talk(node: AtNode) -> None:
            await node.take(qwen())
            await node.until(lambda: node.download.status is DownloadStatus.FAILED)
            assert node.files() == [f"{NAME}.part"]
            assert "503" in node.why()
            node.fetching.heard_of_head()
            await node.until_ready("qwen")

        at_node(tmp_path, head, talk)
        assert head.ranges()[-1] == f"bytes={HALF}-"
    assert (tmp_path / "models" / NAME).read_bytes() == BODY


def test_a_head_that_is_heard_of_all_the_time_is_not_pressed(head: FakeHead, tmp_path: Path) -> None:
    head.faults += [Fault(status=503) for _ in range(9)]

    async def talk(node: AtNode) -> None:
        node.fetching.heard_of_head()
        await node.take(qwen())
        await node.until(lambda: node.download.status is DownloadStatus.FAILED)
        node.fetching.heard_of_head()
        assert node.download.status is DownloadStatus.FAILED
        assert not node.fetching._tasks

    at_node(tmp_path, head, talk)


def test_killed_in_the_middle_the_node_goes_on_where_it_was(head: FakeHead, tmp_path: Path) -> None:
    fault = Fault(hold_after=HALF)
    head.faults.append(fault)
    store = DownloadStoreOnDisk(tmp_path / "state", "key")

    async def first(node: AtNode) -> None:
        await node.take(qwen())
        await held(fault)
        await node.until(lambda: node.download.done > 0)

    async def second(node: AtNode) -> None:
        assert node.download.shared
        node.downloads.begin()  # before the head is known again
        await node.take(qwen())
        await node.until_ready("qwen")

    assert at_node(tmp_path, head, first, store=store).files() == [f"{NAME}.part"]
    fault.release.set()
    assert at_node(tmp_path, head, second, store=DownloadStoreOnDisk(tmp_path / "state", "key")).files() == [NAME]
    assert (head.ranges()[-1] or "").startswith("bytes=")
    assert (tmp_path / "models" / NAME).read_bytes() == BODY


def test_a_file_that_changes_in_the_middle_is_begun_anew(head: FakeHead, tmp_path: Path) -> None:
    changed = BODY[:HALF] + OTHER[HALF:]
    head.faults.append(Fault(cut_after=HALF))

    async def talk(node: AtNode) -> None:
        node.on_pause = lambda: head.files.update({NAME: changed})
        await node.take(qwen())
        await node.until_ready("qwen")

    at_node(tmp_path, head, talk)
    asked = [one.headers for one in head.seen if "range" in one.headers]
    assert asked[-1]["if-range"] == f'"{hashlib.md5(BODY, usedforsecurity=False).hexdigest()}"'
    assert (tmp_path / "models" / NAME).read_bytes() == changed


def test_a_file_of_another_version_is_not_kept(head: FakeHead, tmp_path: Path) -> None:
    head.files[NAME] = OTHER

    async def talk(node: AtNode) -> None:
        await node.take(qwen())
        await node.until(lambda: node.download.status is DownloadStatus.FAILED)
        assert "another file by now" in node.why()
        # The head has announced the new one meanwhile.
        await node.take(qwen(shared(NAME, OTHER)))
        await node.until_ready("qwen")
        # And once more: what was fetched for it before gives way.
        head.files[NAME] = BODY + b"longer"
        await node.take(qwen(shared(NAME, BODY + b"longer")))
        await node.until(lambda: node.fetching.models[0].is_ready)

    assert at_node(tmp_path, head, talk).files() == [NAME]
    assert (tmp_path / "models" / NAME).read_bytes() == BODY + b"longer"


def test_a_file_of_a_persons_own_is_left_alone(head: FakeHead, tmp_path: Path) -> None:
    own = tmp_path / "models" / NAME
    own.parent.mkdir(parents=True)
    own.write_bytes(OTHER)

    async def talk(node: AtNode) -> None:
        await node.take(qwen())
        await node.until(lambda: node.download.status is DownloadStatus.FAILED)
        assert "is another file" in node.why()

    at_node(tmp_path, head, talk)
    assert own.read_bytes() == OTHER


@pytest.mark.parametrize("known", [True, False])
def test_a_wrong_checksum_is_not_taken(head: FakeHead, tmp_path: Path, *, known: bool) -> None:
    head.wrong_checksum = True
    file = shared(NAME, BODY, sha256=hashlib.sha256(b"x").hexdigest() if known else "")

    async def talk(node: AtNode) -> None:
        await node.take(qwen(file))
        await node.until(lambda: node.download.status is DownloadStatus.FAILED)
        assert "are not those that were announced" in node.why()
        node.fetching.heard_of_head()  # fetching all of it again would not help
        assert not node.fetching._tasks

    assert at_node(tmp_path, head, talk).files() == []


def test_a_full_disk_is_said_and_room_is_used(head: FakeHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [1000]
    monkeypatch.setattr(download_files, "free_at", lambda _folder: free[0])

    async def talk(node: AtNode) -> None:
        await node.take(qwen())
        assert "make room" in node.why()
        free[0] = 1 << 40
        node.fetching.heard_of_head()
        await node.until_ready("qwen")

    at_node(tmp_path, head, talk)
    assert DiskFull.code == "disk_full"


def test_a_model_that_is_taken_out_is_not_fetched_any_more(head: FakeHead, tmp_path: Path) -> None:
    fault = Fault(hold_after=HALF)
    head.faults.append(fault)
    pulled = tmp_path / "models" / "mine.gguf"

    async def talk(node: AtNode) -> None:
        await node.take(qwen())
        await held(fault)
        await node.until(lambda: node.download.done > 0)
        pulled.write_bytes(b"mine")
        await node.take()
        assert node.downloads.all == []
        assert node.fetching.files() == ()

    assert at_node(tmp_path, head, talk).files() == ["mine.gguf"]
    fault.release.set()


def test_what_a_person_has_paused_stays_paused(head: FakeHead, tmp_path: Path) -> None:
    fault = Fault(hold_after=HALF)
    head.faults.append(fault)

    async def talk(node: AtNode) -> None:
        await node.take(qwen())
        await held(fault)
        node.downloads.pause(node.download.id)
        await node.downloads.idle()
        await node.take(qwen())
        assert node.download.status is DownloadStatus.PAUSED
        assert "paused" in node.why()

    at_node(tmp_path, head, talk)
    fault.release.set()


def test_a_node_that_the_head_does_not_know_is_told_so(head: FakeHead, tmp_path: Path) -> None:
    async def talk(node: AtNode) -> None:
        head.secret = "another"
        node.fetching.door = lambda: HeadDoor(head.url, "", "s" * 32)
        await node.take(qwen())
        await node.until(lambda: node.download.status is DownloadStatus.FAILED)
        assert "let it join again" in node.why()

    at_node(tmp_path, head, talk)


def test_from_the_hub_as_pull_would(tmp_path: Path) -> None:
    with fake_hub(repos={"org/qwen-GGUF": {"Q4/qwen.gguf": BODY}}) as hub:
        file = shared("mine/qwen.gguf", BODY, source="org/qwen-GGUF/Q4/qwen.gguf")

        async def talk(node: AtNode) -> None:
            await node.take(qwen(file, fetch=Fetch.HUB))
            await node.until_ready("qwen")
            gone = shared("mine/other.gguf", BODY + b"x", source="org/qwen-GGUF/Q4/qwen.gguf")
            await node.take(qwen(gone, fetch=Fetch.HUB))
            assert "the hub has no org/qwen-GGUF/Q4/qwen.gguf any more" in node.why()

        assert at_node(tmp_path, None, talk, environ=hub.environ()).files() == ["mine/qwen.gguf"]
        assert hub.asked("cdn")
