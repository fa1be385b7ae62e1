"""Conversations and the life of a server: back before the first request, saved before the end, in nobody's way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from claracore.core.config.load import load
from claracore.core.conversations import ahead, worth
from claracore.core.ports.listen import Listen
from claracore.host.conversations import folders
from claracore.host.conversations.added_words import added_words
from claracore.host.conversations.keeper import ConversationKeeper, ConversationReport
from claracore.host.engines.abilities import Abilities
from claracore.host.sockets.host import plan_here
from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor import server_process
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.health import ask
from claracore.host.supervisor.life import LocalRunner
from claracore.host.supervisor.loop import Supervisor
from claracore.host.supervisor.surroundings import Surroundings
from claracore.host.supervisor.waiting import LoadWaiter
from claracore.types import ModelState
from fakes.ports import free_run
from zoo.synthetic import build, write

FAKE = Path(__file__).parents[1] / "fakes" / "fake_slots.py"
KNOWS = Abilities(frozenset({"--slot-save-path"}))


class Place:
    """Where one test's ClaraCore is."""

    def __init__(self, folder: Path, *flags: str, keep: str = "memory") -> None:
        write(folder / "m.gguf", build({}))
        self.folder, self.log = folder, folder / "log"
        self.launcher = folder / "llama-server-fake"
        self.launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -E -S "{FAKE}" "$@"\n')
        self.launcher.chmod(0o755)
        self.flags, self.keep, self.start_port = " ".join(flags), keep, free_run(4).start

    def text(self) -> str:
        cmd = f"{self.launcher} -m {self.folder}/m.gguf --port ${{PORT}} --log {self.log} {self.flags}"
        return f"startPort: {self.start_port}\nconversations: {{keep: {self.keep}}}\nmodels: {{a: {{cmd: {cmd!r}}}}}\n"

    def lines(self) -> list[str]:
        return self.log.read_text().split("\n")[:-1] if self.log.exists() else []

    async def logs(self, line: str) -> None:
        """Return when the server has begun with what the line says."""
        while line not in self.lines():  # noqa: ASYNC110 - what happens in a child sets no event here
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def supervising(place: Place) -> AsyncIterator[tuple[Supervisor, ConversationKeeper]]:
    config = load(place.text(), env={}).config
    assert config is not None
    commands = Commands(None, lambda _: KNOWS)
    commands.learn(config.models.values())
    plan = plan_here(config, Listen(), places={})
    state = place.folder / "state"
    with contextlib.closing(PortKeeper(plan, state_dir=state, ledger_dir=place.folder / "ledger")) as keeper:
        conversations = ConversationKeeper(commands, dict(os.environ), state, "key")
        around = Surroundings(keeper, commands, dict(os.environ), place.folder / "sockets", conversations=conversations)
        supervisor = Supervisor(config, LocalRunner(around))
        await conversations.open(supervisor)
        try:
            async with asyncio.timeout(60):
                yield supervisor, conversations
        finally:
            conversations.end()
            await supervisor.shut_down(0.0 if place.keep == "memory" else 30.0)
            conversations.close()


async def chat(supervisor: Supervisor, conversations: ConversationKeeper, slot: int, tokens: int) -> int:
    """Return how many tokens did not have to be read."""
    ready = LoadWaiter(asyncio.get_running_loop().create_future())
    request = supervisor.arrive("a", ready)
    try:
        await ready.done
        endpoint = supervisor.ready_endpoint("a")
        assert endpoint is not None
        body = json.dumps({"slot": slot, "tokens": tokens}).encode()
        answer = await ask(endpoint, "POST", "/v1/chat/completions", body=body)
    finally:
        supervisor.finish(request)
    timings = json.loads(answer.body)["timings"]
    cached, read = timings["cache_n"], timings["prompt_n"]
    conversations.answered("a", cached + read, cached, timings["prompt_per_second"])
    return int(cached)


def report(supervisor: Supervisor, conversations: ConversationKeeper) -> ConversationReport:
    return conversations.report(supervisor.config.models["a"])


@pytest.fixture(autouse=True)
def tmpfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "TMPFS", tmp_path)
    return tmp_path


def test_conversations_are_back_before_the_first_request(tmp_path: Path) -> None:
    async def story() -> None:
        place = Place(tmp_path)
        async with supervising(place) as (supervisor, conversations):
            assert await chat(supervisor, conversations, 0, 400) == 0
            assert await chat(supervisor, conversations, 1, 300) == 0
            await supervisor.unload(["a"])
            assert [one.tokens for one in conversations.all()] == [300, 400]
            assert conversations.memory_bytes() == 700_000
            assert await chat(supervisor, conversations, 1, 420) == 400
            running = supervisor.running("a")
            assert running is not None
            assert running.restore_seconds is not None
            assert place.lines() == ["chat 0", "chat 1", "save 1", "save 0", "restore 0", "restore 1", "chat 1"]
            assert report(supervisor, conversations).restored == 2

    asyncio.run(story())


