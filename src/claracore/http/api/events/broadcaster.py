"""How does everybody who watches hear what happens, without anybody waiting for a slow one?

Events are collected for a moment, encoded once, and put into a bounded queue per follower. A follower who is too slow,
or who comes back too late, gets a `resync` with the topics it must fetch again: nothing is lost silently. Knows nothing
about HTTP beyond the text of server-sent events.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from claracore.http.wire import sse

TICK_SECONDS = 0.1
"""Events of this long are sent together: one write per follower, and the newest of several about the same thing."""

KEPT_EVENTS = 2_000
KEPT_SECONDS = 60.0
"""After the last follower has left, events are still kept this long for its return."""

WAITING_BYTES = 512 * 1024
PER_TICK = 20
"""More events of one topic than this in one tick become one `resync` of that topic: nobody reads that fast."""

RESYNC_SECONDS = 1.0
"""Between two of these."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `frame` is its text as a server-sent event."""

    id: int
    topic: str
    type: str
    data: object
    frame: bytes


def frame(id_: int, type_: str, data: object) -> bytes:
    """Return a server-sent event whose data is JSON."""
    return sse.event(_encode(data), name=type_.encode(), id_=id_)


class Follower:
    """One client of the stream, with a bounded queue of its own."""

    def __init__(self, broadcaster: Broadcaster, topics: frozenset[str] | None) -> None:
        self._broadcaster = broadcaster
        self.topics = topics
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._lost = False
        self.ended = False
        """Whether there is nothing to wait for any more."""
        self._arrived = asyncio.Event()

    def wants(self, topic: str) -> bool:
        """Whether this follower listens to a topic; `log` covers every `log:SOURCE`."""
        return self.topics is None or topic in self.topics or topic.partition(":")[0] in self.topics

    def push(self, event: Event) -> None:
        """Queue an event; never waits. When the queue is full it is emptied, and a resync takes its place."""
        if self._bytes + len(event.frame) > WAITING_BYTES:
            self._frames.clear()
            self._bytes = 0
            self._lost = True
        if not self._lost:
            self._frames.append(event.frame)
            self._bytes += len(event.frame)
        self._arrived.set()

    def lose(self) -> None:
        """Let it know that it must fetch everything again."""
        self._lost = True
        self._arrived.set()

    def wake(self) -> None:
        """Have `next` return."""
        self._arrived.set()

    def end(self) -> None:
        """Let it send what has come, and then stop."""
        self.ended = True
        self._arrived.set()

    async def next(self, heartbeat_seconds: float) -> bytes:
        """Return what has come since the last call, or a comment when nothing came for so long."""
        try:
            async with asyncio.timeout(heartbeat_seconds):
                await self._arrived.wait()
        except TimeoutError:
            return sse.comment("still here")
        self._arrived.clear()
        out = b"".join(self._frames)
        self._frames.clear()
        self._bytes = 0
        if self._lost:
            self._lost = False
            out += frame(self._broadcaster.last_id, "resync", {"topics": []})
        return out

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._broadcaster.leave(self)


class Broadcaster:
    """Where events come in and followers listen."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # Ids never repeat, also not after a new start: whoever comes back from before that is told to resync.
        self.last_id = int(time.time() * 1000)
        self.followers: set[Follower] = set()
        self.on_interest: Callable[[], None] = lambda: None
        """Called when followers come or go."""
        self._kept: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._fresh: dict[object, tuple[str, str, object]] = {}
        self._left_at = -KEPT_SECONDS
        self._resynced_at = -RESYNC_SECONDS
        self._owed: set[str] = set()
        """Topics of which something was not sent, and no resync yet."""
        self._scheduled = False

    def wants(self, topic: str) -> bool:
        """Whether anybody listens to a topic now."""
        return any(follower.wants(topic) for follower in self.followers)

    def attended(self) -> bool:
        """Whether an event of now may reach anybody: who listens, or was here a moment ago and may come back."""
        if self.followers or self._loop.time() - self._left_at <= KEPT_SECONDS:
            return True
        self.last_id += 1  # a gap, so that nobody resumes across it
        self._kept.clear()
        return False

    def publish(self, type_: str, data: object, *, topic: str | None = None, key: object = None) -> None:
        """Send an event at the end of this tick. Of several with one `key` in one tick only the newest is sent.

        In its own place, after every event that came before it: an older one without a key may be about the same thing.
        """
        if not self.attended():
            return
        slot = (type_, key) if key is not None else object()
        self._fresh.pop(slot, None)
        self._fresh[slot] = (topic or type_, type_, data)
        self._schedule(TICK_SECONDS)

    def settle(self) -> int:
        """Send what is to be sent at the end of this tick now; return the id of the last event.

        What is looked at after this call holds everything that events up to this id tell.
        """
        self._flush()
        return self.last_id

    def follow(self, topics: frozenset[str] | None, *, after: int | None = None) -> Follower:
        """Listen; with `after` (a Last-Event-ID) to what came since too, or to a resync when that is gone."""
        follower = Follower(self, topics)
        if after is not None and after != self.last_id:
            self._resume(follower, after)
        return self.add(follower)

    def add(self, follower: Follower) -> Follower:
        """Queue every event that a follower wants for it, from now on."""
        self.followers.add(follower)
        self.on_interest()
        return follower

    def leave(self, follower: Follower) -> None:
        """Queue nothing more for a follower."""
        self.followers.discard(follower)
        self._left_at = self._loop.time()
        self.on_interest()

    def _resume(self, follower: Follower, after: int) -> None:
        if not self._kept or not self._kept[0].id <= after + 1 <= self.last_id:
            follower.lose()
            return
        for event in self._kept:
            if event.id > after and follower.wants(event.topic):
                follower.push(event)

    def _flush(self) -> None:
        self._scheduled = False
        fresh, self._fresh = self._fresh, {}
        counts = Counter(topic for topic, _type, _data in fresh.values())
        flooded = {topic for topic, count in counts.items() if count > PER_TICK}
        for topic, type_, data in fresh.values():
            if topic not in flooded:
                self._send(topic, type_, data)
        self._owed |= flooded
        if self._owed:
            self._resync()

    def _resync(self) -> None:
        """Send which topics had too many events to be sent, now or when the last time is long enough ago."""
        wait = self._resynced_at + RESYNC_SECONDS - self._loop.time()
        if wait > 0:
            self._schedule(wait)
            return
        self._resynced_at = self._loop.time()
        for topic in sorted(self._owed):
            self._send(topic, "resync", {"topics": [topic]})
        self._owed.clear()

    def _schedule(self, seconds: float) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_later(seconds, self._flush)

    def _send(self, topic: str, type_: str, data: Any) -> None:  # noqa: ANN401 - whatever JSON can say
        self.last_id += 1
        event = Event(self.last_id, topic, type_, data, frame(self.last_id, type_, data))
        self._kept.append(event)
        for follower in self.followers:
            if follower.wants(topic):
                follower.push(event)
