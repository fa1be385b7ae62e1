"""What is to happen next when several machines start a model together, run it, and end it?

Pure: what becomes of ranks goes in as events, what is to be done comes out as orders. Three laws:

1. All or nothing. Rank 0 is started when every other rank is ready, and the model is ready when rank 0 is.
2. One ends, all end. Whatever is lost, and whenever: rank 0 first, so that it is not surprised by its ranks' end.
3. Whoever was asked is released. A rank that was ordered somewhere is over only when that machine has said so, or
   cannot have it any more; `AllOver` comes after the last of them, once, and nothing after it.

A machine that refuses a rank has begun nothing: the next one that is able takes its number. Of a rank that began and
failed that is not tried: what is wrong with it is likely to be wrong elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never


class AssemblyPhase(StrEnum):
    """How far the whole is."""

    GATHERING = "gathering"
    """Ranks are starting on their machines."""
    STARTING = "starting"
    """All are ready; rank 0 starts."""
    READY = "ready"
    ENDING = "ending"
    OVER = "over"


class RankState(StrEnum):
    """How one of the other ranks is."""

    ASKED = "asked"
    READY = "ready"
    ENDING = "ending"
    """It was released; its machine has not said yet that it is gone."""
    GONE = "gone"
    """Nothing of it runs anywhere."""


# --- what happens ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RankReady:
    """A rank runs on its machine, and listens if it is one that listens."""

    rank: int


@dataclass(frozen=True, slots=True)
class RankRefused:
    """A machine has not taken a rank: nothing of it was begun there."""

    rank: int
    why: str


@dataclass(frozen=True, slots=True)
class RankLost:
    """A rank has failed or ended, or its machine is lost; something of it may still run there."""

    rank: int
    why: str


@dataclass(frozen=True, slots=True)
class RankGone:
    """Nothing of a rank that was released runs any more, or will for longer than its machine was allowed to."""

    rank: int


@dataclass(frozen=True, slots=True)
class MasterReady:
    """Rank 0 answers."""


@dataclass(frozen=True, slots=True)
class MasterEnded:
    """Rank 0 has ended, asked or not; `why` is empty when it was asked to."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class EndAsked:
    """The model is to stop."""


AssemblyEvent = RankReady | RankRefused | RankLost | RankGone | MasterReady | MasterEnded | EndAsked

# --- what is to be done ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskRank:
    """Have a machine start a rank. Answered by one `RankReady` or `RankRefused`, or by `RankLost` at any time."""

    rank: int
    node: str


@dataclass(frozen=True, slots=True)
class ReleaseRank:
    """Have its machine end a rank. Answered by one `RankGone`."""

    rank: int


@dataclass(frozen=True, slots=True)
class StartMaster:
    """Start rank 0. Answered by one `MasterEnded`, and perhaps by `MasterReady` before."""


@dataclass(frozen=True, slots=True)
class TellReady:
    """Say that the model is ready."""


@dataclass(frozen=True, slots=True)
class EndMaster:
    """Stop rank 0."""


@dataclass(frozen=True, slots=True)
class AllOver:
    """Nothing of the model runs any more. The last order."""


AssemblyOrder = AskRank | ReleaseRank | StartMaster | TellReady | EndMaster | AllOver

_HOLDING: Final = frozenset({RankState.ASKED, RankState.READY})


@dataclass(slots=True)
class _Rank:
    node: str
    state: RankState


class Assembly:
    """One start of a model on several machines, until all of it is over."""

    def __init__(self, others: int, able: Sequence[str]) -> None:
        """`able` are the machines that may run one of the other ranks, the best first; at least `others`."""
        self.phase = AssemblyPhase.GATHERING
        self.failure = ""
        """Why it did not go as it should have, with the machine; empty when it did until its end was asked for."""
        self.lost = False
        """Whether it had been ready before that."""
        self.refused: dict[str, str] = {}
        """The machines that have not taken a rank, and why."""
        self.short = False
        """Whether the reason is that too few machines were left."""
        self._spare = list(able[others:])
        self._ranks = {rank: _Rank(node, RankState.ASKED) for rank, node in enumerate(able[:others], 1)}
        self._master_runs = False

    @property
    def nodes(self) -> dict[int, str]:
        """The machine of each rank that may run there."""
        return {rank: each.node for rank, each in self._ranks.items() if each.state is not RankState.GONE}

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The machines whose ranks are not ready yet."""
        return tuple(each.node for each in self._ranks.values() if each.state is RankState.ASKED)

    def begin(self) -> list[AssemblyOrder]:
        """Return the first orders."""
        return [AskRank(rank, each.node) for rank, each in self._ranks.items()]

    def handle(self, event: AssemblyEvent) -> list[AssemblyOrder]:
        """Take what has happened; return what is to be done. What comes too late orders nothing."""
        match event:
            case RankReady(rank):
                return self._rank_ready(self._ranks[rank])
            case RankRefused(rank, why):
                return self._rank_refused(rank, why)
            case RankLost(rank, why):
                each = self._ranks[rank]
                return self._end(f"machine {each.node!r}: {why}") if each.state in _HOLDING else []
            case RankGone(rank):
                return self._gone(self._ranks[rank])
            case MasterReady():
                return self._master_ready()
            case MasterEnded(why):
                self._master_runs = False
                return self._end(why) or self._release_all()
            case EndAsked():
                return self._end("")
            case _:
                assert_never(event)

    def _rank_ready(self, each: _Rank) -> list[AssemblyOrder]:
        if each.state is not RankState.ASKED:
            return []
        each.state = RankState.READY
        if self.phase is not AssemblyPhase.GATHERING or self.waits_for:
            return []
        self.phase, self._master_runs = AssemblyPhase.STARTING, True
        return [StartMaster()]

    def _rank_refused(self, rank: int, why: str) -> list[AssemblyOrder]:
        each = self._ranks[rank]
        if each.state not in _HOLDING:
            return self._gone(each)
        self.refused[each.node] = why
        if self.phase is AssemblyPhase.GATHERING and self._spare:
            each.node = self._spare.pop(0)
            return [AskRank(rank, each.node)]
        each.state = RankState.GONE
        self.short = self.short or self.phase is AssemblyPhase.GATHERING
        return self._end(f"machine {each.node!r}: {why}")

    def _gone(self, each: _Rank) -> list[AssemblyOrder]:
        if each.state is RankState.ENDING:
            each.state = RankState.GONE
        return self._over()

    def _master_ready(self) -> list[AssemblyOrder]:
        if self.phase is not AssemblyPhase.STARTING:
            return []
        self.phase = AssemblyPhase.READY
        return [TellReady()]

    def _end(self, why: str) -> list[AssemblyOrder]:
        if self.phase in {AssemblyPhase.ENDING, AssemblyPhase.OVER}:
            return []
        self.failure, self.lost = why, bool(why) and self.phase is AssemblyPhase.READY
        self.phase = AssemblyPhase.ENDING
        return [EndMaster()] if self._master_runs else self._release_all()

    def _release_all(self) -> list[AssemblyOrder]:
        if self.phase is not AssemblyPhase.ENDING:
            return []
        held = {rank: each for rank, each in self._ranks.items() if each.state in _HOLDING}
        for each in held.values():
            each.state = RankState.ENDING
        return [ReleaseRank(rank) for rank in held] or self._over()

    def _over(self) -> list[AssemblyOrder]:
        if self.phase is not AssemblyPhase.ENDING or self._master_runs or self.nodes:
            return []
        self.phase = AssemblyPhase.OVER
        return [AllOver()]
