"""How does a model's server give its memory back without ending, and take it again?

By the requests of its option `sleep`, each in a task of its own while the process is watched as always. One that does
not do what it is told is ended, which gives its memory back as well; its next request starts it anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from claracore.core.config.model import ModelConfig
from claracore.core.config.sleep import read_request
from claracore.errors import ClaraCoreError, ModelFailed
from claracore.host.supervisor.health import ask
from claracore.host.supervisor.reports import Reports
from claracore.host.supervisor.runner import RunListener
from claracore.types import Endpoint

logger = logging.getLogger("claracore.supervisor")

LONGEST_SECONDS: Final = 60.0
"""How long an answer may take: weights move at some GiB a second."""


class NappingProcess(Protocol):
    """The process that sleeps."""

    model: ModelConfig
    reports: Reports
    endpoint: Endpoint

    @property
    def lost(self) -> bool:
        """Whether nobody, or somebody else, answers where it was verified."""

    async def answers_again(self) -> bool:
        """Return, when its endpoint answers, whether it is who was verified. Raises ClaraCoreError if it never does."""


class NapTasks:
    """Lets one server sleep, and wakes it."""

    def __init__(self, process: NappingProcess, listener: RunListener, give_up: Callable[[], None]) -> None:
        """`give_up` orders the end of the process."""
        self._process = process
        self._listener = listener
        self._give_up = give_up
        self._task: asyncio.Task[None] | None = None

    def sleep(self) -> bool:
        """Begin to let it sleep; False for a model that has no words for that."""
        return bool(self._process.model.sleep.enter.strip()) and self._begin(self._sleep())

    def wake(self) -> bool:
        """Begin to wake it."""
        return self._begin(self._wake())

    async def close(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _begin(self, work: Coroutine[Any, Any, None]) -> bool:
        self._task = asyncio.create_task(self._guarded(work), name=f"sleep of {self._process.model.id}")
        return True

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (ClaraCoreError, OSError, EOFError, ValueError) as error:
            why = "it did not answer in time" if isinstance(error, TimeoutError) else error
            logger.warning("model %s: stopping, because it could not sleep or wake: %s", self._process.model.id, why)
            self._give_up()

    async def _sleep(self) -> None:
        process = self._process
        await self._tell(process.model.sleep.enter)
        if process.lost:
            raise ModelFailed(process.model.id, "its server no longer listens")
        process.reports.sleeps()
        self._listener.fell_asleep(process.model.id)

    async def _wake(self) -> None:
        process = self._process
        process.reports.wakes()
        await self._tell(process.model.sleep.wake)
        if not await process.answers_again():
            raise ModelFailed(process.model.id, "it is not its server that answers")
        process.reports.awoke()
        self._listener.awoke(process.model.id)

    async def _tell(self, text: str) -> None:
        request = read_request(text)
        headers = {} if request.body else {"Content-Length": "0"}
        async with asyncio.timeout(LONGEST_SECONDS):
            where = self._process.endpoint
            answer = await ask(where, request.method, request.path, body=request.body, headers=headers)
        if not 200 <= answer.status < 300:
            message = answer.body[:200].decode(errors="replace")
            raise ValueError(f"{request.method} {request.path} answered {answer.status} {message}".rstrip())
