"""What do conversations mean to the scheduler? Its own record as text, and between its lines what the servers do.

Each record is then replayed in the scheduler alone: it orders the same without any server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, fields
from pathlib import Path
from textwrap import dedent
from typing import Any, cast

import pytest

from claracore.core.conversations import worth
from claracore.core.scheduler.events import Event, Order, TimePassed
from claracore.core.scheduler.policy import Policy
from claracore.core.scheduler.record import Recorded
from claracore.core.scheduler.replay import Recording, replay
from claracore.errors import ClaraCoreError
from claracore.host.conversations import folders
from claracore.host.conversations.keeper import ConversationKeeper
from claracore.host.supervisor.health import ask
from claracore.host.supervisor.loop import Supervisor
from claracore.types import Endpoint
from supervisor.test_conversations import Place, supervising


class TwoModels(Place):
    """Two models of which one runs at a time; the servers of each do what its story says from the next start on."""

    def text(self) -> str:
        models = "".join(f"  {model}: {{cmd: {self.cmd(model)!r}}}\n" for model in "ab")
        return f"startPort: {self.start_port}\nmodels:\n{models}"

    def cmd(self, model: str) -> str:
        story = self.folder / f"{model}.story"
        return (
            f"{self.launcher} -m {self.folder}/m.gguf --port ${{PORT}} --log {self.folder}/{model} --story-file {story}"
        )

    def tells(self, model: str, story: str = "") -> None:
        (self.folder / f"{model}.story").write_text(story)

    def opens(self, model: str) -> None:
        (self.folder / f"{model}.gate").touch()

    def lines_of(self, model: str) -> list[str]:
        log = self.folder / model
        return log.read_text().splitlines() if log.exists() else []


@dataclass
class Asked:
    """A request: where it was sent, or why it was refused."""

    outcome: asyncio.Future[Endpoint] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def serve(self, endpoint: Endpoint) -> None:
        self.outcome.set_result(endpoint)

    def refuse(self, error: ClaraCoreError) -> None:
        self.outcome.set_exception(error)


class Transcript(logging.Handler):
    """What the scheduler hears and orders, and what servers do, one line each, in the order in which it happened."""

    def __init__(self, place: TwoModels, supervisor: Supervisor, conversations: ConversationKeeper) -> None:
        super().__init__(logging.DEBUG)
        self.place, self.supervisor, self.conversations = place, supervisor, conversations
        self.lines: list[str] = []
        self.records: list[Recorded] = []
        self.policy: Policy | None = None
        self.asked: dict[int, Asked] = {}
        self._read = dict.fromkeys("ab", 0)

    def emit(self, record: logging.LogRecord) -> None:
        match record.args:
            case (_, Policy() as policy):
                self.policy = policy
            case (float() as now, event, list() as orders):
                self._take(now, cast("Event", event), orders)

    def _take(self, now: float, event: Event, orders: list[Order]) -> None:
        self.look()
        self.records.append(Recorded(len(self.records), now, event, tuple(orders)))
        if orders or not isinstance(event, TimePassed):
            self.lines.append(f"{plain(event)} -> {', '.join(map(plain, orders))}".rstrip())

    def look(self) -> None:
        """Write down what servers have done by now."""
        for model, read in self._read.items():
            new = self.place.lines_of(model)[read:]
            self._read[model] += len(new)
            self.lines += [f"    {model}: {line}" for line in new]

    async def comes_to(self, line: str) -> None:
        """Return when it has come to a line that begins like this."""
        while not any(one.strip().startswith(line) for one in self.lines):
            await asyncio.sleep(0.005)
            self.look()

    def arrive(self, model: str) -> int:
        asked = Asked()
        request = self.supervisor.arrive(model, asked)
        self.asked[request] = asked
        return request

    async def answered(self, request: int, tokens: int = 0) -> None:
        """Have a request be answered by its server; with tokens, it leaves a conversation there."""
        endpoint = await self.asked[request].outcome
        if tokens:
            body = b'{"slot": 0, "tokens": %d}' % tokens
            await ask(endpoint, "POST", "/v1/chat/completions", body=body)
        self.supervisor.finish(request)

    def is_replayed(self) -> bool:
        assert self.policy is not None
        return not any(step.differs for step in replay(Recording(self.policy, tuple(self.records))))


def plain(value: Event | Order) -> str:
    """Return an event or an order as a person says it."""
    parts = [getattr(value, each.name) for each in fields(value)]
    words = [" ".join(part) if isinstance(part, tuple) else str(part) for part in parts if part is not False]
    return " ".join([type(value).__name__, *words])


@contextlib.asynccontextmanager
async def talking(place: TwoModels) -> AsyncIterator[Transcript]:
    """Run it with a conversation of 400 tokens in the server of a, which is idle."""
    logger = logging.getLogger("claracore.supervisor")
    before = logger.level
    async with supervising(place) as (supervisor, conversations):
        transcript = Transcript(place, supervisor, conversations)
        logger.addHandler(transcript)
        logger.setLevel(logging.DEBUG)
        try:
            await transcript.answered(transcript.arrive("a"), 400)
            transcript.lines.clear()
            transcript._read["a"] = len(place.lines_of("a"))
            yield transcript
        finally:
            logger.setLevel(before)
            logger.removeHandler(transcript)


Story = Callable[[TwoModels, Transcript], Coroutine[Any, Any, None]]


def told(tmp_path: Path, first: str, story: Story) -> str:
    """Return what happens in a story; `first` is what the first server of a does."""

    async def run() -> str:
        place = TwoModels(tmp_path)
        place.tells("a", first)
        place.tells("b")
        async with talking(place) as transcript:
            await story(place, transcript)
            assert transcript.is_replayed()
            return "\n".join(transcript.lines) + "\n"

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save or a restore may take as long as a test takes."""
    monkeypatch.setattr(folders, "TMPFS", tmp_path)
    for name in ("LEAST_PATIENCE_SECONDS", "MOST_PATIENCE_SECONDS", "RESTORE_SECONDS"):
        monkeypatch.setattr(worth, name, 1000.0)


