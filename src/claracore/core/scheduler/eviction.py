"""Who must go so that this model fits?

The rule of groups, as in llama-swap: members of a `swap` group replace each other; loading a member of an `exclusive`
group stops every other group that is not `persistent`. A member of a non-exclusive group never stops another group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from claracore.core.scheduler.policy import EvictionRule, Situation


@dataclass(frozen=True, slots=True)
class Group:
    """How the members of one group get along with each other and with the rest."""

    swap: bool = True
    exclusive: bool = True
    persistent: bool = False


@dataclass(frozen=True, slots=True)
class Groups:
    """The eviction rule of groups; `member_of` maps every model id to the name of its group."""

    groups: Mapping[str, Group]
    member_of: Mapping[str, str]

    def evictees(self, situation: Situation) -> frozenset[str]:
        """Return which of the running models must stop before the target starts."""
        target = situation.target
        return frozenset(model for model in situation.running if model != target and self._must_go(model, target))

    def _must_go(self, model: str, target: str) -> bool:
        mine, theirs = self.member_of[target], self.member_of.get(model)
        if mine == theirs:
            return self.groups[mine].swap
        # A model that the configuration no longer names is draining; until it is gone it still occupies the machine.
        stays = theirs is not None and self.groups[theirs].persistent
        return self.groups[mine].exclusive and not stays


@dataclass(frozen=True, slots=True)
class LocalOnly:
    """Another rule, asked about the models of this machine only: for a `remote` one nobody goes, and it for nobody."""

    rule: EvictionRule
    remote: frozenset[str]

    def evictees(self, situation: Situation) -> frozenset[str]:
        """Return what the other rule says of those that run on this machine."""
        if situation.target in self.remote:
            return frozenset()
        return self.rule.evictees(replace(situation, running=situation.running - self.remote))
