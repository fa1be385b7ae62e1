"""Is a model started once more whose start failed for want of memory, and what is different then?

First with what is in its way gone: where bytes decide, it is known to need more from here on, and the rule finds who
goes for it; under groups and matrices, which know nothing of bytes, every other model of this machine goes that is idle
and need not stay, or none if one has ended just before, whose memory came back too late. If it was alone already, it is
started with less, where its command may be changed. Each of both once, until it is ready or its failure was told; the
requests for it wait meanwhile, and that somebody waits for it is needed: no try is made for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from claracore.core.memory.footprint import FootprintSource
from claracore.core.scheduler.events import SecondTry
from claracore.core.scheduler.eviction import Groups, LocalOnly
from claracore.core.scheduler.known_memory import RETURN_SECONDS
from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.core.scheduler.outlook import Outlook
    from claracore.core.scheduler.policy import EvictionRule, Situation
    from claracore.core.scheduler.slot import Slot
    from claracore.core.scheduler.state import SchedulerState


@dataclass(frozen=True, slots=True)
class WithRoom:
    """Another rule, with idle models gone for those that ran out of memory beside them."""

    rule: EvictionRule
    short: frozenset[str]
    """Those that ran out of memory."""
    staying: frozenset[str]
    """Models that go for nobody, and those that take nothing of this machine."""

    def evictees(self, situation: Situation) -> frozenset[str]:
        """Return who must go by the other rule, and who else is idle or ends."""
        found = self.rule.evictees(situation)
        if situation.target not in self.short:
            return found
        return found | (situation.running & (situation.idle_since.keys() | situation.ending)) - self.staying


def rule_of(state: SchedulerState) -> EvictionRule:
    """Return the rule that says who must go, for all models as they are now."""
    if state.by_memory is not None:
        return state.policy.rule
    short = frozenset(model for model, slot in state.awake.items() if SecondTry.CLEARED in slot.tries)
    if not short:
        return state.policy.rule
    pinned = frozenset(model for model, slot in state.awake.items() if slot.pinned)
    ending = frozenset(model for model, slot in state.awake.items() if slot.state is ModelState.STOPPING)
    staying = (pinned | _persistent(state.policy.rule)) - ending  # a person's word, or a crash, ends these as well
    return WithRoom(state.policy.rule, short, staying | _elsewhere(state.policy.rule))


def second_try(state: SchedulerState, slot: Slot, outlook: Outlook) -> SecondTry | None:
    """Return how a model is started again that has just ended for want of memory; None when it is not."""
    if slot.ran_out is None or slot.oldest_wait is None or slot.removed or slot.leaving is not None:
        return None
    if not slot.tries and not slot.ran_out.limited and (how := _with_room(state, slot, outlook)) is not None:
        return how
    lesser = slot.ran_out.less.source is not FootprintSource.UNKNOWN
    return SecondTry.LESSENED if lesser and SecondTry.LESSENED not in slot.tries else None


def _with_room(state: SchedulerState, slot: Slot, outlook: Outlook) -> SecondTry | None:
    if state.by_memory is not None:
        going = outlook.evictees(slot.model)
        fits = state.counts(slot.model) and not state.by_memory.too_large(outlook.now(slot.model))
        may_go = not any(state.stays(state.by_model[model]) for model in going)
        return SecondTry.CLEARED if going and fits and may_go else None
    elsewhere = _elsewhere(state.policy.rule)
    if slot.model in elsewhere:
        return None
    others = [other for other in state.by_model.values() if other is not slot and other.model not in elsewhere]
    if any(_may_go(state, other) for other in others):
        return SecondTry.CLEARED
    lately = slot.loading_since - RETURN_SECONDS
    return SecondTry.WAITED if any(other.ended_at >= lately for other in others) else None


def _may_go(state: SchedulerState, slot: Slot) -> bool:
    """Whether a model is idle, or ends, and need not stay."""
    if slot.state is ModelState.STOPPING:
        return True
    idle = slot.state is ModelState.READY and not slot.serving
    return idle and not slot.pinned and slot.model not in _persistent(state.policy.rule)


def _elsewhere(rule: EvictionRule) -> frozenset[str]:
    return rule.remote if isinstance(rule, LocalOnly) else frozenset()


def _persistent(rule: EvictionRule) -> frozenset[str]:
    inner = rule.rule if isinstance(rule, LocalOnly) else rule
    if not isinstance(inner, Groups):
        return frozenset()
    return frozenset(model for model, name in inner.member_of.items() if inner.groups[name].persistent)