def test_a_swap_that_saves_for_long(tmp_path: Path) -> None:
    async def story(place: TwoModels, play: Transcript) -> None:
        place.tells("b", "gated-start")
        second = play.arrive("b")
        await play.comes_to("a: save 0")
        third, fourth = play.arrive("a"), play.arrive("b")
        place.tells("a")
        place.opens("a")
        await play.comes_to("LookedAhead a")  # which a server that starts at once may be faster than
        place.opens("b")
        for request in (second, fourth, third):
            await play.answered(request)

    assert told(tmp_path, "gated-save", story) == dedent("""\
        Arrived 2 b -> LookAhead b
        LookedAhead b -> Stop a evicted
            a: save 0
        Arrived 3 a ->
        Arrived 4 b ->
        Ended a -> Start b, LookAhead a
        LookedAhead a ->
        Ready b -> Serve 2, Serve 4
        Finished 2 ->
        Finished 4 -> Stop b evicted
        Ended b -> Start a
            a: restore 0
        Ready a -> Serve 3
        Finished 3 ->
    """)


def test_a_load_that_restores_for_long(tmp_path: Path) -> None:
    async def story(place: TwoModels, play: Transcript) -> None:
        place.tells("a", "gated-restore")
        await play.supervisor.unload(["a"])
        second = play.arrive("a")
        await play.comes_to("a: restore 0")
        third, fourth = play.arrive("a"), play.arrive("b")
        await play.comes_to("LookedAhead b")
        place.opens("a")
        for request in (second, third, fourth):
            await play.answered(request)

    assert told(tmp_path, "", story) == dedent("""\
        UnloadAsked a -> Stop a unloaded by request
            a: save 0
        Ended a ->
        Arrived 2 a -> Start a
            a: restore 0
        Arrived 3 a ->
        Arrived 4 b -> LookAhead b
        LookedAhead b ->
        Ready a -> Serve 2, Serve 3
        Finished 2 ->
        Finished 3 -> Stop a evicted
        Ended a -> Start b
        Ready b -> Serve 4
        Finished 4 ->
    """)


