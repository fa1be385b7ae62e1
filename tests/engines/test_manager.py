"""A build is installed from releases as a whole or not at all, whatever they and the machine do."""

from __future__ import annotations

import asyncio
import errno
import functools
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from claracore.core.engines.choose import NoBuild
from claracore.core.engines.installed import InstalledEngine, NoSuchEngine
from claracore.core.engines.job import EngineJob, EngineStage, EngineWish
from claracore.core.engines.machine import EngineMachine
from claracore.core.engines.release import WrongRelease
from claracore.core.engines.sources import LLAMA_CPP
from claracore.core.engines.updating import is_older
from claracore.errors import BadRequest, ClaraCoreError, Conflict, DiskFull
from claracore.host.engines import manager as managing
from claracore.host.engines.installed import EngineFolders
from claracore.host.engines.jobs import EngineJobs
from claracore.host.engines.manager import EngineManager, NoDigest
from claracore.host.engines.members import HostileArchive
from claracore.host.engines.releases import GITHUB, NoSuchRelease, RateLimited, ReleasesClient, token_for
from claracore.host.engines.trial import DoesNotRun
from claracore.host.library.hub_errors import HubUnreachable, TransientFailure
from claracore.host.library.partial import WrongBytes
from engines.releases import Stand, build, script, stand_in, tar_gz

LINUX = EngineMachine("linux", "x64", "glibc", (2, 39))
CPU = "llama-b{}-bin-ubuntu-x64.tar.gz"


@pytest.fixture
def stand() -> Iterator[Stand]:
    with stand_in() as running:
        yield running


@pytest.fixture
def folders(tmp_path: Path) -> EngineFolders:
    return EngineFolders(tmp_path / "engines")


@pytest.fixture
def manager(stand: Stand, folders: EngineFolders) -> EngineManager:
    return EngineManager(folders, {"CLARACORE_RELEASES_URL": stand.url}, lambda: LINUX)


def job(**wish: Any) -> EngineJob:
    return EngineJob("j", "install", EngineWish(**wish))


