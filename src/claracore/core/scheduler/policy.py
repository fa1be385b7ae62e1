"""What does the configuration ask of the scheduler?

The few numbers per model and the eviction rule, taken from a `Config`; nothing about commands or ports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, Footprint
from claracore.core.scheduler.picture import MemoryPicture


@dataclass(frozen=True, slots=True)
class ModelPolicy:
    """How one model is treated. Zero means "none" for ttl and concurrency, as in the configuration."""

    ttl_seconds: float = 0.0
    concurrency: int = 0
    priority: int = 0
    queue_limit: int = 256
    queue_timeout_seconds: float = 600.0
    """How long a request may wait for its turn; the time in which its model is being started does not count."""
    drain_seconds: float = 10.0
    """How long answers in progress may go on after somebody asked for the model to be unloaded."""
    reload: bool = False
    """Whether it is started again when what it had to go for has gone."""
    sleeps: bool = False
    """Whether its server can give memory back without ending."""
    asleep: Footprint = UNKNOWN_FOOTPRINT
    """What it takes while it sleeps, where that is declared."""
    foreseeable: bool = False
    """Whether it can be seen before a start that it would fail: until that was looked at, nobody goes for it."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A model is to start: everything that an eviction rule may look at.

    What is the same in every situation (groups, the sets of a matrix) is a field of the rule itself. A situation may
    be one that is only thought of, in which those ahead have had their turn (`outlook`).
    """

    target: str
    running: frozenset[str]
    """Every model whose server starts, runs or ends, without the target."""
    idle_since: Mapping[str, float] = field(default_factory=dict)
    """When those that are ready and answer nobody gave their last answer, by id, in seconds of the scheduler's clock.

    Not in it are who answers, starts or ends, and who is ahead and runs in thought only."""
    ending: frozenset[str] = frozenset()
    """Those that have been ordered to stop: their place will be free whatever the rule says, but is not yet."""
    ahead: tuple[str, ...] = ()
    """The models that get their place before the target, in turn. In a situation that is thought of they run."""
    memory: MemoryPicture | None = None
    """What is known of memory; None where no rule asks for it, or nothing was seen yet."""

    def with_running(self, model: str) -> Situation:
        """Return the same with one more model that runs, awake."""
        memory = self.memory.with_awake(model) if self.memory is not None else None
        return replace(self, running=self.running | {model}, memory=memory)


class EvictionRule(Protocol):
    """Says which of the running models must go so that the target fits.

    The same answer for equal situations: the rule is asked again and again, also about what is only thought of.
    """

    def evictees(self, situation: Situation) -> frozenset[str]:
        """Return the part of `situation.running` that must be stopped before the target starts."""
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the scheduler must know; replaced as a whole when the configuration changes."""

    rule: EvictionRule
    models: Mapping[str, ModelPolicy] = field(default_factory=dict)
    patience_seconds: float = 5.0
    """How long a waiting request lets a busy model in its way take new requests: batches them, without starving."""
    aging_seconds: float = 30.0
    """A request that has waited this long goes before every younger one, whatever their priorities."""
    retry_seconds: float = 5.0
    """After a start that failed, requests start the model again when this has passed; twice as long after the next."""
    longest_retry_seconds: float = 60.0

    def retry_after(self, failures: int) -> float:
        """Return how long requests start a model no more after so many failed starts in a row."""
        return min(self.retry_seconds * 2.0 ** min(failures - 1, 32), self.longest_retry_seconds)