@pytest.mark.parametrize(
    ("how", "stays"),
    [("refuse-restore", False), ("crash-restore", False), ("short", False), ("", True)],
)
def test_a_load_whose_restore_fails_is_a_load(tmp_path: Path, how: str, stays: object) -> None:
    async def story(place: TwoModels, play: Transcript) -> None:
        place.tells("a", how)
        await play.supervisor.unload(["a"])
        await play.answered(play.arrive("a"))
        assert bool(play.conversations.all()) is stays

    assert told(tmp_path, "", story) == dedent("""\
        UnloadAsked a -> Stop a unloaded by request
            a: save 0
        Ended a ->
        Arrived 2 a -> Start a
            a: restore 0
        Ready a -> Serve 2
        Finished 2 ->
    """)


def test_an_unload_while_it_restores(tmp_path: Path) -> None:
    async def story(place: TwoModels, play: Transcript) -> None:
        place.tells("a", "hang-restore")
        await play.supervisor.unload(["a"])
        second = play.arrive("a")
        await play.comes_to("a: hangs restore")
        third = play.arrive("b")
        await play.comes_to("LookedAhead b")
        await play.supervisor.unload(["a"])
        with pytest.raises(ClaraCoreError):
            await play.answered(second)
        await play.answered(third)
        assert [one.tokens for one in play.conversations.all()] == [400]

    assert told(tmp_path, "", story) == dedent("""\
        UnloadAsked a -> Stop a unloaded by request
            a: save 0
        Ended a ->
        Arrived 2 a -> Start a
            a: restore 0
            a: hangs restore
        Arrived 3 b -> LookAhead b
        LookedAhead b ->
        UnloadAsked a -> Refuse 2 model unloaded, Stop a unloaded by request
        Ended a -> Start b
        Ready b -> Serve 3
        Finished 3 ->
    """)


def test_a_server_that_dies_while_it_saves(tmp_path: Path) -> None:
    async def story(place: TwoModels, play: Transcript) -> None:
        place.tells("a")
        await play.answered(play.arrive("b"))
        await play.answered(play.arrive("a"))
        assert play.conversations.all() == []

    assert told(tmp_path, "crash-save", story) == dedent("""\
        Arrived 2 b -> LookAhead b
        LookedAhead b -> Stop a evicted
            a: save 0
        Ended a -> Start b
        Ready b -> Serve 2
        Finished 2 ->
        Arrived 3 a -> LookAhead a
        LookedAhead a -> Stop b evicted
        Ended b -> Start a
        Ready a -> Serve 3
        Finished 3 ->
    """)


def test_an_end_of_claracore_while_it_saves_waits_for_that(tmp_path: Path) -> None:
    async def story(place: TwoModels, play: Transcript) -> None:
        second = play.arrive("b")
        await play.comes_to("a: save 0")
        ending = asyncio.create_task(play.supervisor.shut_down(30.0))
        with pytest.raises(ClaraCoreError):
            await play.answered(second)
        place.opens("a")
        await ending

    assert told(tmp_path, "gated-save", story) == dedent("""\
        Arrived 2 b -> LookAhead b
        LookedAhead b -> Stop a evicted
            a: save 0
        ShutdownAsked 30.0 -> Refuse 2 shutting down
        Ended a ->
    """)


def test_an_end_at_once_while_it_saves_waits_for_nothing(tmp_path: Path) -> None:
    async def story(_place: TwoModels, play: Transcript) -> None:
        second = play.arrive("b")
        await play.comes_to("a: hangs save")
        ending = asyncio.create_task(play.supervisor.shut_down(0.0))
        play.supervisor.kill()
        await ending
        with pytest.raises(ClaraCoreError):
            await play.answered(second)

    assert told(tmp_path, "hang-save", story) == dedent("""\
        Arrived 2 b -> LookAhead b
        LookedAhead b -> Stop a evicted
            a: save 0
            a: hangs save
        ShutdownAsked 0.0 -> Refuse 2 shutting down
        Ended a ->
    """)
