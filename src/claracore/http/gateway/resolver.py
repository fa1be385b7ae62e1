"""Which model does a name mean at this moment?

Pure, but for the name of the active profile, which an API call sets, and for what is asked about states and loads.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from claracore.core.cluster.model import NodeKind
from claracore.core.config.tags import other_spelling
from claracore.errors import BadRequest, ClaraCoreError, ModelNotFound
from claracore.http.gateway.targets import ActiveProfile, Choice, Target, Targets, targets_of

if TYPE_CHECKING:
    from claracore.core.config.model import Config
    from claracore.host.cluster.machines import Machines
    from claracore.http.access.keys import Grant
    from claracore.types import ModelState


class MachineNotThere(ClaraCoreError):
    """What is asked for is only on machines that have not joined, or are not there; 503."""

    status = 503
    code = "machine_not_there"
    cause = "What is asked for is only on machines that have not joined, or have not been heard of yet."
    way_out = "Look who is there: `claracore nodes`. It is answered as soon as one of them is, or has that model."

    def __init__(self, name: str, targets: Sequence[str]) -> None:
        """Take the name, and the models to which it leads."""
        super().__init__(
            f"model {name!r} cannot be used now: no machine that is here has {' or '.join(map(repr, targets))}",
            param="model",
        )


def names_for(grant: Grant | None, targets: Targets) -> list[str]:
    """Return the names that an error may mention: those that are listed, of models that the key is for."""
    elsewhere = (
        (name, each) for name, ids in targets.shared.items() if name not in targets.by_name for each in ids.values()
    )
    found = (
        name
        for name, target in (*targets.by_name.items(), *elsewhere)
        if not target.unlisted and (grant is None or grant.knows(target.model_id))
    )
    return list(dict.fromkeys(found))


def askable(grant: Grant | None, targets: Targets) -> list[str]:
    """Return the names that an error about a request may mention: those of models, and of selectors of which one is."""
    chosen = [
        name
        for name, choice in targets.choices.items()
        if not choice.selector.unlisted
        and (grant is None or any(grant.knows(target.model_id) for target in choice.targets))
    ]
    return [*names_for(grant, targets), *chosen]


def _known_to(grant: Grant | None, ids: Iterable[str]) -> tuple[str, ...]:
    """Return the models that a key is for; all, if that is none."""
    return tuple(ids) if grant is None else tuple(id_ for id_ in ids if grant.knows(id_)) or tuple(ids)


class Resolver:
    """Which target does a name mean at this moment?"""

    def __init__(
        self,
        config: Config,
        profile: ActiveProfile,
        state: Callable[[str], ModelState],
        busy: Callable[[str], int],
        machines: Machines | None = None,
    ) -> None:
        """Take what tells the state of a model's server, and how many requests a model has, waiting ones too.

        `machines` tells where models are; None: all are here.
        """
        self.targets = targets_of(config)
        self._profile = profile
        self._state = state
        self._busy = busy
        self._turn = 0
        self._machines = machines

    def reconfigure(self, config: Config) -> None:
        """Use another configuration from now on."""
        self.targets = targets_of(config)
        if self._profile.name not in self.targets.pins:
            self._profile.name = None

    def find(self, name: str, grant: Grant | None) -> Target:
        """Return the target that a request names, or that is for all who name none or another.

        Raises `ModelNotFound`, `BadRequest` when it names none, `MachineDrained`, `MachineOutdated`, `MachineNotThere`
        and `FilesNotThere`.
        """
        meant = name if self._profile.name is None else self.meaning(name)
        found = self._known(name, meant, grant)
        if found is None and (other := other_spelling(name)):
            found = self._known(other, self.meaning(other), grant)
        if found is None:
            return self._found_for_others(name, meant, grant)
        if found.node and self._machines is not None:
            self._machines.check(found.node, found.model_id)
        elif self._machines is not None:
            self._machines.check_files(found.model_id)
        return found

    def _known(self, name: str, meant: str, grant: Grant | None) -> Target | None:
        """Return the target of a name that the configuration has, and what it stands for; None for another."""
        targets = self.targets
        found = (targets.by_name if meant == name else targets.pinned).get(meant)
        if found is None:
            return self._chosen(meant, grant)
        return found if not found.shared else self._best(found.shared, grant) or found

    def _chosen(self, name: str, grant: Grant | None) -> Target | None:
        """Return the best target of a selector; None when there is no selector of that name."""
        choice = self.targets.choices.get(name)
        if choice is None:
            return self._best(name, grant) if name in self.targets.shared else None
        self._turn += 1
        return choice.choose(self._reachable(choice, grant), self._state, self._busy, self._turn)

    def _reachable(self, choice: Choice, grant: Grant | None) -> Sequence[Target]:
        """Return the targets of a selector that the key is for and whose machines are there; all, if that is none."""
        machines = self._machines
        allowed = [each for each in choice.targets if grant is None or grant.knows(each.model_id)] or choice.targets
        there = [each for each in allowed if not each.node or machines is None or machines.is_there(each.model_id)]
        return there or allowed

    # Names that several machines have.

    def _best(self, name: str, grant: Grant | None) -> Target | None:
        """Return the best target of a name that several machines have; None when all of them are lost."""
        by_id, machines = self.targets.shared.get(name, {}), self._machines
        place = machines.best(_known_to(grant, by_id)) if machines is not None else None
        return by_id[place.model_id] if place is not None else None

    def _placed(self, name: str, grant: Grant | None) -> list[Target]:
        """Return the targets of a name that several machines have, as far as these are there, the best first."""
        by_id, machines = self.targets.shared.get(name, {}), self._machines
        found = machines.places(_known_to(grant, by_id)) if machines is not None else ()
        return [by_id[place.model_id] for place in found]

    def near(self, target: Target) -> Target:
        """Return the target of this machine among those that have a name: for a request that another one sent on."""
        own = self.targets.shared.get(target.shared, {})
        return next((each for each in own.values() if not each.node), target)

    def elsewhere(self, target: Target, grant: Grant | None) -> list[Target]:
        """Return where a request for a target may go instead, the best place first; it may be among them.

        Nowhere when all of them are on this machine: whoever chose the model has meant it.
        """
        found = self._placed(target.shared, grant) if target.shared else self._others_chosen(target, grant)
        return found if target.node or any(each.node for each in found) else []

    def _others_chosen(self, target: Target, grant: Grant | None) -> list[Target]:
        choice = self.targets.choices.get(target.selector)
        if choice is None or choice.selector.strategy == "pin":
            return []
        found = self._reachable(choice, grant)
        best = choice.choose(found, self._state, self._busy, self._turn)
        return [best, *(each for each in found if each is not best)]

    def _found_for_others(self, name: str, meant: str, grant: Grant | None) -> Target:
        """Return the target of a name that nothing has, or of no name. Raises what `find` raises."""
        targets = self.targets
        fitting = targets.others.fitting(meant)
        if not fitting and (away := targets.away.get(meant)) is not None:
            raise MachineNotThere(name or away[0], away)
        other = self.meaning(fitting or targets.others.instead_of(meant))
        written = None if other == fitting else targets.pinned.get(other)
        found = written or targets.by_name.get(other) or self._chosen(other, grant)
        if found is not None:
            return found
        if not name:
            raise BadRequest("the request names no model: 'model' is required", param="model")
        if self._machines is not None and self._machines.are_awaited:
            raise MachineNotThere(name, (name,))
        raise ModelNotFound(name, askable(grant, targets), targets.why_not(name))

    def meaning(self, name: str) -> str:
        """Return what a name stands for under the active profile. Raises `ModelNotFound` for a name that it hides."""
        profile = self._profile.name
        pins = self._pins()
        if name not in pins:
            return name
        meant = pins[name]
        if meant is None:
            raise ModelNotFound(name, (), f"the active profile {profile!r} hides it")
        return meant

    def names(self) -> Container[str]:
        """Return every name that has a server, or stands for one under the active profile."""
        return ChainMap[str, object](self.targets.by_name, self.targets.shared, self._pins())  # type: ignore[arg-type]

    def server_of(self, name: str, grant: Grant | None) -> Target | None:
        """Return the target whose server a name means now; None for a selector. Raises `ModelNotFound`."""
        meant = self.meaning(name)
        found = self.targets.by_name.get(meant)
        if found is not None or meant not in self.targets.shared:
            return found
        return self._best(meant, grant) or next(iter(self.targets.shared[meant].values()))

    def kind_there(self, target: Target) -> NodeKind:
        """Return which program has the model of a peer; OTHER while that is not known."""
        return self._machines.kind_of(target.node) if self._machines is not None else NodeKind.OTHER

    def _pins(self) -> Mapping[str, str | None]:
        name = self._profile.name
        return {} if name is None else self.targets.pins.get(name, {})
