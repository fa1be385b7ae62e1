"""How do changes that nobody announces (queues, bytes, memory) become events?

While somebody follows, the sampler looks four times a second at what runs and sends what has changed; while nobody
does, it rests. So the path of a request carries no cost for the people who watch it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from claracore.host.activity.record import Record
from claracore.host.activity.rows import ActivityRow
from claracore.host.logs.output import OutputRing
from claracore.host.logs.proxy import LogEntry
from claracore.http.access.keyring import KeyRing
from claracore.http.api.events.announcer import Announcer
from claracore.http.api.parts import Events, Runtime
from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.http.api.views import ModelView, RequestView, Views

BEAT_SECONDS = 0.25
MEMORY_EVERY_BEATS = 8
MOST_REQUESTS = 200
"""In flight at once that are sent one by one; a page shows no more."""

COUNTED_DOWN = frozenset({"ttl_left_seconds", "memory_bytes", "expected_seconds"})
"""Change all the time: sent along, but no reason to send."""


class Sampler:
    """Watches models and requests on behalf of those who follow events; the journal's listener."""

    def __init__(self, runtime: Runtime, ring: KeyRing, events: Events) -> None:
        self._runtime = runtime
        self._ring = ring
        self._broadcaster = events.broadcaster
        self._announcer = events.announcer
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._models: dict[str, ModelView] = {}
        self._requests: dict[int, RequestView] = {}
        self._taps: dict[str, _Tap] = {}
        self._beats = 0
        self._broadcaster.on_interest = self.interest_changed

    def interest_changed(self) -> None:
        """Begin to look when somebody listens, and stop when nobody does."""
        self._tap_logs()
        if self._broadcaster.followers and self._timer is None:
            self._look()
        elif not self._broadcaster.followers:
            self.close()

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._models.clear()
        self._requests.clear()
        for tap in self._taps.values():
            tap.close()
        self._taps.clear()

    def attended(self) -> bool:
        """Whether anybody follows events now or may come back for them."""
        return self._broadcaster.attended()

    def row_added(self, row: ActivityRow) -> None:
        """Send what is kept of a request that is over."""
        self._announcer.row(row)

    def model_changed(self, model_id: str) -> None:
        """Send the state of a model, which has just changed."""
        if model_id not in self._runtime.config.models or not self._broadcaster.followers:
            return
        view = self._models[model_id] = self._views().model(model_id)
        # Without a key: a state that lasted less than a tick of the broadcaster is sent all the same.
        self._broadcaster.publish("model", view.model_dump(mode="json"))
        self._announcer.ports()

    def model_progressed(self, model_id: str) -> None:
        """Send what a model's server has just said about itself, which may be said often."""
        if model_id in self._runtime.config.models and self._broadcaster.wants("model"):
            view = self._models[model_id] = self._views().model(model_id)
            self._broadcaster.publish("model", view.model_dump(mode="json"), key=model_id)

    def models_changed(self) -> None:
        """Send that the list of models is another one."""
        self._models.clear()
        self._tap_logs()
        self._announcer.models()

    def request_over(self, record: Record) -> None:
        """Send that a request is over."""
        if record.ticket is None or not self._broadcaster.followers:
            return
        last = self._requests.pop(record.ticket, None)
        if last is not None:
            data = last.model_dump(mode="json") | {
                "state": "finished",
                "response_bytes": record.response_bytes,
                "tokens": record.events,
            }
            self._broadcaster.publish("request", data, key=record.ticket)

    def _look(self) -> None:
        self._timer = self._loop.call_later(BEAT_SECONDS, self._look)
        self._beats += 1
        self._runtime.look_at_answers()
        if (now := self._loop.time()) >= self._ring.look_again_at:
            self._ring.look(now)  # Who only listens asks for nothing, but its key may be gone.
        if self._broadcaster.wants("model"):
            self._look_at_models()
        if self._broadcaster.wants("request"):
            self._look_at_requests()

    def _look_at_models(self) -> None:
        runtime, views = self._runtime, self._views()
        with_memory = self._beats % MEMORY_EVERY_BEATS == 0
        for model_id, slot in runtime.supervisor.slots.items():
            if model_id not in runtime.config.models:
                continue
            known = self._models.get(model_id)
            if slot.state is ModelState.STOPPED and not slot.waiting and known is None:
                continue
            view = views.model(model_id, with_memory=with_memory)
            if not with_memory and known is not None and view.pid == known.pid:
                view.memory_bytes = known.memory_bytes
            moved = with_memory and known is not None and known.memory_bytes != view.memory_bytes
            if moved or known is None or _lasting(view) != _lasting(known):
                self._broadcaster.publish("model", view.model_dump(mode="json"), key=model_id)
            self._models[model_id] = view

    def _look_at_requests(self) -> None:
        if len(self._runtime.in_flight) > MOST_REQUESTS:
            self._broadcaster.publish("resync", {"topics": ["request"]}, topic="request", key="requests")
            return
        for view in self._request_views():
            if self._requests.get(view.id) != view:
                self._requests[view.id] = view
                self._broadcaster.publish("request", view.model_dump(mode="json"), key=view.id)

    def _views(self) -> Views:
        from claracore.http.api.views import Views  # noqa: PLC0415 - views need pydantic, see late.py

        return Views(self._runtime)

    def _request_views(self) -> list[RequestView]:
        from claracore.http.api.views import request_views  # noqa: PLC0415 - as above

        return request_views(self._runtime)

    def _tap_logs(self) -> None:
        """Listen to the output of exactly the models whose lines somebody wants."""
        runtime = self._runtime
        for model_id in {*runtime.config.models, *self._taps}:
            wanted = model_id in runtime.config.models and self._broadcaster.wants(f"log:{model_id}")
            if wanted and model_id not in self._taps:
                self._taps[model_id] = _Tap(self._announcer, model_id, runtime.supervisor.output(model_id))
            elif not wanted and model_id in self._taps:
                self._taps.pop(model_id).close()


class _Tap:
    """Sends the lines of one model's output (a `LineListener` of its ring)."""

    def __init__(self, announcer: Announcer, model_id: str, ring: OutputRing) -> None:
        self._announcer = announcer
        self._model_id = model_id
        self._ring = ring
        ring.attach(self)

    def push(self, line: str) -> None:
        """Announce a new line of the output."""
        self._announcer.log(self._model_id, LogEntry(line))

    def close(self) -> None:
        """Detach from the ring."""
        self._ring.detach(self)


def _lasting(view: ModelView) -> dict[str, Any]:
    return view.model_dump(exclude=set(COUNTED_DOWN))
