"""How are models, their servers and the requests for them at this moment, for whoever looks?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from claracore.core.config.model import Config
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.obstacle import Obstacle
from claracore.core.scheduler.slot import Slot
from claracore.errors import ClaraCoreError
from claracore.host.logs.output import OutputRing
from claracore.host.supervisor.preview import LoadPreview, load_preview
from claracore.host.supervisor.running import Running
from claracore.host.supervisor.runs import Runs
from claracore.types import ModelState


class SupervisorView:
    """What can be seen of the supervisor; nothing here changes anything."""

    config: Config
    _loop: asyncio.AbstractEventLoop
    _scheduler: Scheduler
    _runs: Runs

    def position(self, request_id: int) -> int | None:
        """Return the 1-based place of a request in its model's queue; None when it does not wait."""
        return self._scheduler.position(request_id)

    def obstacle(self, model_id: str) -> Obstacle | None:
        """Return what the requests that wait for a model wait for; None when none waits."""
        return self._scheduler.obstacle(model_id, self._loop.time())

    def preview(self, model_id: str, after: Sequence[str] = ()) -> LoadPreview:
        """Return what would follow if this model, which is stopped, started now; or after these, one by one."""
        return load_preview(self._scheduler, model_id, self._loop.time(), after)

    def retry_seconds(self, model_id: str) -> float | None:
        """Return for how long requests are refused with `failure` without another try; None when they are not."""
        failing = self._scheduler.failing(model_id, now := self._loop.time())
        return failing.retry_at - now if failing is not None else None

    def state(self, model_id: str) -> ModelState:
        """Return the state of a model; a model that is not known is stopped."""
        slot = self._scheduler.slots.get(model_id)
        return slot.state if slot else ModelState.STOPPED

    @property
    def by_memory(self) -> bool:
        """Whether memory decides which models run together."""
        return self.config.routing.router.use == "memory"

    @property
    def slots(self) -> Mapping[str, Slot]:
        """State, requests in progress and waiting, by model id; for looking at."""
        return self._scheduler.slots

    def running(self, model_id: str) -> Running | None:
        """Return how the model's server is now; None when there is none."""
        run = self._runs.get(model_id)
        return run.running(self.state(model_id)) if run is not None else None

    def all_running(self) -> dict[str, Running]:
        """Return how each model's server is now, by model id; models without one are left out."""
        return {model_id: run.running(self.state(model_id)) for model_id, run in self._runs}

    def output(self, model_id: str) -> OutputRing:
        """Return what the model's servers have printed."""
        return self._runs.output(model_id)

    def failure(self, model_id: str) -> ClaraCoreError | None:
        """Return why the last run of a model failed; None when it did not."""
        return self._runs.failure(model_id)
