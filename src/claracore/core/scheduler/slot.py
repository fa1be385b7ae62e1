"""What does the scheduler remember of one model?"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from claracore.core.scheduler import lifecycle
from claracore.core.scheduler.events import RanOut, SecondTry, StopReason
from claracore.core.scheduler.lifecycle import Trigger
from claracore.core.scheduler.picture import Eviction
from claracore.core.scheduler.policy import ModelPolicy
from claracore.types import ModelState

FOREVER = float("inf")
HALF_LIFE_SECONDS = 900.0
"""A request counts half as much after this long."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """The model takes no new requests and is stopped when its answers are done, or at the deadline if there is one."""

    reason: StopReason
    deadline: float | None = None


class Nap(StrEnum):
    """Where a server is that gives memory back without ending; its state is `stopping`, `ready`, `starting`."""

    FALLING = "falling asleep"
    ASLEEP = "asleep"
    WAKING = "waking"


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
    nap: Nap | None = None
    wanted_since: float | None = None
    """Set when it is to be started although nobody waits: it was loaded when its configuration changed."""
    removed: bool = False
    pinned: bool = False
    """Neither its ttl nor another model stops it."""
    kept_seconds: float | None = None
    """For how long its present server is to stay loaded without requests, if somebody has said so; inf: always."""
    failing: Failing | None = None
    loading_since: float = 0.0
    loading_seconds: dict[int, float] = field(default_factory=dict)
    """For how long the model was loaded for a waiting request, which is no time of waiting for its turn."""
    load_seconds: float | None = None
    """How long its last load took."""
    served: int = 0
    """How many requests were handed to it that `warmth` does not count yet."""
    warmth: float = 0.0
    """How often it was used, as of `warmth_at`: older uses count less."""
    warmth_at: float = 0.0
    ran_out: RanOut | None = None
    """What is known of the memory that its server could not get, until that has ended."""
    tries: frozenset[SecondTry] = frozenset()
    """In which ways it was started again since it ran out of memory first."""
    looking_since: float | None = None
    """Since when it is looked at what its start needs; None when it is not."""
    seen_at: float = -FOREVER
    """When that was seen to be there."""
    ended_at: float = -FOREVER
    """When its last server was gone."""
    displaced: Eviction | None = None
    """Whom it had to go for, until it is started again."""

    def move(self, trigger: Trigger) -> None:
        """Take one step in the table of `lifecycle`."""
        self.state = lifecycle.after(self.state, trigger)

    def count_loading(self, now: float, began: float | None = None) -> None:
        """Remember, when it is loading no more, how long those who wait have waited for that.

        `began`: not since the load did, but since then.
        """
        since_when = self.loading_since if began is None else began
        self.loading_seconds = {
            request: self.loading_seconds.get(request, 0.0) + now - max(since, since_when)
            for request, since in self.waiting.items()
        }

    def looked(self, now: float, seen_at: float = -FOREVER) -> None:
        """Take in that what its start needs is looked at no longer; `seen_at`: when it was seen to be there."""
        if self.looking_since is not None:
            self.count_loading(now, self.looking_since)
        self.looking_since, self.seen_at = None, seen_at

    def warmth_now(self, now: float) -> tuple[float, float]:
        """Return how often it was used, and as of when: of its last use, or of `now` while it answers."""
        at = now if self.serving else max(self.idle_since, self.warmth_at)
        return self.warmth * _faded(at - self.warmth_at) + self.served, at

    def take_in_uses(self, now: float) -> None:
        """Count the uses since this was called last, as of the last one."""
        if self.served:
            self.warmth, self.warmth_at = self.warmth_now(now)
            self.served = 0

    def price(self, now: float) -> float:
        """Return what it costs to let it go: the seconds that it takes to load, by how likely it is wanted again."""
        warmth, at = self.warmth_now(now)
        likely = 1.0 - math.exp2(-warmth * _faded(max(0.0, now - at)))
        seconds = now - self.loading_since if self.load_seconds is None else self.load_seconds
        return seconds * likely

    def gives_up_at(self, request: int) -> float:
        """When a waiting request has waited too long for its turn; never, while that time does not run."""
        if not self.policy.queue_timeout_seconds or self.state is ModelState.STARTING or self.looking_since is not None:
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
    def is_down(self) -> bool:
        """Whether it has to start, or to wake, before it serves."""
        return self.state is ModelState.STOPPED or self.nap is Nap.ASLEEP

    @property
    def is_up(self) -> bool:
        """Whether its server serves."""
        return self.state is ModelState.READY and self.nap is not Nap.ASLEEP

    @property
    def can_be_stopped(self) -> bool:
        """Whether its server can be ordered to stop."""
        return self.state in {ModelState.STARTING, ModelState.READY} or self.nap is Nap.FALLING

    @property
    def awake(self) -> bool:
        """Whether its server runs, somebody waits for it, or it is to come back by itself."""
        return self.state is not ModelState.STOPPED or self.oldest_wait is not None or self.comes_back

    @property
    def comes_back(self) -> bool:
        """Whether it is started again when what it had to go for has gone."""
        return self.displaced is not None and self.policy.reload and not self.removed

    @property
    def can_go(self) -> bool:
        """Whether that it stops disturbs nobody: it is ending, or neither answers nor loads for somebody who waits."""
        if self.state is ModelState.STOPPING:
            return True
        if self.state is ModelState.STARTING:
            return not self.waiting and self.wanted_since is None
        return not self.serving

    @property
    def ttl_seconds(self) -> float:
        """For how long it stays loaded without requests: inf where it always does."""
        if self.pinned:
            return FOREVER
        return (self.policy.ttl_seconds or FOREVER) if self.kept_seconds is None else self.kept_seconds

    @property
    def is_idle(self) -> bool:
        """Whether it is ready, and nobody wants anything of it."""
        return self.state is ModelState.READY and not self.serving and not self.waiting and self.leaving is None

    @property
    def expires_at(self) -> float | None:
        """When its ttl runs out if nothing happens, or None."""
        return self.idle_since + self.ttl_seconds if self.is_idle and self.ttl_seconds != FOREVER else None

    def stays_until(self, now: float) -> float:
        """When its ttl runs out if it is not used from now on: inf where it does not."""
        expires_at = self.expires_at
        return now + self.ttl_seconds if expires_at is None else expires_at


def _faded(seconds: float) -> float:
    """Return how much a use of so long ago counts, of 1."""
    return math.exp2(-seconds / HALF_LIFE_SECONDS)
