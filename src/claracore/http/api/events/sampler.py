"""How do changes that nobody announces (queues, bytes, memory) become events?

While somebody follows, it looks four times a second at what runs and tells what has changed; while nobody does, it
rests. So the path of a request carries no cost for the people who watch it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from claracore.host.activity.record import Record
from claracore.host.logs.output import OutputRing
from claracore.host.logs.proxy import LogEntry
from claracore.http.api.context import Context
from claracore.http.api.views import ModelView, RequestView, Views, request_views
from claracore.types import ModelState

BEAT_SECONDS = 0.25
MEMORY_EVERY_BEATS = 8
MOST_REQUESTS = 200
"""In flight at once that are told one by one; a page shows no more."""

COUNTED_DOWN = frozenset({"ttl_left_seconds", "memory_bytes"})
"""What changes all the time: sent along, but no reason to send."""


class Pulse:
    """Watches on behalf of the followers of a hub."""

    def __init__(self, here: Context) -> None:
        self._here = here
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._models: dict[str, ModelView] = {}
        self._requests: dict[int, RequestView] = {}
        self._taps: dict[str, _Tap] = {}
        self._beats = 0
        here.hub.on_interest = self.interest_changed

    def interest_changed(self) -> None:
        """Begin to look when somebody listens, and stop when nobody does."""
        self._tap_logs()
        if self._here.hub.followers and self._timer is None:
            self._look()
        elif not self._here.hub.followers:
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

    def model_changed(self, model_id: str) -> None:
        """Tell the state of a model, which has just changed."""
        here = self._here
        if model_id not in here.config.models or not here.hub.followers:
            return
        view = self._models[model_id] = Views(here).model(model_id)
        # Without a key: a state that lasted less than a tick of the hub is told all the same.
        here.hub.publish("model", view.model_dump(mode="json"))
        here.hub.publish("ports", {}, key="")

    def model_told(self, model_id: str) -> None:
        """Tell what a model's server has just said about itself, which may be said often."""
        here = self._here
        if model_id in here.config.models and here.hub.wants("model"):
            view = self._models[model_id] = Views(here).model(model_id)
            here.hub.publish("model", view.model_dump(mode="json"), key=model_id)

    def models_changed(self) -> None:
        """Tell that the list of models is another one."""
        self._models.clear()
        self._tap_logs()
        self._here.hub.publish("models", {}, key="")

    def request_over(self, record: Record) -> None:
        """Tell that a request is over."""
        if record.request_id is None or not self._here.hub.followers:
            return
        last = self._requests.pop(record.request_id, None)
        if last is not None:
            data = last.model_dump(mode="json") | {"state": "finished", "response_bytes": record.response_bytes}
            self._here.hub.publish("request", data, key=record.request_id)

    def logged(self, source: str, entry: LogEntry) -> None:
        """Tell a line of a log."""
        data = {"source": source, "at": entry.at, "level": entry.level, "text": entry.text}
        self._here.hub.publish("log", data, topic=f"log:{source}")

    def _look(self) -> None:
        self._timer = self._loop.call_later(BEAT_SECONDS, self._look)
        self._beats += 1
        self._here.look_at_answers()
        if (now := self._loop.time()) >= self._here.ring.look_again_at:
            self._here.ring.look(now)  # Who only listens asks for nothing, but its key may be gone.
        if self._here.hub.wants("model"):
            self._look_at_models()
        if self._here.hub.wants("request"):
            self._look_at_requests()

    def _look_at_models(self) -> None:
        here, views = self._here, Views(self._here)
        with_memory = self._beats % MEMORY_EVERY_BEATS == 0
        for model_id, slot in here.supervisor.slots.items():
            if model_id not in here.config.models:
                continue
            known = self._models.get(model_id)
            if slot.state is ModelState.STOPPED and not slot.waiting and known is None:
                continue
            view = views.model(model_id, with_memory=with_memory)
            if not with_memory and known is not None and view.pid == known.pid:
                view.memory_bytes = known.memory_bytes
            moved = with_memory and known is not None and known.memory_bytes != view.memory_bytes
            if moved or known is None or _lasting(view) != _lasting(known):
                here.hub.publish("model", view.model_dump(mode="json"), key=model_id)
            self._models[model_id] = view

    def _look_at_requests(self) -> None:
        here = self._here
        in_flight = here.in_flight()
        if len(in_flight) > MOST_REQUESTS:
            here.hub.publish("resync", {"topics": ["request"]}, topic="request", key="requests")
            return
        for view in request_views(here):
            if self._requests.get(view.id) != view:
                self._requests[view.id] = view
                here.hub.publish("request", view.model_dump(mode="json"), key=view.id)

    def _tap_logs(self) -> None:
        """Listen to the output of exactly the models whose lines somebody wants."""
        here = self._here
        for model_id in {*here.config.models, *self._taps}:
            wanted = model_id in here.config.models and here.hub.wants(f"log:{model_id}")
            if wanted and model_id not in self._taps:
                self._taps[model_id] = _Tap(self, model_id, here.supervisor.output(model_id))
            elif not wanted and model_id in self._taps:
                self._taps.pop(model_id).close()


class _Tap:
    """Hears the lines of one model's output."""

    def __init__(self, pulse: Pulse, model_id: str, ring: OutputRing) -> None:
        self._pulse = pulse
        self._model_id = model_id
        self._ring = ring
        ring.attach(self)

    def push(self, line: str) -> None:
        """Tell a line."""
        self._pulse.logged(self._model_id, LogEntry(line))

    def close(self) -> None:
        """Stop listening."""
        self._ring.detach(self)


def _lasting(view: ModelView) -> dict[str, Any]:
    return view.model_dump(exclude=set(COUNTED_DOWN))