def in_a_loop(story: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test that waits."""

    @functools.wraps(story)
    def test(*args: Any, **named: Any) -> None:
        asyncio.run(story(*args, **named))

    return test


def nothing(_job: EngineJob) -> None:
    pass


def install(manager: EngineManager, **wish: Any) -> InstalledEngine:
    return asyncio.run(manager.install(job(**wish), nothing))


def names(folders: EngineFolders) -> list[str]:
    """What is in the folder, without what it keeps for itself."""
    return sorted(path.name for path in folders.root.iterdir() if not path.name.startswith("."))


def leftovers(folders: EngineFolders) -> list[str]:
    return [path.name for path in folders.root.iterdir() if path.name.startswith((".new-", ".gone-"))]


def test_a_build_is_installed_and_in_use(manager: EngineManager, stand: Stand, folders: EngineFolders) -> None:
    stand.add("b1000", build(1000))
    stages: list[str] = []
    asked = job(version="nightly")

    def changed(now: EngineJob) -> None:
        if now.stage not in stages:
            stages.append(now.stage)

    engine = asyncio.run(manager.install(asked, changed))
    assert engine.id == "llama.cpp-b1000-cpu"
    assert engine.says == "1000 (abc1000)"
    assert engine.reason == "no graphics device was found"
    assert names(folders) == ["llama.cpp-b1000-cpu", "use.json"]
    assert folders.in_use("llama.cpp") == engine
    assert os.access(folders.program(engine), os.X_OK)
    assert (folders.root / engine.id / "libx.so").is_symlink()
    assert stages == ["asking", "downloading", "unpacking", "trying"]
    assert asked.done_bytes == asked.total_bytes == len(build(1000)[CPU.format(1000)])
    assert not (folders.root / ".downloads" / "llama.cpp").exists()


def test_the_latest_release_names_the_build(manager: EngineManager, stand: Stand) -> None:
    """`/releases/latest` is a vX.Y.Z without builds; builds are prereleases."""
    stand.add("b1000", build(1000))
    stand.add("v0.6.0", {"nightly-tag.txt": b"b1000\n"}, prerelease=False)
    stand.add("b1001", build(1001))
    stand.latest = "v0.6.0"
    assert install(manager).version == "b1000"
    assert install(manager, version="v0.6.0").version == "b1000"
    assert install(manager, version="nightly").version == "b1001"
    assert install(manager, version="b1001").version == "b1001"


def test_a_project_that_marks_no_release_as_the_latest(manager: EngineManager, stand: Stand) -> None:
    stand.add("b1000", build(1000))
    assert install(manager).version == "b1000"


def test_builds_are_looked_for_on_further_pages(manager: EngineManager, stand: Stand) -> None:
    stand.add("b1000", build(1000))
    for number in range(3):
        stand.add(f"v0.{number}.0", {"nightly-tag.txt": b"b1000"})
    assert install(manager, version="nightly").version == "b1000"
    assert [path for path in stand.paths() if "page=2" in path]


def test_who_asks_says_its_name_and_a_token_goes_to_its_place_only(stand: Stand, folders: EngineFolders) -> None:
    stand.add("b1000", build(1000))
    environ = {"CLARACORE_RELEASES_URL": stand.url, "GH_ENTERPRISE_TOKEN": "secret", "GITHUB_TOKEN": "of-github"}
    install(EngineManager(folders, environ, lambda: LINUX), version="b1000")
    assert all(headers["user-agent"].startswith("claracore/") for _path, headers in stand.asked)
    sent = {path.split("/")[1]: headers.get("authorization") for path, headers in stand.asked}
    # The address of a file is at the same host here; behind its redirect (localhost) nobody gets it.
    assert sent["repos"] == "Bearer secret"
    assert sent["storage"] is None
    assert token_for(GITHUB, {"GITHUB_TOKEN": "of-github"}) is not None
    assert token_for(GITHUB, {"GH_ENTERPRISE_TOKEN": "secret"}) is None
    assert token_for(GITHUB, {"GITHUB_TOKEN": "two words"}) is None


def test_several_stand_side_by_side_and_use_switches(
    manager: EngineManager, stand: Stand, folders: EngineFolders
) -> None:
    stand.add("b1000", build(1000))
    stand.add("b1001", build(1001))
    first, second = install(manager, version="b1000"), install(manager, version="b1001")
    assert folders.in_use("llama.cpp") == first
    assert manager.use("b1001") == second
    assert folders.in_use("llama.cpp") == second
    assert folders.use().previous == {"llama.cpp": first.id}
    third = stand.add("b1002", build(1002))
    assert install(manager, version=third.tag, use=True) == folders.in_use("llama.cpp")


def test_what_is_in_use_cannot_be_removed(manager: EngineManager, stand: Stand, folders: EngineFolders) -> None:
    stand.add("b1000", build(1000))
    stand.add("b1001", build(1001))
    first, second = install(manager, version="b1000"), install(manager, version="b1001")
    with pytest.raises(Conflict, match="is in use"):
        manager.remove(first.id)
    assert manager.remove("b1001") == second
    assert folders.engines() == [first]
    assert leftovers(folders) == []
    with pytest.raises(NoSuchEngine, match=r"no installed engine is called 'b1001'; there are llama\.cpp-b1000-cpu"):
        manager.remove("b1001")


def test_an_id_that_leads_elsewhere_is_none(manager: EngineManager, folders: EngineFolders, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    for text in ("../precious", str(tmp_path / "precious"), "", ".", ".downloads", "x" * 5000, "a\0b"):
        with pytest.raises(NoSuchEngine):
            manager.remove(text)
        with pytest.raises(NoSuchEngine):
            manager.use(text)
    assert (tmp_path / "precious").exists()
    assert folders.engines() == []


def test_a_damaged_use_file_is_no_use(manager: EngineManager, stand: Stand, folders: EngineFolders) -> None:
    stand.add("b1000", build(1000))
    engine = install(manager, version="b1000")
    for text in ("", "[1]", '{"current": 5}', '{"current": {"llama.cpp": "../../etc"}}', "\0" * 100):
        (folders.root / "use.json").write_text(text)
        assert folders.in_use("llama.cpp") is None
    assert manager.use(engine.id) == folders.in_use("llama.cpp")
    (folders.root / engine.id / "engine.json").write_text('{"name": "x"}')
    assert folders.engines() == []
    assert install(manager, version="b1000").id == engine.id, "what is damaged is made anew"


def test_update_takes_the_newest_and_keeps_the_one_before(
    manager: EngineManager, stand: Stand, folders: EngineFolders
) -> None:
    with pytest.raises(Conflict, match="engines install"):
        asyncio.run(manager.update(job(), nothing))
    stand.add("b1000", build(1000))
    first = install(manager)
    stand.add("b1001", build(1001))
    second = asyncio.run(manager.update(job(), nothing))
    assert folders.in_use("llama.cpp") == second
    assert (second.version, second.backend) == ("b1001", "cpu")
    assert folders.use().previous == {"llama.cpp": first.id}
    assert asyncio.run(manager.update(job(), nothing)) == second, "nothing newer: nothing happens"


@pytest.mark.parametrize(
    ("tag", "present", "older"),
    [
        ("b999", "b1000", True),
        ("b1000", "b1000", False),
        ("b1001", "b1000", False),
        ("v0.9.0", "v0.10.0", True),
        ("v0.9.0", "b1000", False),
        ("nightly", "b1000", False),
    ],
)
def test_which_tag_is_older(tag: str, present: str, *, older: bool) -> None:
    assert is_older(tag, present) is older


def test_update_does_not_go_back_unasked(manager: EngineManager, stand: Stand, folders: EngineFolders) -> None:
    stand.add("b1000", build(1000))
    stand.latest = "b1000"
    stand.add("b1001", build(1001))
    present = install(manager, version="b1001")
    asked = job()
    assert asyncio.run(manager.update(asked, nothing)) == present
    assert asked.note == "it is newer than the project's latest release (b1000)"
    assert folders.engines() == [present]
    assert asyncio.run(manager.update(job(version="b1000"), nothing)).version == "b1000", "who names it gets it"


def test_what_lies_where_a_download_goes_is_no_hindrance(
    manager: EngineManager, stand: Stand, folders: EngineFolders
) -> None:
    stand.add("b1000", build(1000))
    place = folders.root / ".downloads" / "llama.cpp" / "b1000"
    place.mkdir(parents=True)
    (place / CPU.format(1000)).write_bytes(b"of another release with this tag")
    assert install(manager, version="b1000").says == "1000 (abc1000)"


def test_a_wrong_digest(manager: EngineManager, stand: Stand, folders: EngineFolders) -> None:
    stand.add("b1000", build(1000), digests={CPU.format(1000): "sha256:" + "0" * 64})
    with pytest.raises(WrongBytes, match="not those that were announced"):
        install(manager, version="b1000")
    assert names(folders) == []


@pytest.mark.parametrize("digest", [None, "", "md5:abc", "sha256:xyz"])
def test_no_digest(digest: str | None, manager: EngineManager, stand: Stand, folders: EngineFolders) -> None:
    stand.add("b1000", build(1000), digests={CPU.format(1000): digest})
    with pytest.raises(NoDigest, match="names no SHA-256"):
        install(manager, version="b1000")
    assert names(folders) == []
    assert not [path for path in stand.paths() if "/storage/" in path]


@pytest.mark.parametrize("lie", [10, 10_000_000])
def test_a_place_that_lies_about_sizes(lie: int, manager: EngineManager, stand: Stand, folders: EngineFolders) -> None:
    stand.add("b1000", build(1000), sizes={CPU.format(1000): lie})
    with pytest.raises((HubUnreachable, WrongBytes)):
        install(manager, version="b1000")
    assert names(folders) == []


def test_a_download_that_breaks_off_goes_on_where_it_was(
    manager: EngineManager, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_seconds: float) -> None:
        pass

    monkeypatch.setattr(asyncio, "sleep", at_once)
    stand.add("b1000", build(1000, big=os.urandom(300_000)))
    stand.cut_after, stand.cuts = 100_000, 2
    assert install(manager, version="b1000").version == "b1000"
    ranges = [headers.get("range") for path, headers in stand.asked if "/storage/" in path]
    assert ranges[0] is None
    assert len(ranges) == 3
    assert all(asked is not None and asked != "bytes=0-" for asked in ranges[1:])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"../evil": b"x", "llama-server": script(1)}, "leads out"),
        ({"llama-server": script(1), "l": "../../../etc/passwd"}, "no file beside it"),
        ({"something": b"else"}, "the archive has no llama-server"),
    ],
)
def test_an_archive_that_is_none(
    files: dict[str, Any], words: str, manager: EngineManager, stand: Stand, folders: EngineFolders
) -> None:
    stand.add("b1000", {CPU.format(1000): tar_gz(files)})
    with pytest.raises((HostileArchive, DoesNotRun)) as caught:
        install(manager, version="b1000")
    assert words in caught.value.message
    assert names(folders) == leftovers(folders) == []
    assert not list((folders.root / ".downloads").rglob("*.gz")), "it does not stay on the disk"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (b"#!/bin/sh\nkill -ILL $$\n", "instructions that this one does not have"),
        (b"#!/bin/sh\nkill -SEGV $$\n", "was killed by SIGSEGV"),
        (b"#!/bin/sh\necho broken >&2; exit 3\n", "exit code 3: broken"),
        (b"#!/nonexistent/python\n", "cannot be started"),
        (b"\x7fELFnot really", "cannot be started"),
        (b'#!/bin/sh\n[ "$1" = --version ] && exit 0\necho no help; exit 1\n', "--help ended with exit code 1"),
    ],
)
def test_a_build_that_does_not_run_is_not_kept(
    program: bytes, words: str, manager: EngineManager, stand: Stand, folders: EngineFolders
) -> None:
    stand.add("b1000", build(1000))
    first = install(manager, version="b1000")
    stand.add("b1001", {CPU.format(1001): tar_gz({"llama-server": program})})
    with pytest.raises(DoesNotRun) as caught:
        asyncio.run(manager.update(job(version="b1001"), nothing))
    assert words in caught.value.message
    assert folders.engines() == [first]
    assert folders.in_use("llama.cpp") == first
    assert leftovers(folders) == []


def test_missing_libraries_are_named(
    manager: EngineManager, stand: Stand, folders: EngineFolders, tmp_path: Path
) -> None:
    """A real program, of which two libraries are not in the archive."""
    made = tmp_path / "made"
    made.mkdir()
    for name in ("one", "two"):
        (made / f"{name}.c").write_text(f"int {name}(void) {{ return 0; }}")
        compiled("-shared", "-o", made / f"lib{name}.so", made / f"{name}.c")
    (made / "main.c").write_text("int one(void); int two(void); int main(void) { return one() + two(); }")
    compiled("-o", made / "llama-server", made / "main.c", f"-L{made}", "-lone", "-ltwo")
    stand.add("b1000", {CPU.format(1000): tar_gz({"llama-server": (made / "llama-server").read_bytes()})})
    with pytest.raises(DoesNotRun, match=r"it needs libone\.so, libtwo\.so, which this system lacks"):
        install(manager, version="b1000")
    assert names(folders) == []


def compiled(*words: object) -> None:
    if subprocess.run(["which", "cc"], capture_output=True, check=False).returncode != 0:
        pytest.skip("there is no C compiler")
    subprocess.run(["cc", *map(str, words)], check=True)


def test_no_build_for_this_machine(stand: Stand, folders: EngineFolders) -> None:
    stand.add("b1000", build(1000))
    manager = EngineManager(
        folders, {"CLARACORE_RELEASES_URL": stand.url}, lambda: replace(LINUX, c_library="musl", c_library_version=())
    )
    with pytest.raises(NoBuild, match="needs glibc, and this system has musl"):
        install(manager, version="b1000")


def test_a_rate_limit_says_when_it_ends(manager: EngineManager, stand: Stand) -> None:
    stand.add("b1000", build(1000))
    stand.limited_until = time.time() + 90
    with pytest.raises(RateLimited, match=r"wants no more requests until \d\d:\d\d:\d\d") as caught:
        install(manager)
    assert caught.value.retry_after_seconds is not None
    assert 80 <= caught.value.retry_after_seconds <= 91
    assert "with a token (GITHUB_TOKEN)" in caught.value.message


def test_no_network(folders: EngineFolders) -> None:
    manager = EngineManager(folders, {"CLARACORE_RELEASES_URL": "http://127.0.0.1:1"}, lambda: LINUX)
    with pytest.raises(TransientFailure, match=r"127.0.0.1:1 cannot be reached"):
        install(manager)


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://", "http://user:pw@x/"])
def test_an_address_that_is_none(url: str, folders: EngineFolders) -> None:
    with pytest.raises(BadRequest, match="CLARACORE_RELEASES_URL"):
        install(EngineManager(folders, {"CLARACORE_RELEASES_URL": url}, lambda: LINUX))


@pytest.mark.parametrize(
    "wish",
    [{"version": "../x"}, {"version": "b 1"}, {"version": "b1/../../x"}, {"backend": "gpu"}, {"name": "ollama"}],
)
def test_a_wish_that_is_none(wish: dict[str, str], manager: EngineManager, stand: Stand) -> None:
    stand.add("b1000", build(1000))
    with pytest.raises(BadRequest):
        install(manager, **wish)


def test_a_release_that_is_not_there(manager: EngineManager, stand: Stand) -> None:
    with pytest.raises(NoSuchRelease, match=r"no release b7 of ggml-org/llama\.cpp at 127"):
        install(manager, version="b7")
    stand.add("v0.6.0", {"nightly-tag.txt": b"rm -rf /"})
    with pytest.raises(WrongRelease, match="names no build"):
        install(manager, version="v0.6.0")
    stand.add("v0.7.0", {"nightly-tag.txt": b"b" + b"1" * 1000})
    with pytest.raises(WrongRelease, match="longer than a tag"):
        install(manager, version="v0.7.0")


def test_a_full_disk(
    manager: EngineManager, stand: Stand, folders: EngineFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.add("b1000", build(1000))
    monkeypatch.setattr(managing, "free_at", lambda _folder: 1000)
    with pytest.raises(DiskFull, match="are to be fetched"):
        install(manager, version="b1000")
    monkeypatch.undo()
    monkeypatch.setattr(folders, "put", no_space)
    with pytest.raises(DiskFull, match="No space left"):
        install(manager, version="b1000")
    assert names(folders) == leftovers(folders) == []


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("root", [None, Path("/dev/null/engines"), Path("/proc/engines")])
def test_nowhere_to_install(root: Path | None, stand: Stand) -> None:
    folders = EngineFolders(root)
    stand.add("b1000", build(1000))
    with pytest.raises(ClaraCoreError):
        install(EngineManager(folders, {"CLARACORE_RELEASES_URL": stand.url}, lambda: LINUX))
    assert folders.engines() == []
    assert folders.in_use("llama.cpp") is None


@in_a_loop
async def test_two_who_install_wait_for_each_other(
    manager: EngineManager, stand: Stand, folders: EngineFolders
) -> None:
    stand.add("b1000", build(1000))
    stand.held = threading.Event()
    waits = asyncio.Event()

    def look(now: EngineJob) -> None:
        if now.stage is EngineStage.WAITING:
            waits.set()

    first = asyncio.create_task(manager.install(job(version="b1000"), nothing))
    await asyncio.to_thread(stand.reached.wait, 10)
    second = asyncio.create_task(manager.install(job(version="b1000"), look))
    await asyncio.wait_for(waits.wait(), 10)
    stand.held.set()
    assert (await first).id == (await second).id
    assert len([path for path in stand.paths() if "/storage/" in path]) == 1
    assert names(folders) == ["llama.cpp-b1000-cpu", "use.json"]


@in_a_loop
async def test_a_job_can_be_cancelled_and_goes_on_later(
    manager: EngineManager, stand: Stand, folders: EngineFolders
) -> None:
    stand.add("b1000", build(1000, big=os.urandom(3_000_000)))
    stand.held = threading.Event()
    jobs = EngineJobs(manager)
    begun = jobs.begin("install", EngineWish(version="b1000"))
    assert jobs.begin("install", EngineWish(version="b1000")) is begun, "the same is not done twice"
    await asyncio.to_thread(stand.reached.wait, 10)
    jobs.cancel(begun.id)
    assert (await jobs.ended(begun.id)).stage is EngineStage.CANCELLED
    with pytest.raises(Conflict):
        jobs.cancel(begun.id)
    assert names(folders) == []
    stand.held.set()
    again = jobs.begin("install", EngineWish(version="b1000"))
    assert (await jobs.ended(again.id)).engine == "llama.cpp-b1000-cpu"
    failed = jobs.begin("install", EngineWish(version="b7"))
    await jobs.ended(failed.id)
    assert (failed.stage, failed.error_code) == (EngineStage.FAILED, "no_such_release")
    await jobs.close()


@in_a_loop
async def test_a_job_has_finished_when_the_next_start_takes_what_it_installed(
    manager: EngineManager, stand: Stand
) -> None:
    stand.add("b1000", build(1000))
    told, gate = asyncio.Event(), asyncio.Event()
    seen: list[EngineStage] = []

    async def in_force() -> None:
        told.set()
        await gate.wait()

    jobs = EngineJobs(manager, lambda job: seen.append(job.stage), in_force)
    begun = jobs.begin("install", EngineWish(version="b1000"))
    await told.wait()
    assert begun.stage is EngineStage.TRYING
    with pytest.raises(Conflict, match="b1000-cpu is installed"):
        jobs.cancel(begun.id)
    assert EngineStage.FINISHED not in seen
    gate.set()
    assert (await jobs.ended(begun.id)).stage is EngineStage.FINISHED
    await jobs.close()


KILLED = """
import asyncio, sys
from pathlib import Path
from claracore.core.engines.job import EngineJob, EngineWish
from claracore.core.engines.machine import EngineMachine
from claracore.host.engines import manager as managing
from claracore.host.engines.installed import EngineFolders
if sys.argv[3] == "trying":
    def hang(*_):
        print("there", flush=True)
        sys.stdin.read()
    managing.try_out = hang
manager = managing.EngineManager(EngineFolders(Path(sys.argv[1])), {"CLARACORE_RELEASES_URL": sys.argv[2]},
                                 lambda: EngineMachine("linux", "x64", "glibc", (2, 39)))
def changed(job):
    if job.stage == sys.argv[3] == "downloading" and job.done_bytes:
        print("there", flush=True)
asyncio.run(manager.install(EngineJob("j", "install", EngineWish(version="b1000")), changed))
"""


@pytest.mark.parametrize("when", ["downloading", "trying"])
def test_a_process_that_is_killed_leaves_nothing_half_installed(
    when: str, manager: EngineManager, stand: Stand, folders: EngineFolders
) -> None:
    stand.add("b1000", build(1000, big=os.urandom(3_000_000)))
    stand.held = threading.Event() if when == "downloading" else None
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folders.root), stand.url, when],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"there\n"
        killed.send_signal(signal.SIGKILL)
    assert folders.engines() == []
    assert names(folders) == []
    assert bool(leftovers(folders)) == (when == "trying")
    if stand.held is not None:
        stand.held.set()
    assert install(manager, version="b1000").id == "llama.cpp-b1000-cpu"
    assert leftovers(folders) == []
    if when == "downloading":
        ranges = [headers.get("range") for path, headers in stand.asked if "/storage/" in path]
        assert ranges[-1] is not None, "it goes on where the killed one was"


@in_a_loop
async def test_answers_in_another_shape(stand: Stand) -> None:
    stand.add("b1000", build(1000))
    shapes: list[Any] = [{}, [], {"tag_name": 5, "assets": []}, {"tag_name": "../x", "assets": []}, "text", None]
    client = ReleasesClient({"CLARACORE_RELEASES_URL": stand.url})
    try:
        for shape in shapes:
            stand.view = lambda _release, shape=shape: shape  # type: ignore[method-assign, misc]
            with pytest.raises((WrongRelease, HubUnreachable)):
                await client.candidates(LLAMA_CPP, "b1000")
    finally:
        await client.aclose()


def test_the_hash_is_kept(manager: EngineManager, stand: Stand) -> None:
    files = build(1000)
    stand.add("b1000", files)
    assert install(manager, version="b1000").sha256 == (hashlib.sha256(files[CPU.format(1000)]).hexdigest(),)