@pytest.mark.parametrize(("keep", "left"), [("memory", 0), ("disk", 400)])
def test_a_restart_of_claracore_keeps_what_is_on_the_disk(tmp_path: Path, keep: str, left: int) -> None:
    async def story() -> None:
        place = Place(tmp_path, keep=keep)
        async with supervising(place) as (supervisor, conversations):
            await chat(supervisor, conversations, 0, 400)
        async with supervising(place) as (supervisor, conversations):
            assert await chat(supervisor, conversations, 0, 410) == left

    asyncio.run(story())


def test_another_context_reads_anew(tmp_path: Path) -> None:
    async def story() -> None:
        place = Place(tmp_path, keep="disk")
        async with supervising(place) as (supervisor, conversations):
            await chat(supervisor, conversations, 0, 400)
        place.flags = "-c 8192"
        async with supervising(place) as (supervisor, conversations):
            assert await chat(supervisor, conversations, 0, 410) == 0
            assert conversations.all() == []

    asyncio.run(story())


def test_switched_off_nothing_is_kept_and_what_was_is_forgotten(tmp_path: Path) -> None:
    async def story() -> None:
        place = Place(tmp_path, keep="disk")
        async with supervising(place) as (supervisor, conversations):
            await chat(supervisor, conversations, 0, 400)
            await supervisor.unload(["a"])
            assert conversations.all()
            model = supervisor.config.models["a"]
            off = model.model_copy(update={"conversations": model.conversations.model_copy(update={"keep": "off"})})
            supervisor.config = supervisor.config.model_copy(update={"models": {"a": off}})
            assert await chat(supervisor, conversations, 0, 410) == 0
            assert conversations.all() == []
            assert report(supervisor, conversations).why == "it is switched off"

    asyncio.run(story())


def test_a_server_that_dies_while_it_restores_is_started_once_more_without(tmp_path: Path) -> None:
    async def story() -> None:
        place = Place(tmp_path, "--story crash-restore")
        async with supervising(place) as (supervisor, conversations):
            await chat(supervisor, conversations, 0, 400)
            await supervisor.unload(["a"])
            assert await chat(supervisor, conversations, 0, 410) == 0
            assert supervisor.state("a") is ModelState.READY
            assert place.lines() == ["chat 0", "save 0", "restore 0", "chat 0"]
            await supervisor.unload(["a"])
            assert await chat(supervisor, conversations, 0, 410) == 0
            assert report(supervisor, conversations).works == "no"
            await supervisor.unload(["a"])
            await supervisor.load("a")
            assert place.lines()[4:] == ["save 0", "restore 0", "chat 0"], "nothing is saved any more"

    asyncio.run(story())


def test_an_engine_that_lies_and_says_what_it_chose_is_found_out_after_two_restores(tmp_path: Path) -> None:
    async def story() -> None:
        place = Place(tmp_path, "--story lies --story tells")
        async with supervising(place) as (supervisor, conversations):
            await chat(supervisor, conversations, 0, 400)
            for number in range(2):
                assert report(supervisor, conversations).works == "unknown"
                await supervisor.unload(["a"])
                assert await chat(supervisor, conversations, 1, 900) == 0, "a new one proves nothing"
                assert await chat(supervisor, conversations, 0, 420 + number) == 0
            assert report(supervisor, conversations).works == "no"
            await supervisor.unload(["a"])
            assert place.lines().count("save 0") == 2

    asyncio.run(story())


def test_a_server_that_dies_while_it_saves_ends(tmp_path: Path) -> None:
    async def story() -> None:
        async with supervising(Place(tmp_path, "--story crash-save")) as (supervisor, conversations):
            await chat(supervisor, conversations, 0, 400)
            await supervisor.unload(["a"])
            assert conversations.all() == []
            assert await chat(supervisor, conversations, 0, 410) == 0

    asyncio.run(story())


def test_whoever_must_end_at_once_does_not_wait_for_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worth, "LEAST_PATIENCE_SECONDS", 1000.0)
    monkeypatch.setattr(worth, "MOST_PATIENCE_SECONDS", 1000.0)

    async def story() -> None:
        place = Place(tmp_path, "--story hang-save")
        async with supervising(place) as (supervisor, conversations):
            await chat(supervisor, conversations, 0, 400)
            ended = asyncio.create_task(supervisor.unload(["a"]))
            await place.logs("save 0")
            assert supervisor.state("a") is ModelState.STOPPING
            supervisor.kill()
            await ended

    asyncio.run(story())


