from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from claracore.http.api.events import broadcaster as broadcaster_module
from claracore.http.api.events.broadcaster import PER_TICK, WAITING_BYTES, Broadcaster, Event, Follower, frame


def play(conversation: Callable[[Broadcaster], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await conversation(Broadcaster())

    asyncio.run(bounded())


def read(text: bytes) -> list[tuple[str, object]]:
    events = []
    for block in text.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":") and line)
        if fields:
            events.append((fields["event"], json.loads(fields["data"])))
    return events


async def heard(follower: Follower) -> list[tuple[str, object]]:
    return read(await follower.next(5))


def test_everybody_hears_what_they_want() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        with broadcaster.follow(None) as all_of_it, broadcaster.follow(frozenset({"model", "log:qwen"})) as some:
            broadcaster.publish("model", {"id": "qwen"})
            broadcaster.publish("log", {"text": "a"}, topic="log:qwen")
            broadcaster.publish("log", {"text": "b"}, topic="log:phi")
            assert await heard(some) == [("model", {"id": "qwen"}), ("log", {"text": "a"})]
            assert [data for _type, data in await heard(all_of_it)] == [{"id": "qwen"}, {"text": "a"}, {"text": "b"}]

    play(conversation)


def test_log_covers_every_source() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        with broadcaster.follow(frozenset({"log"})) as follower:
            assert follower.wants("log:qwen")
            assert not follower.wants("model")
            assert broadcaster.wants("log:proxy")
            assert not broadcaster.wants("model")

    play(conversation)


def test_of_one_thing_only_the_newest_is_told() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        with broadcaster.follow(None) as follower:
            for progress in range(10):
                broadcaster.publish("model", progress, key="qwen")
            broadcaster.publish("model", "other", key="phi")
            assert await heard(follower) == [("model", 9), ("model", "other")]

    play(conversation)


def test_the_newest_comes_last_also_after_one_that_is_told_in_any_case() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        with broadcaster.follow(None) as follower:
            broadcaster.publish("model", "loading", key="qwen")
            broadcaster.publish("model", "ready, serving 1")
            broadcaster.publish("model", "ready, serving 0", key="qwen")
            assert await heard(follower) == [("model", "ready, serving 1"), ("model", "ready, serving 0")]

    play(conversation)


def test_a_flood_becomes_a_resync_of_its_topic() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        with broadcaster.follow(None) as follower:
            for flood in range(2):
                for number in range(PER_TICK + 1):
                    broadcaster.publish("activity", number)
                broadcaster.publish("model", flood)
                assert ("model", flood) in await heard(follower)
            assert await heard(follower) == [("resync", {"topics": ["activity"]})], "at most once a second"
            broadcaster.publish("activity", 7)
            assert await heard(follower) == [("activity", 7)]

    play(conversation)


def test_who_comes_back_hears_what_was_missed() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        with broadcaster.follow(None) as follower:
            broadcaster.publish("model", 1)
            await follower.next(5)
            after = broadcaster.last_id
        broadcaster.publish("model", 2)
        broadcaster.publish("request", 3)
        while broadcaster.last_id < after + 2:  # noqa: ASYNC110 - nobody follows, so nothing else tells
            await asyncio.sleep(0)
        with broadcaster.follow(frozenset({"model"}), after=after) as back:
            assert await heard(back) == [("model", 2)]
        with broadcaster.follow(None, after=broadcaster.last_id) as back:
            broadcaster.publish("model", 4)
            assert await heard(back) == [("model", 4)]

    play(conversation)


def test_who_comes_back_too_late_is_told_to_fetch_everything() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        for nonsense in (0, broadcaster.last_id - 1, broadcaster.last_id + 10_000):
            with broadcaster.follow(None, after=nonsense) as back:
                assert await heard(back) == [("resync", {"topics": []})]
        with broadcaster.follow(None):
            for number in range(broadcaster_module.KEPT_EVENTS + 10):
                broadcaster._send("model", "model", number)
        oldest = broadcaster._kept[0].id
        with broadcaster.follow(None, after=oldest - 2) as back:
            assert await heard(back) == [("resync", {"topics": []})]
        with broadcaster.follow(None, after=oldest - 1) as back:
            assert (await heard(back))[0] == ("model", 10)

    play(conversation)


def test_nobody_resumes_across_a_time_in_which_nothing_was_kept() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        before = broadcaster.last_id
        broadcaster.publish("model", 1)
        assert not broadcaster._kept
        with broadcaster.follow(None, after=before) as back:
            assert await heard(back) == [("resync", {"topics": []})]

    play(conversation)


def test_a_slow_follower_loses_its_queue_and_is_told() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        with broadcaster.follow(None) as slow, broadcaster.follow(None) as quick:
            size = len(frame(broadcaster.last_id, "log", "x" * 1000))
            for _ in range(WAITING_BYTES // size + 2):
                broadcaster._send("log:a", "log", "x" * 1000)
                await quick.next(5)
            assert slow._bytes <= WAITING_BYTES
            assert await heard(slow) == [("resync", {"topics": []})]
            broadcaster.publish("model", 1)
            assert await heard(slow) == [("model", 1)]

    play(conversation)


def test_silence_is_filled_with_comments() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        with broadcaster.follow(None) as follower:
            assert (await follower.next(0.01)).startswith(b":")

    play(conversation)


def test_an_ending_wakes_followers() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        with broadcaster.follow(None) as follower:
            follower.end()
            assert await follower.next(5) == b""
            assert follower.ended

    play(conversation)


def test_interest_is_told() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        counts: list[int] = []
        broadcaster.on_interest = lambda: counts.append(len(broadcaster.followers))
        with broadcaster.follow(None), broadcaster.follow(None):
            pass
        assert counts == [1, 2, 1, 0]

    play(conversation)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 200_000), st.booleans()), max_size=30))
def test_a_queue_is_bounded_and_a_loss_is_always_told(steps: list[tuple[int, bool]]) -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        with broadcaster.follow(None) as follower:
            pushed: list[int] = []
            got: list[int] = []
            resynced = False
            for number, (size, reads) in enumerate(steps):
                pushed.append(number)
                data = {"n": number, "x": "y" * size}
                follower.push(Event(number, "t", "t", data, frame(number, "t", data)))
                assert follower._bytes <= WAITING_BYTES
                if reads:
                    for type_, value in await heard(follower):
                        resynced |= type_ == "resync"
                        got += [value["n"]] if type_ == "t" else []  # type: ignore[index] # our own shape
            follower.push(Event(-1, "t", "t", {"n": -1}, frame(0, "t", {"n": -1})))
            for type_, value in await heard(follower):
                resynced |= type_ == "resync"
                got += [value["n"]] if type_ == "t" else []  # type: ignore[index] # our own shape
            assert got == sorted(got[:-1]) + got[-1:]
            assert got == [*pushed, -1] or resynced

    play(conversation)


def test_what_is_looked_at_now_holds_what_was_published_before() -> None:
    async def conversation(broadcaster: Broadcaster) -> None:
        with broadcaster.follow(None) as follower:
            broadcaster.publish("model", {"id": "qwen", "state": "starting"}, key="qwen")
            last_known = broadcaster.settle()
            broadcaster.publish("model", {"id": "qwen", "state": "ready"}, key="qwen")
            assert broadcaster.settle() == last_known + 1
            assert [data for _type, data in await heard(follower)] == [
                {"id": "qwen", "state": "starting"},
                {"id": "qwen", "state": "ready"},
            ]

    play(conversation)
