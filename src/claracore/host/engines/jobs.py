"""Which engines are being installed by this ClaraCore, and how does one end?

One at a time: the manager's lock holds off the others. A job goes on without anybody connected, and whoever watches is
told of each change.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final

from claracore.core.engines.job import ENDED, EngineAction, EngineJob, EngineStage, EngineWish
from claracore.errors import ClaraCoreError, Conflict, NotFound
from claracore.host.engines.manager import EngineManager

KEPT: Final = 20
"""So many jobs that have ended are shown."""
ANNOUNCE_SECONDS: Final = 0.2
"""Between two announcements of more bytes."""

logger = logging.getLogger("claracore.engines")


class NoSuchEngineJob(NotFound):
    """There is no such job; 404."""

    code = "no_such_job"
    cause = "There is no job of this number."
    way_out = "Take one of `GET /api/engines`; those of a ClaraCore that has ended are gone."


class EngineJobs:
    """The jobs of one ClaraCore."""

    def __init__(
        self,
        manager: EngineManager,
        on_change: Callable[[EngineJob], None] = lambda _job: None,
        on_engines: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Take who is told of each change, and who is told that other engines are there or in use than before."""
        self.manager = manager
        self._on_change = on_change
        self._on_engines = on_engines
        self._all: dict[str, EngineJob] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._announced = (0.0, EngineStage.FINISHED)
        """When something was announced last, and at which stage that job was."""

    @property
    def all(self) -> list[EngineJob]:
        """The jobs, the oldest first."""
        return list(self._all.values())

    def get(self, job_id: str) -> EngineJob:
        """Return a job. Raises NoSuchEngineJob."""
        try:
            return self._all[job_id]
        except KeyError:
            raise NoSuchEngineJob(f"there is no job {job_id!r}") from None

    def begin(self, action: EngineAction, wish: EngineWish) -> EngineJob:
        """Begin a job; the same that goes on already is returned instead of a second."""
        for job in self._all.values():
            if job.stage not in ENDED and (job.action, job.wish.name) == (action, wish.name) and job.wish == wish:
                return job
        job = EngineJob(secrets.token_hex(6), action, wish, begun_at=time.time())
        ended = [known.id for known in self._all.values() if known.stage in ENDED]
        for job_id in ended[: max(0, len(ended) - KEPT)]:
            del self._all[job_id]
        self._all[job.id] = job
        self._tasks[job.id] = asyncio.get_running_loop().create_task(self._run(job), name=f"engine {job.id}")
        return job

    def cancel(self, job_id: str) -> EngineJob:
        """Have a job end; what was fetched stays for the next time. Raises NoSuchEngineJob, Conflict."""
        job = self.get(job_id)
        if job.stage in ENDED:
            raise Conflict(f"the job has {job.stage}; only one that goes on can be cancelled")
        if job.engine is not None:
            raise Conflict(f"{job.engine} is installed; `claracore engines remove` removes it")
        self._tasks[job_id].cancel()
        return job

    async def ended(self, job_id: str) -> EngineJob:
        """Return a job when it has ended."""
        job = self.get(job_id)
        if (task := self._tasks.get(job_id)) is not None:
            await asyncio.wait({task})
        return job

    async def engines_changed(self) -> None:
        """Tell that other engines are there or in use than before."""
        if self._on_engines is not None:
            await self._on_engines()

    async def close(self) -> None:
        """End all jobs, and wait until they are."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: EngineJob) -> None:
        try:
            act = self.manager.install if job.action == "install" else self.manager.update
            await act(job, self._changed)
            # Before anybody sees that it has finished: the next start is to take what was installed.
            await self.engines_changed()
            job.stage = EngineStage.FINISHED
            logger.info("%s is installed: %s", job.engine, job.reason)
        except asyncio.CancelledError:
            job.stage = EngineStage.CANCELLED
        except ClaraCoreError as error:
            self._failed(job, error.message, error.code)
        except OSError as error:
            self._failed(job, f"{error.strerror or error}", "folder_unusable")
        finally:
            job.ended_at = time.time()
            self._tasks.pop(job.id, None)
            self._on_change(job)

    def _failed(self, job: EngineJob, message: str, code: str) -> None:
        job.stage, job.error, job.error_code = EngineStage.FAILED, message, code
        logger.warning("no engine was installed: %s", message)

    def _changed(self, job: EngineJob) -> None:
        """Announce a change; of more bytes not each."""
        now = time.monotonic()
        at, stage = self._announced
        if job.stage is not EngineStage.DOWNLOADING or stage is not job.stage or now - at >= ANNOUNCE_SECONDS:
            self._announced = now, job.stage
            self._on_change(job)
