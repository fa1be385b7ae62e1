"""A real engine is killed in the middle of a save or a restore: that costs reading, and nothing is left of it.

The moment is certain: the kernel tells of the file, the engine is stopped at once, and killed if it has it open still.
On the embedded engine; on a llama-server too, where CLARACORE_LLAMA_SERVER names one (`make test-llama-server`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from claracore.host.conversations.folders import NAME, memory_base
from e2e.instance import WAIT_SECONDS, Instance, configured, instance, on_one_processor, until
from e2e.test_conversations_killed import kept, meanwhile, turn
from fakes.file_events import CREATED, OPENED, FileEvents
from fakes.ports import free_run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells by inotify")
LLAMA_SERVER = os.environ.get("CLARACORE_LLAMA_SERVER", "")
ENGINES = [f"{sys.executable} -m claracore engine", *([LLAMA_SERVER] if LLAMA_SERVER else [])]
TRIES = 60
APPLES = "apple: " + ", ".join(f"apple {number}" for number in range(1, 45))
"""10 MB of cache: written and read for several milliseconds."""


@dataclass
class Kept:
    """A ClaraCore with one model that has saved a conversation once, and the conversation."""

    served: Instance
    text: str
    tokens: int

    @property
    def folder(self) -> Path:
        (folder,) = (memory_base() / NAME / str(self.served.process.pid)).glob("*/")
        return folder

    @property
    def files(self) -> list[Path]:
        return list(self.folder.glob("*.state"))

    @property
    def pid(self) -> int | None:
        pid: int | None = self.served.running().get("one", {}).get("pid")
        return pid

    def goes_on(self) -> int:
        """Take a turn; return how many tokens did not have to be read."""
        self.text, cached = turn(self.served, self.text)
        return cached

    def unload(self) -> None:
        self.served.ask("POST", "/api/models/unload")

    def killed(self, what: int, act: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        """Kill the engine while it has a conversation's file open, which it touches because of `act`."""
        for _ in range(TRIES):
            with FileEvents(self.folder, what) as events, act():
                pid = self.pid
                assert pid is not None
                assert events.wait(".state", WAIT_SECONDS)
                os.kill(pid, signal.SIGSTOP)
                until(lambda pid=pid: psutil.Process(pid).status() == psutil.STATUS_STOPPED)  # type: ignore[misc]
                if has_open(pid, self.folder):
                    os.kill(pid, signal.SIGKILL)
                    return
                os.kill(pid, signal.SIGCONT)
        raise AssertionError("it was never caught in the middle")


def has_open(pid: int, folder: Path) -> bool:
    """Whether a process has a conversation's file open."""
    links = (path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir())
    return any(link.parent == folder and link.suffix == ".state" for link in links)


@pytest.fixture(params=ENGINES, ids=lambda engine: Path(engine).name)
def one(request: pytest.FixtureRequest, tmp_path: Path, smollm2: Path) -> Iterator[Kept]:
    flags = "-c 2048 --parallel 4 --kv-unified --cache-ram 0 --cache-type-k f32 --cache-type-v f32"
    cmd = f'{request.param} --port ${{PORT}} {flags} -m "{smollm2}"'
    configured(
        tmp_path,
        f"startPort: {free_run(2).start}\nconversations: {{min_tokens: 50}}\nmodels: {{one: {{cmd: '{cmd}'}}}}\n",
    )
    with instance(tmp_path, run_by=on_one_processor()) as served:
        text, _ = turn(served, APPLES)
        served.ask("POST", "/api/models/unload")
        (tokens,) = kept(served)
        yield Kept(served, text, tokens)


def test_an_engine_is_killed_in_the_middle_of_a_save(one: Kept) -> None:
    @contextlib.contextmanager
    def unloading() -> Iterator[None]:
        before = one.goes_on()
        assert before >= one.tokens
        with meanwhile(one.served, "/api/models/unload"):
            yield
        one.tokens = max(kept(one.served))

    tokens = one.tokens
    one.killed(CREATED, unloading)
    assert kept(one.served) == [one.tokens], "what it had saved whole is still there"
    assert one.tokens >= tokens
    assert len(one.files) == 1
    assert one.goes_on() >= one.tokens
    assert len(one.served.children()) == 1, "the new one"


def test_an_engine_is_killed_in_the_middle_of_a_save_ahead(one: Kept) -> None:
    @contextlib.contextmanager
    def idle() -> Iterator[None]:
        one.goes_on()
        yield
        until(lambda: one.pid is None or max(kept(one.served)) > one.tokens)
        one.tokens = max(kept(one.served))

    one.killed(CREATED, idle)
    assert kept(one.served) == [one.tokens]
    assert one.goes_on() >= one.tokens, "it was started again"
    one.unload()
    assert len(one.files) == 1


def test_an_engine_is_killed_in_the_middle_of_a_restore(one: Kept) -> None:
    @contextlib.contextmanager
    def loading() -> Iterator[None]:
        one.unload()
        with meanwhile(one.served, "/api/models/load/one"):
            until(lambda: one.pid is not None)
            yield

    one.killed(OPENED, loading)
    assert one.served.running()["one"]["state"] == "ready", "it was started once more without"
    assert (kept(one.served), one.files) == ([], [])
    assert one.goes_on() == 0
    one.unload()
    assert one.goes_on() >= one.tokens, "one death is no proof that it cannot"


@pytest.mark.parametrize("how", ["cut", "overwritten"])
def test_a_damaged_file_costs_the_reading(one: Kept, how: str) -> None:
    (file,) = one.files
    size = file.stat().st_size
    with file.open("r+b") as raw:
        if how == "cut":
            raw.truncate(size // 2)
        else:
            raw.write(os.urandom(4096))
    assert one.goes_on() == 0
    assert (kept(one.served), one.files) == ([], [])
    one.unload()
    assert one.goes_on() >= one.tokens


def test_a_request_that_comes_while_it_saves_ahead_waits_and_is_answered(one: Kept) -> None:
    one.goes_on()
    with FileEvents(one.folder, CREATED) as events:
        assert events.wait(".state", WAIT_SECONDS)
        assert one.goes_on() > one.tokens
    until(lambda: max(kept(one.served)) > one.tokens)
    first = max(kept(one.served))
    until(lambda: max(kept(one.served)) > first)
    assert len(one.files) == 1
    one.unload()
    assert one.goes_on() > first
