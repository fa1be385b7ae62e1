"""What does a client hear while its model loads?

Nothing, unless it asked for a stream. A chat stream whose model says `sendLoadingState` gets the state at once, in
chunks of the same shape as the answer's (`reasoning_content`, with id, object, model and index); any other stream gets
SSE comments after a while, so that nobody on the way takes the silence for a dead connection. Either commits the answer
to 200, so whatever fails later becomes an SSE error event.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from claracore.core.loading.expected import NOTHING_EXPECTED, ExpectedLoad
from claracore.core.loading.phases import LoadPhase
from claracore.core.units import about, gib
from claracore.http.wire import sse
from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.host.activity.record import Record
    from claracore.http.gateway.answer import AnswerWriter
    from claracore.http.gateway.contract import ModelSupervisor


NOTABLE_PART = 0.05
"""Of the weights: so much more that is read is worth a word."""


FINGERPRINT = "claracore-loading"
"""By which a client may tell our words from the model's thoughts."""


class LoadingStream:
    """One stream that waits for its model; its timer runs only while it does."""

    def __init__(self, answer: AnswerWriter, record: Record, supervisor: ModelSupervisor) -> None:
        self._answer = answer
        self._record = record
        self._supervisor = supervisor
        self._shows_loading = False
        self._every_seconds = 0.0
        self._id = f"chatcmpl-{uuid4().hex}"
        self._created = int(time.time())
        """Seconds since 1970, as OpenAI's `created` has it."""
        self._last_text = ""
        self._expected = ""
        """How long the load takes, in words: as it was known first, so that the text does not change all the time."""
        self._phase: LoadPhase | None = None
        """What was said last that the load is at; None before anything was."""
        self._read_bytes = 0
        """... and how much it has read."""
        self._timer: asyncio.TimerHandle | None = None

    def show_loading(self, every_seconds: float) -> None:
        """Say at once, and every so often, how it stands, in chunks of a chat completion."""
        self._shows_loading = True
        self._every_seconds = every_seconds
        self.tick()

    def keep_alive(self, every_seconds: float) -> None:
        """Send a comment every so often, the first one after that time."""
        self._every_seconds = every_seconds
        self.schedule()

    def schedule(self) -> None:
        """Say something again later."""
        self._timer = asyncio.get_running_loop().call_later(self._every_seconds, self.tick)

    def stop(self) -> None:
        """Say no more; a loading message that was begun is ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._shows_loading and self._last_text:
                self._last_text = ""
                self._answer.write_event(self._frame("\nready\n"))

    def tick(self) -> None:
        """Say how it stands."""
        if not self._answer.started:
            self._answer.begin_stream()
            if self._shows_loading:
                self._answer.write_event(self._frame(None))
        text = self._state()
        if not self._shows_loading:
            self._answer.write_event(sse.comment(", ".join(filter(None, (text, self._load.words)))))
        elif text != self._last_text:
            self._answer.write_event(self._frame(self._following(text)))
        else:
            self._answer.write_event(self._frame(self._news()))
        self._last_text = text
        self.schedule()

    def _news(self) -> str:
        """Return what is written where the state is the same: what the load is at now, how far it is, or a dot."""
        load = self._load
        read = load.read_bytes or 0
        if load.words and load.phase not in {self._phase, LoadPhase.STARTING}:
            self._phase, self._read_bytes = load.phase, read
            time = about(load.left_seconds) if load.phase is LoadPhase.WARMUP else ""
            return f"\n{', '.join(filter(None, (load.words, time)))}"
        if read - self._read_bytes >= NOTABLE_PART * (load.total_bytes or 0) > 0:
            self._read_bytes = read
            return f" {gib(read)}"
        return "."

    @property
    def _load(self) -> ExpectedLoad:
        model = self._record.model
        starts = self._record.ticket is not None and self._supervisor.state(model) is ModelState.STARTING
        return self._supervisor.expected_load(model) if starts else NOTHING_EXPECTED

    def _state(self) -> str:
        model, request_id = self._record.model, self._record.ticket
        if request_id is None:
            return "waiting"
        position = self._supervisor.position(request_id)
        if position is not None and self._supervisor.state(model) is not ModelState.STARTING:
            return f"waiting for {model}, place {position} in the queue"
        if not self._expected:
            self._expected = about(self._supervisor.expected_load(model).left_seconds)
        return ", ".join(filter(None, (f"loading {model}", self._expected)))

    def _following(self, text: str) -> str:
        """Return what is written of a text after the last one: only what is new of the same line, or a new line."""
        if self._last_text and text.startswith(self._last_text):
            return text.removeprefix(self._last_text)
        return f"\n{text}" if self._last_text else text

    def _frame(self, text: str | None) -> bytes:
        delta = {"role": "assistant", "content": None} if text is None else {"reasoning_content": text}
        data = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._record.requested,
            "system_fingerprint": FINGERPRINT,
            "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        }
        return sse.event(msgspec.json.encode(data))
