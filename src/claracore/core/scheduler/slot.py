"""What does the scheduler remember of one model?"""

from __future__ import annotations

from dataclasses import dataclass, field

from claracore.core.scheduler import lifecycle
from claracore.core.scheduler.events import StopReason
from claracore.core.scheduler.lifecycle import Trigger
from claracore.core.scheduler.policy import ModelPolicy
from claracore.types import ModelState

FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Leaving:
    """The model takes no new requests and is stopped when its answers are done, or at the deadline if there is one."""

    reason: StopReason
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Failing:
    """The last start failed: how many did in a row, when it was, and from when on requests may start it again."""

    times: int
    at: float
    retry_at: float


@dataclass(slots=True)
class Slot:
    """One model: its state, who is being served, and who waits since when (oldest first)."""

    model: str
    policy: ModelPolicy
    state: ModelState = ModelState.STOPPED
    serving: set[int] = field(default_factory=set)
    waiting: dict[int, float] = field(default_factory=dict)
    idle_since: float = 0.0
    leaving: Leaving | None = None
    wanted_since: float | None = None
    """Set when it is to be started although nobody waits: it was loaded when its configuration changed."""
    removed: bool = False
    pinned: bool = False
    """Neither its ttl nor another model stops it."""
    failing: Failing | None = None
    loading_since: float = 0.0
    loading_seconds: dict[int, float] = field(default_factory=dict)
    """For how long the model was loaded for a waiting request, which is no time of waiting for its turn."""

    def move(self, trigger: Trigger) -> None:
        """Take one step in the table of `lifecycle`."""
        self.state = lifecycle.after(self.state, trigger)

    def count_loading(self, now: float) -> None:
        """Remember, when it is loading no more, how long those who wait have waited for that."""
        self.loading_seconds = {
            request: self.loading_seconds.get(request, 0.0) + now - max(since, self.loading_since)
            for request, since in self.waiting.items()
        }

    def gives_up_at(self, request: int) -> float:
        """When a waiting request has waited too long for its turn; never, while that time does not run."""
        if not self.policy.queue_timeout_seconds or self.state is ModelState.STARTING:
            return FOREVER
        return self.waiting[request] + self.loading_seconds.get(request, 0.0) + self.policy.queue_timeout_seconds

    @property
    def has_capacity(self) -> bool:
        """Whether one more request may be served at once."""
        return not self.policy.concurrency or len(self.serving) < self.policy.concurrency

    @property
    def oldest_wait(self) -> float | None:
        """Since when the longest waiting request waits, or since when the model is wanted without one."""
        return next(iter(self.waiting.values()), self.wanted_since)

    @property
    def awake(self) -> bool:
        """Whether its server runs, or somebody waits for it."""
        return self.state is not ModelState.STOPPED or self.oldest_wait is not None

    @property
    def can_go(self) -> bool:
        """Whether that it stops disturbs nobody: it is ending, or neither answers nor loads for somebody who waits."""
        if self.state is ModelState.STOPPING:
            return True
        if self.state is ModelState.STARTING:
            return not self.waiting and self.wanted_since is None
        return not self.serving

    @property
    def expires_at(self) -> float | None:
        """When its ttl runs out if nothing happens, or None."""
        idle = self.state is ModelState.READY and not self.serving and not self.waiting and self.leaving is None
        expires = idle and self.policy.ttl_seconds and not self.pinned
        return self.idle_since + self.policy.ttl_seconds if expires else None
