"""Who ahead would have to stop a model again if it started now?

The eviction rule is asked about everything that runs at once, never pair by pair: under a matrix each two of three
models may get along, and all three not. So each model that somebody ahead waits for is given its place in thought, one
after another: what must go for it is gone, and it runs. A later model stands in the way of one of them if, with it,
more must go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from claracore.core.scheduler.picture import MemoryPicture
from claracore.core.scheduler.policy import EvictionRule, Situation


@dataclass(frozen=True, slots=True)
class Turn:
    """What a model meets when it gets its place, and what of that goes for it."""

    situation: Situation
    gone: frozenset[str]


class Outlook:
    """What runs now, and what will, when those who claim their place have got it in turn."""

    def __init__(
        self,
        rule: EvictionRule,
        running: frozenset[str],
        idle_since: Mapping[str, float],
        ending: frozenset[str],
        memory: MemoryPicture | None = None,
    ) -> None:
        """Look ahead from what runs now; `running`, `idle_since`, `ending` and `memory` as in `Situation`."""
        self._rule = rule
        self._running = running
        self._idle_since = idle_since
        self._ending = ending
        self._memory = memory
        self._turns: list[Turn] = []
        self._asked: tuple[str, frozenset[str]] | None = None
        """Who was asked about last, and the answer, which stays the same until somebody starts or claims a place."""

    @property
    def running(self) -> frozenset[str]:
        """Every model whose server starts, runs or ends."""
        return self._running

    def now(self, model: str) -> Situation:
        """Return what this model meets if it starts now; it may itself be what is ending."""
        return self._situation(model, self._running, self._memory)

    def evictees(self, model: str) -> frozenset[str]:
        """Return what must stop before this model starts now."""
        if self._asked is None or self._asked[0] != model:
            self._asked = model, self._rule.evictees(self.now(model))
        return self._asked[1]

    def started(self, model: str) -> None:
        """Take in that a model that hinders nobody runs from now on."""
        self._asked = None
        self._running |= {model}
        self._memory = self._memory.with_awake(model) if self._memory is not None else None
        self._turns = [Turn(turn.situation.with_running(model), turn.gone) for turn in self._turns]

    def stopped(self, models: Iterable[str]) -> None:
        """Take in that models have been ordered to stop: who looks from now on need not have others stopped."""
        self._ending |= frozenset(models)

    def claim(self, model: str) -> frozenset[str]:
        """Take in that a model is to have its place when those that claimed theirs before have had their turn.

        Return what goes for it then.
        """
        self._asked = None
        running, memory = self._running, self._memory
        if self._turns:
            last = self._turns[-1]
            running = last.situation.running - last.gone | {last.situation.target}
            memory = last.situation.memory
        situation = self._situation(model, running, memory)
        gone = self._rule.evictees(situation)
        self._turns.append(Turn(situation, gone))
        return gone

    def hindered_by(self, model: str) -> Iterator[str]:
        """Return who claims a place for which more would have to go if this model started now."""
        for turn in self._turns:
            if self._rule.evictees(turn.situation.with_running(model)) - turn.gone:
                yield turn.situation.target

    def hinders(self, model: str) -> bool:
        """Whether anybody's claim is hindered if this model starts now."""
        return next(self.hindered_by(model), None) is not None

    def displacing(self, model: str) -> Iterator[str]:
        """Return who claims a place for which this model, which runs, must go."""
        return (turn.situation.target for turn in self._turns if model in turn.gone)

    def _situation(self, model: str, running: frozenset[str], memory: MemoryPicture | None) -> Situation:
        ahead = tuple(turn.situation.target for turn in self._turns)
        seen = memory.with_awake(model) if memory is not None else None
        return Situation(model, running - {model}, self._idle_since, self._ending, ahead, seen)
