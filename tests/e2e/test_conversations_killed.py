"""ClaraCore, or an engine, is killed while conversations are saved or restored: nothing of that is left, or lost."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from claracore.host.conversations.folders import NAME, memory_base
from e2e.instance import WAIT_SECONDS, Instance, configured, instance, on_one_processor, until
from fakes.ports import free_run
from zoo.synthetic import build, write

FAKE = Path(__file__).parents[1] / "fakes" / "fake_slots.py"
EMBEDDED = f"{sys.executable} -m claracore engine"


@contextlib.contextmanager
def meanwhile(served: Instance, path: str) -> Iterator[None]:
    """Have a request be under way for the length of a block; its answer may never come."""

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            served.ask("POST", path)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    yield
    asking.join(WAIT_SECONDS)


class Place:
    """A folder with a configuration of one model, whose engine does what the story says from its next start on."""

    def __init__(self, folder: Path, keep: str) -> None:
        self.folder, self.log, self.story = folder, folder / "log", folder / "story"
        write(folder / "m.gguf", build({}))
        launcher = folder / "llama-server-fake"
        launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -E -S "{FAKE}" "$@"\n')
        launcher.chmod(0o755)
        flags = f"-m {folder}/m.gguf --port ${{PORT}} --log {self.log} --story-file {self.story}"
        configured(
            folder,
            f"startPort: {free_run(2).start}\nconversations: {{keep: {keep}}}\n"
            f"models: {{a: {{cmd: '{launcher} {flags}'}}}}\n",
        )

    @contextlib.contextmanager
    def served(self, story: str = "") -> Iterator[Instance]:
        self.tells(story)
        with instance(self.folder) as running:
            yield running

    def tells(self, story: str) -> None:
        self.story.write_text(story)

    def killed_when(self, line: str, served: Instance, path: str) -> None:
        """Kill ClaraCore when the engine has come to what the line says because of a request."""
        with meanwhile(served, path):
            until(lambda: self.log.exists() and line in self.log.read_text().split("\n"))
            served.end(signal.SIGKILL)


def chat(served: Instance, tokens: int) -> int:
    """Return how many tokens did not have to be read."""
    answer = served.ask("POST", "/v1/chat/completions", {"model": "a", "messages": [], "slot": 0, "tokens": tokens})
    assert answer.status == 200, answer.body
    return int(answer.json["timings"]["cache_n"])


def kept(served: Instance) -> list[int]:
    return [one["tokens"] for one in served.ask("GET", "/api/conversations").json["conversations"]]


def files(place: Place, dead: int) -> list[Path]:
    """Return the files of conversations that a dead ClaraCore has left, in memory and on the disk."""
    folders = [memory_base() / NAME / str(dead), *place.folder.glob(f"state/**/{NAME}")]
    return [path for folder in folders if folder.is_dir() for path in folder.rglob("*.state")]


@pytest.mark.parametrize("keep", ["memory", "disk"])
def test_claracore_is_killed_while_a_conversation_is_saved(tmp_path: Path, keep: str) -> None:
    place = Place(tmp_path, keep)
    with place.served("hang-save") as first:
        assert chat(first, 400) == 0
        place.killed_when("hangs save", first, "/api/models/unload")
        dead = first.process.pid
    assert len(files(place, dead)) == 1, "half of one was written"
    with place.served() as second:
        assert kept(second) == []
        assert chat(second, 410) == 0
        assert files(place, dead) == []


@pytest.mark.parametrize(("keep", "left"), [("memory", []), ("disk", [400])])
def test_claracore_is_killed_while_a_conversation_is_restored(tmp_path: Path, keep: str, left: list[int]) -> None:
    place = Place(tmp_path, keep)
    with place.served() as first:
        chat(first, 400)
        first.ask("POST", "/api/models/unload")
        assert kept(first) == [400]
        place.tells("hang-restore")
        place.killed_when("hangs restore", first, "/api/models/load/a")
        dead = first.process.pid
    with place.served() as second:
        assert kept(second) == left
        assert len(files(place, dead)) == len(left)
        assert chat(second, 410) == sum(left)


@pytest.mark.parametrize("keep", ["memory", "disk"])
def test_claracore_is_killed_while_a_conversation_is_saved_again(tmp_path: Path, keep: str) -> None:
    place = Place(tmp_path, keep)
    with place.served() as first:
        chat(first, 400)
        first.ask("POST", "/api/models/unload")
        place.tells("hang-save")
        assert chat(first, 500) == 400
        place.killed_when("hangs save", first, "/api/models/unload")
        dead = first.process.pid
    left = [400] if keep == "disk" else []
    with place.served() as second:
        assert kept(second) == left, "what was saved whole is still there, and nothing else"
        assert chat(second, 510) == sum(left)
        assert len(files(place, dead)) == len(left)


def turn(served: Instance, text: str) -> tuple[str, int]:
    """Return the conversation after one more turn, and how many of its tokens did not have to be read."""
    body = {"model": "one", "prompt": text, "max_tokens": 4, "temperature": 0}
    answer = served.ask("POST", "/v1/completions", body)
    assert answer.status == 200, answer.body
    return text + answer.json["choices"][0]["text"] + " and on", int(answer.json["timings"]["cache_n"])


def real(folder: Path, smollm2: Path, more: str = "") -> None:
    cmd = f'{EMBEDDED} --port ${{PORT}} -c 1024 --parallel 4 --kv-unified -m "{smollm2}"'
    text = (
        f"startPort: {free_run(2).start}\nconversations: {{min_tokens: 50{more}}}\nmodels: {{one: {{cmd: '{cmd}'}}}}\n"
    )
    configured(folder, text)


def test_a_real_engine_is_killed_while_it_is_to_save(tmp_path: Path, smollm2: Path) -> None:
    real(tmp_path, smollm2)
    with instance(tmp_path, run_by=on_one_processor()) as served:
        text, _ = turn(served, "apple: " + ", ".join(f"apple {number}" for number in range(1, 25)))
        served.ask("POST", "/api/models/unload")
        (before,) = kept(served)
        text, cached = turn(served, text)
        assert cached >= before
        pid = served.running()["one"]["pid"]
        os.kill(pid, signal.SIGSTOP)
        with meanwhile(served, "/api/models/unload"):
            until(lambda: served.running().get("one", {}).get("state") != "ready")
            os.kill(pid, signal.SIGKILL)
        assert kept(served) == [before], "what it had saved last is still there"
        assert turn(served, text)[1] >= before


def test_a_full_limit_keeps_the_newest(tmp_path: Path, smollm2: Path) -> None:
    texts = ["apple: " + ", ".join(f"apple {number}" for number in range(1, 25)), "zebra: " + "x y z " * 40]

    def sizes() -> list[int]:
        with instance(tmp_path, run_by=on_one_processor()) as served:
            for text in texts:
                turn(served, text)
            served.ask("POST", "/api/models/unload")
            return [one["bytes"] for one in served.ask("GET", "/api/conversations").json["conversations"]]

    real(tmp_path, smollm2)
    newest, oldest = sizes()
    real(tmp_path, smollm2, f", limit: {newest + oldest - 1}")
    assert sizes() == [newest]
    real(tmp_path, smollm2, f", limit: {newest // 2}")
    assert sizes() == []
