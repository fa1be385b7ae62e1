"""Saving and restoring with an engine that does what is wrong: it costs the reading, and hinders nothing."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
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
        self.folder, self.log = self.store.prepare("m"), folder.with_suffix(".log")
        self.known = KnownServer("f", speeds=SPEEDS)
        self.room = GIB
        self.wanted = True
        self.idle: float | None = -math.inf
        self.ending = False
        self._engines: list[SlotsServer] = []
        self.start()

    def start(self, *story: str, slots: int = 2) -> None:
        """Put a new engine in the place of the one that was."""
        self.engine = SlotsServer(0, f"{self.folder}/", set(story), str(self.log), slots=slots)
        self._engines.append(self.engine)
        threading.Thread(target=self.engine.serve_forever, daemon=True).start()
        self.server = ServerConversations(
            "m", Conversations(), self.known, self.store,
            room=lambda: self.room, may_save=lambda: self.wanted, tidy=lambda: None, words=(),
            idle_since=lambda: self.idle,
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

    def save_ahead(self) -> list[KeptConversation]:
        asyncio.run(self.server.save_ahead(self._endpoint, lambda: self.ending))
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


# --- ahead ----------------------------------------------------------------------------------------------------------


def actions(served: Served) -> list[str]:
    """Return what the engine was asked to do with slots since the last time."""
    moved = [line for line in served.log.read_text().splitlines() if "chat" not in line] if served.log.exists() else []
    served.log.write_text("")
    return moved


def test_what_was_saved_ahead_is_not_saved_again_at_the_end(served: Served) -> None:
    served.chat(0, 400)
    served.chat(1, 500)
    assert [one.tokens for one in served.save_ahead()] == [500, 400]
    assert actions(served) == ["save 1", "save 0"]
    served.chat(0, 600)
    assert [one.tokens for one in served.save()] == [600, 500]
    assert actions(served) == ["save 0"]
    assert len(list(served.folder.glob("*.state"))) == 2


def test_a_server_that_dies_leaves_what_was_saved_ahead(served: Served) -> None:
    served.chat(0, 400)
    served.save_ahead()
    served.chat(0, 600)
    served.start()
    served.restore()
    assert served.chat(0, 700)["cache_n"] == 400


def test_a_short_request_takes_the_slot_and_not_what_was_saved_ahead(served: Served) -> None:
    served.chat(0, 400)
    before = served.save_ahead()
    served.chat(0, 20)
    assert served.save() == before


def test_what_was_restored_is_replaced_by_what_is_saved_ahead_of_it(served: Served) -> None:
    served.chat(0, 400)
    served.chat(1, 500)
    served.save()
    served.start()
    served.restore()
    served.chat(0, 600)
    assert [one.tokens for one in served.save_ahead()] == [600, 400]
    assert [one.tokens for one in served.save()] == [600, 400]


def test_it_is_due_once_in_a_pause_and_not_while_somebody_asks(served: Served) -> None:
    def is_due(idle_since: float | None, keep: str = "memory", *, wanted: bool = True) -> bool:
        served.idle, served.wanted = idle_since, wanted
        served.server.wishes = Conversations.model_validate({"keep": keep})
        return served.server.due_ahead

    assert is_due(-2.0)
    served.save_ahead()
    assert not is_due(-2.0), "that pause was looked at"
    assert not is_due(None)
    assert not is_due(-1.0, "disk"), "a disk wears out"
    assert not is_due(-1.0, wanted=False)
    assert is_due(-1.0)
    served.known.truth.refused("it cannot")
    assert not is_due(-1.0)


@pytest.mark.parametrize("why", ["asked", "ends"])
def test_no_other_one_is_begun_when_somebody_comes_or_it_ends(served: Served, why: str) -> None:
    served.chat(0, 400)
    served.chat(1, 500)

    def saved(action: str) -> None:
        if action == "save":
            served.idle, served.ending = (None, False) if why == "asked" else (served.idle, True)

    served.engine.on_action = saved
    assert [one.tokens for one in served.save_ahead()] == [500]
    assert [one.tokens for one in served.save()] == [400, 500]


def test_what_takes_long_is_not_saved_ahead(served: Served) -> None:
    served.known.speeds = KeepingSpeeds(50.0, BYTES_PER_TOKEN, bytes_per_second=1e6)
    served.chat(0, 400)
    assert served.save_ahead() == []
    assert [one.tokens for one in served.save()] == [400]


def test_what_was_dropped_since_is_saved_at_the_end(served: Served) -> None:
    served.chat(0, 400)
    served.store.drop(served.save_ahead())
    assert [one.tokens for one in served.save()] == [400]


@pytest.mark.parametrize("story", ["hang-save", "odd", "no-slots"])
def test_a_save_ahead_that_fails_leaves_nothing_and_loses_nothing(
    served: Served, story: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.chat(0, 400)
    before = served.save()
    served.start()
    served.restore()
    served.engine.story.add(story)
    served.chat(0, 500)
    monkeypatch.setattr(worth, "MOST_PATIENCE_SECONDS", 0.05)
    assert served.save_ahead() == before
    assert len(list(served.folder.glob("*.state"))) == 1