def test_an_end_that_is_ordered_while_it_restores_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worth, "RESTORE_SECONDS", 1000.0)

    async def story() -> None:
        place = Place(tmp_path, "--story hang-restore")
        async with supervising(place) as (supervisor, conversations):
            await chat(supervisor, conversations, 0, 400)
            await supervisor.unload(["a"])
            loaded = asyncio.create_task(supervisor.load("a"))
            await place.logs("restore 0")
            assert supervisor.state("a") is ModelState.STARTING
            loaded.cancel()
            await supervisor.unload(["a"])
            assert [one.tokens for one in conversations.all()] == [400], "it is there for the next start"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("said", "knows", "added"),
    [
        ("", "--no-cache-idle-slots --slot-prompt-similarity", "--no-cache-idle-slots --slot-prompt-similarity 0.5"),
        ("", "", ""),
        ("--cache-idle-slots", "--no-cache-idle-slots", ""),
        ("-sps 0.2", "--slot-prompt-similarity", ""),
        ("--slot-prompt-similarity=0.2", "--slot-prompt-similarity", ""),
    ],
)
def test_what_is_added_to_a_command(said: str, knows: str, added: str) -> None:
    found = added_words(["llama-server", *said.split()], "/d/", set(knows.split()).__contains__)
    assert found == ("--slot-save-path", "/d/", *added.split())


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause is long enough as soon as it has begun."""
    monkeypatch.setattr(ahead, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(server_process, "LOOK_SECONDS", 0.01)


async def kept(conversations: ConversationKeeper, *tokens: int) -> None:
    """Return when so many tokens are kept of each conversation, the newest first."""
    while [one.tokens for one in conversations.all()] != list(tokens):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.005)


@pytest.mark.usefixtures("soon")
def test_a_server_that_dies_leaves_what_was_saved_while_it_was_idle(tmp_path: Path) -> None:
    async def story() -> None:
        place = Place(tmp_path)
        async with supervising(place) as (supervisor, conversations):
            await chat(supervisor, conversations, 0, 400)
            await kept(conversations, 400)
            pid = supervisor.all_running()["a"].pid
            assert pid is not None
            await asyncio.gather(*supervisor._runs.tasks(), asyncio.to_thread(os.kill, pid, signal.SIGKILL))
            assert await chat(supervisor, conversations, 0, 410) == 400

    asyncio.run(story())


@pytest.mark.usefixtures("soon")
def test_a_swap_saves_only_what_has_changed_since_the_model_was_idle(tmp_path: Path) -> None:
    async def story() -> None:
        place = Place(tmp_path)
        async with supervising(place) as (supervisor, conversations):
            for slot, tokens in ((0, 400), (1, 300)):
                await chat(supervisor, conversations, slot, tokens)
            await kept(conversations, 300, 400)
            before = place.lines().count("save 0")
            await chat(supervisor, conversations, 1, 320)
            await supervisor.unload(["a"])
            assert place.lines().count("save 0") == before
            assert [one.tokens for one in conversations.all()] == [320, 400]

    asyncio.run(story())


@pytest.mark.usefixtures("soon")
def test_an_order_to_end_waits_for_the_conversation_that_is_being_written(tmp_path: Path) -> None:
    async def story() -> None:
        place = Place(tmp_path, "--story gated-save")
        async with supervising(place) as (supervisor, conversations):
            await chat(supervisor, conversations, 0, 400)
            await place.logs("save 0")
            ended = asyncio.create_task(supervisor.unload(["a"]))
            await may_write(place, supervisor)
            await ended
            assert place.lines().count("save 0") == 1
            assert [one.tokens for one in conversations.all()] == [400]

    asyncio.run(story())


async def may_write(place: Place, supervisor: Supervisor) -> None:
    """Let the server write when the order to end it was given."""
    assert supervisor.state("a") is ModelState.READY
    await asyncio.sleep(0)
    assert supervisor.state("a") is ModelState.STOPPING
    place.log.with_name("log.gate").touch()


def test_nothing_is_saved_that_memory_has_no_room_for_beside_models(tmp_path: Path) -> None:
    async def story() -> None:
        async with supervising(Place(tmp_path)) as (supervisor, conversations):
            for most, kept_then in ((10_000, []), (1 << 30, [400])):
                await chat(supervisor, conversations, 0, 400)
                assert conversations.memory_bytes(most) == 0
                await supervisor.unload(["a"])
                assert [one.tokens for one in conversations.all()] == kept_then

    asyncio.run(story())


@pytest.mark.usefixtures("soon")
def test_a_server_that_dies_while_it_saves_ahead_has_died(tmp_path: Path) -> None:
    async def story() -> None:
        place = Place(tmp_path, "--story crash-save")
        async with supervising(place) as (supervisor, conversations):
            await chat(supervisor, conversations, 0, 400)
            await asyncio.gather(*supervisor._runs.tasks())
            assert conversations.all() == []
            assert await chat(supervisor, conversations, 0, 410) == 0

    asyncio.run(story())
