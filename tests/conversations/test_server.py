"""Saving and restoring with an engine that does what is wrong: it costs the reading, and hinders nothing."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claracore.core.config.conversations import Conversations
from claracore.core.conversations import worth
from claracore.core.conversations.kept import KeptConversation
from claracore.core.conversations.worth import KeepingSpeeds
from claracore.host.conversations.server import KnownServer, ServerConversations
from claracore.host.conversations.store import ConversationStore
from claracore.types import Endpoint
from fakes.fake_slots import BYTES_PER_TOKEN, SlotsServer

SPEEDS = KeepingSpeeds(tokens_per_second=50.0, bytes_per_token=BYTES_PER_TOKEN, bytes_per_second=1e9)
GIB = 1 << 30


class Served:
    """A fake engine in threads, and what keeps its conversations."""

    def __init__(self, folder: Path) -> None:
        self.store = ConversationStore(folder)
        self.folder = self.store.prepare("m")
        self.known = KnownServer("f", speeds=SPEEDS)
        self.room = GIB
        self.wanted = True
        self._engines: list[SlotsServer] = []
        self.start()

    def start(self, *story: str, slots: int = 2) -> None:
        """Put a new engine in the place of the one that was."""
        self.engine = SlotsServer(0, f"{self.folder}/", set(story), slots=slots)
        self._engines.append(self.engine)
        threading.Thread(target=self.engine.serve_forever, daemon=True).start()
        self.server = ServerConversations(
            "m", Conversations(), self.known, self.store,
            room=lambda: self.room, may_save=lambda: self.wanted, tidy=lambda: None, words=(),
        )  # fmt: skip

    def chat(self, slot: int, tokens: int) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.engine.server_address[1])
        connection.request("POST", "/v1/chat/completions", json.dumps({"slot": slot, "tokens": tokens}).encode())
        timings = json.loads(connection.getresponse().read())["timings"]
        connection.close()
        self.known.truth.answered(timings["prompt_n"] + timings["cache_n"], timings["cache_n"])
        return dict(timings)

    def save(self) -> list[KeptConversation]:
        async def both() -> None:
            await self.server.save(self._endpoint)
            await self.server.list_saved()

        asyncio.run(both())
        return list(self.store.of("m"))

    def restore(self) -> None:
        asyncio.run(self.server.restore(self._endpoint))

    @property
    def _endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.engine.server_address[1])

    def end(self) -> None:
        for engine in self._engines:
            engine.ended.set()
            engine.shutdown()
            engine.server_close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path)
    yield running
    running.end()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worth, "MOST_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(worth, "RESTORE_SECONDS", 0.05)


def test_two_conversations_come_back_the_newest_first(served: Served) -> None:
    served.chat(0, 400)
    served.chat(1, 500)
    assert [one.tokens for one in served.save()] == [500, 400]
    served.start()
    served.restore()
    assert served.chat(0, 520)["cache_n"] == 500
    assert served.chat(1, 420)["cache_n"] == 400
    assert (served.known.truth.works, served.known.truth.reused_tokens) == ("yes", 900)
    assert served.server.restore_seconds is not None


def test_what_nobody_went_on_with_is_kept_as_it_is(served: Served) -> None:
    served.chat(0, 400)
    served.chat(1, 500)
    (newest, oldest) = served.save()
    served.start()
    served.restore()
    served.chat(0, 600)
    assert [one.tokens for one in served.save()] == [600, 400]
    assert oldest in served.store.of("m")
    assert not (served.folder / newest.file).exists()


def test_a_server_without_a_request_saves_nothing_and_loses_nothing(served: Served) -> None:
    served.chat(0, 400)
    before = served.save()
    served.start()
    served.restore()
    assert served.save() == before


def test_fewer_slots_take_the_newest(served: Served) -> None:
    served.chat(0, 400)
    served.chat(1, 500)
    served.save()
    served.start(slots=1)
    served.restore()
    assert served.chat(0, 510)["cache_n"] == 500


def test_short_ones_are_not_saved(served: Served) -> None:
    served.chat(0, 255)
    assert served.save() == []


def test_what_has_no_room_is_not_saved(served: Served) -> None:
    served.room = 450 * BYTES_PER_TOKEN
    served.chat(0, 400)
    served.chat(1, 500)
    assert [one.tokens for one in served.save()] == [400]


def test_another_fingerprint_restores_nothing_and_leaves_nothing(served: Served) -> None:
    served.chat(0, 400)
    served.save()
    served.known = KnownServer("other", speeds=SPEEDS)
    served.start()
    served.restore()
    assert served.chat(0, 420)["cache_n"] == 0
    assert list(served.store.of("m")) == []


def test_an_engine_that_lies_is_found_out_and_left_alone(served: Served) -> None:
    for _ in range(3):
        served.chat(0, 400)
        assert served.save()
        served.start("lies")
        served.restore()
        served.chat(0, 450)
    assert served.known.truth.works == "no"
    before = served.store.of("m")
    served.chat(0, 500)
    served.save()
    assert served.store.of("m") == before


@pytest.mark.parametrize("story", ["short", "refuse-restore"])
def test_what_does_not_come_back_whole_is_dropped(served: Served, story: str) -> None:
    served.chat(0, 400)
    served.save()
    served.start(story)
    served.restore()
    assert list(served.store.of("m")) == []


@pytest.mark.usefixtures("impatient")
def test_a_restore_that_hangs_is_left(served: Served) -> None:
    served.chat(0, 400)
    served.save()
    served.known.speeds = SPEEDS
    served.start("hang-restore")
    served.restore()
    assert list(served.store.of("m")) == []


@pytest.mark.usefixtures("impatient")
def test_a_save_that_hangs_is_left_and_leaves_no_file(served: Served) -> None:
    served.start("hang-save")
    served.chat(0, 400)
    assert served.save() == []
    assert list(served.folder.iterdir()) == []


def test_an_engine_that_cannot_is_asked_once(served: Served) -> None:
    served.start("no-slots")
    served.chat(0, 400)
    assert served.save() == []
    assert (served.known.truth.works, served.known.truth.why) == ("no", "This server does not support slots")


def test_an_odd_answer_is_no_conversation(served: Served) -> None:
    served.start("odd")
    served.chat(0, 400)
    assert served.save() == []


def test_a_file_that_was_cut_costs_the_reading(served: Served) -> None:
    served.start("cut")
    served.chat(0, 400)
    served.save()
    served.start()
    served.restore()
    assert list(served.store.of("m")) == []


def test_nothing_is_saved_that_would_be_gone_with_us(served: Served) -> None:
    served.chat(0, 400)
    served.wanted = False
    assert served.save() == []


def test_dropped_conversations_stay_dropped(served: Served) -> None:
    served.chat(0, 400)
    served.chat(1, 500)
    served.save()
    served.start()
    served.restore()
    served.store.drop(served.store.of("m"))
    served.chat(0, 600)
    assert [one.tokens for one in served.save()] == [600]
