"""Which port does a model get when it starts, so that nobody else can have it?

Plan (pure) -> ledger (other instances) -> hold (the kernel): `PortKeeper` does the three under one lock and is all the
supervisor needs. It never waits for anything but that lock. It does not start, verify or retry: see `owner.verify`
for the check after the start, and `avoid` of `lease` for the next try. The ways of the kernel are in docs/ports.md.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from claracore.core.ports import messages
from claracore.core.ports.leases import Leases, SkippedPorts
from claracore.core.ports.ranges import PortPlan
from claracore.errors import PortTaken, too_many_files
from claracore.host.sockets.binding import Binding
from claracore.host.sockets.bound import BoundSocket, Reuse
from claracore.host.sockets.explaining import errors_into, who_else, why_not
from claracore.host.sockets.given_ports import GivenPorts
from claracore.host.sockets.hold import hold_budget, somebody_on, system_can_share
from claracore.host.sockets.holds import Holds
from claracore.host.sockets.kernel import family, stop_sharing
from claracore.host.sockets.kinship import kin, left_by, user_behind
from claracore.host.sockets.ledger import default_folder
from claracore.host.sockets.ledger_in_memory import ledger_in
from claracore.host.sockets.owner import binds_with, listeners_on
from claracore.types import Finding

MOST_EXPLAINED = 20
"""Finding out who has a port looks through all processes, 10 ms on a busy machine."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A model's port: `shared` when the engine is to be started with `--reuse-port`; `note` is for people.

    `external` are the listeners that were at the model's proxy already, of a server that its command does not start.
    """

    model_id: str
    port: int
    shared: bool
    note: str = ""
    external: frozenset[BoundSocket] = frozenset()


class PortKeeper:
    """The ports of one ClaraCore: held from start to exit, given to models and taken back.

    With `hold` False nothing is kept: a port is looked at when it is leased, and the ledger and the check of the owner
    have to do.
    """

    def __init__(
        self,
        plan: PortPlan,
        *,
        state_dir: Path | None,
        hold: bool = True,
        ledger_dir: Path | None = None,
        given: GivenPorts | None = None,
    ) -> None:
        """Begin with no ports, or with those of another process that has `given` them."""
        self.leases = Leases(plan)
        self.ledger = ledger_in(ledger_dir or default_folder(state_dir), given.entry if given is not None else None)
        self._holds = Holds(keeping=hold)
        self._binding = Binding()
        self._planned: dict[str, int | None] = {}
        """What the plan said when a model's port was claimed: when it says something else, the claim is stale."""
        self._running: set[str] = set()
        self._moves: dict[str, Finding] = {}
        self.conflicts: Counter[str] = Counter()
        """How often each model could not have the port that it was to have; whoever sees it adds it."""
        if given is not None:
            self._take_over(given)

    @property
    def plan(self) -> PortPlan:
        """The plan that is followed now."""
        return self.leases.plan

    @property
    def held(self) -> frozenset[int]:
        """The ports that the kernel keeps for us at this moment."""
        return self._holds.ports

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What a person should know at this moment: which models could not have their planned port, and why."""
        return tuple(self._moves.values())

    def is_leased(self, model_id: str) -> bool:
        """Whether the model has a lease that was not given back."""
        return model_id in self._running

    def hold_all(self) -> tuple[Finding, ...]:
        """Hold every planned port that is free; return a finding for each that another one replaces, or none."""
        if not self._holds.keeping:
            return ()
        findings: list[Finding] = []
        with self.ledger.locked():
            others, skipped = self._others(), self.leases.skipped()
            for model_id in sorted(self.plan.assignment, key=self.plan.assignment.__getitem__):
                if model_id in self.leases.given:
                    continue
                if len(self._holds) >= hold_budget():
                    findings.append(messages.too_many_to_hold(len(self._holds)))
                    break
                with errors_into(findings, self.plan.range_of(model_id)):
                    findings += self._claim(model_id, frozenset(), others, skipped)
            self.ledger.write()
        return tuple(findings)

    def refuse_unusable(self, model_id: str) -> None:
        """Raise PortTaken for a model that cannot be served because of the port that it names."""
        clash = self.plan.unusable.get(model_id)
        if clash is not None:
            raise PortTaken(messages.unusable(model_id, clash))

    def lease(self, model_id: str, *, can_share: bool, avoid: frozenset[int] = frozenset()) -> Lease:
        """Give the model a port for a start; `avoid` has those on which it could not bind just now.

        Raises PortTaken, naming the holder, when its fixed port or its whole range is taken.
        """
        self.refuse_unusable(model_id)
        external = self._external(model_id)
        shared = can_share and self._holds.can_be_joined
        if model_id not in self.plan.assignment and model_id in self.plan.fixed:
            return self._lease_fixed(model_id, self.plan.fixed[model_id], external)
        port = self.leases.given.get(model_id)
        note = ""
        if port is None or port not in self._holds or port in avoid:
            with self.ledger.locked():
                findings = self._claim(model_id, avoid, self._others())
                self.ledger.write()
            note = "\n".join(map(messages.explain, findings))
            port = self.leases.given[model_id]
        self._running.add(model_id)
        return Lease(model_id, port, shared, note, external)

    def hand_over(self, lease: Lease) -> None:
        """Let the child have the port, right before exec.

        A child that can join the hold does: one told to share, one that was seen to bind in a way that allows it. For
        others the hold is let go, and the ledger alone has the port.
        """
        self._holds.hand_over(lease.port, Reuse.PORT if lease.shared else self._binding.of(lease.model_id))

    def learn(self, lease: Lease, pid: int, *, host: str) -> None:
        """Remember how the child, which listens now, bound its port: the hold of its next start depends on it."""
        if self._joins(lease):
            self._binding.joined(lease.model_id)
        if self._holds.can_be_joined and not lease.shared:
            self._binding.learn(lease.model_id, lambda: binds_with(lease.port, pid, host=host))

    def doubt(self, lease: Lease, *, hung: bool = False) -> bool:
        """Remember that the child failed before it was ready; return whether our own hold may have been in its way.

        Then the next start has the port to itself. `hung`: it did not end by itself, its time was up.
        """
        if not self._joins(lease) or somebody_on(lease.port):
            return False
        self._binding.failed(lease.model_id, hung=hung)
        return True

    def seal(self, lease: Lease, pid: int, listeners: Collection[BoundSocket]) -> bool:
        """Let nobody join the port any more; call it when the child listens, and look at its owner again afterwards.

        Without it a process of the same user that says SO_REUSEPORT could join a server that says so, too, whether we
        told it to or not, and get a share of the connections. The port stays shut until it is handed over again.
        Returns whether the port is shut; False where the kernel gives no way to (see `hold.seal`).
        """
        if not system_can_share():
            return False
        members = list(kin(pid) if left_by(family(pid), frozenset(listeners)) else family(pid))
        shared = [entry for entry in listeners if any(stop_sharing(member, entry) for member in members)]
        return self._holds.seal(lease.port) if shared or lease.port in self._holds else True

    def give_back(self, lease: Lease) -> None:
        """Hold a port again after its child has ended; where the plan has changed, the model loses it."""
        self._running.discard(lease.model_id)
        if lease.port not in self._holds:
            self._holds.unseal(lease.port)
        if self.leases.given.get(lease.model_id) != lease.port:
            return
        if not self._holds.keeping or self._is_stale(lease.model_id):
            self._drop(lease.model_id)
            with self.ledger.locked():
                self.ledger.write()
        elif lease.port in self._holds:
            self._holds.shut(lease.port)
        else:
            # Where somebody was quicker, the next lease finds out who.
            with self.ledger.locked(), suppress(OSError):
                self._holds.take(lease.port)

    def replan(self, plan: PortPlan) -> None:
        """Replace the plan: running models keep their ports, of the others those whose plan has not changed.

        Call `hold_all` afterwards to take what is new.
        """
        self.leases.replan(plan)
        self._binding.forget()
        for model_id in [name for name in self.leases.given if name not in self._running and self._is_stale(name)]:
            self._drop(model_id)
        with self.ledger.locked():
            self.ledger.write()

    def give(self) -> GivenPorts:
        """Return what another process needs to have these ports in our place."""
        running = frozenset(self._running)
        return GivenPorts(
            self.ledger.give(), dict(self.leases.given), dict(self._planned), running, *self._holds.given()
        )

    def _take_over(self, given: GivenPorts) -> None:
        """Have what another process had; what this plan does not want is let go, once no model runs on it."""
        self._holds.take_over(given.held, given.sealed)
        for model_id, port in given.leases.items():
            self.leases.give(model_id, port)
        self._planned, self._running = dict(given.planned), set(given.running)
        self.replan(self.plan)

    def close(self) -> None:
        """Release all ports and leave the ledger."""
        self._holds.close()
        self.ledger.close()

    def _joins(self, lease: Lease) -> bool:
        """Whether the child was to join the hold, after `hand_over`, because of what was learned; else it is let go."""
        return not lease.shared and lease.port in self._holds

    def _is_stale(self, model_id: str) -> bool:
        planned = self.plan.assignment.get(model_id)
        return planned is None or planned != self._planned.get(model_id)

    def _others(self) -> dict[int, str]:
        """Return the ports that other living instances gave out, and the words for each."""
        return {
            port: f'another {instance}, for its model "{model}"'
            for instance in self.ledger.others()
            for port, model in instance.leases.items()
        }

    def _claim(
        self, model_id: str, avoid: frozenset[int], others: Mapping[int, str], skipped: SkippedPorts | None = None
    ) -> tuple[Finding, ...]:
        """Take the first port that can be had; under the ledger's lock. Raises PortTaken when there is none.

        `skipped`: where ports are taken for many models, those that need not be tried again.
        """
        skipped = skipped or self.leases.skipped()
        refused = skipped.refused
        planned = self.plan.assignment.get(model_id)
        for port in self.leases.candidates(model_id, avoid, skipped):
            why = others.get(port) or self._take(port, explain=len(refused) < MOST_EXPLAINED)
            skipped.add(port)
            if why is None:
                break
            refused[port] = why
            self.leases.block(port, why)
        else:
            self.conflicts[model_id] += not avoid
            home = self.plan.range_of(model_id)
            named = {port: why for port, why in refused.items() if home is None or home.explicit_end <= (port in home)}
            raise PortTaken(messages.nothing_free(model_id, home, named))
        self._drop(model_id, keep=port)
        self.leases.give(model_id, port)
        self.ledger.leases[port] = model_id
        self._planned[model_id] = planned
        self._moves.pop(model_id, None)
        if planned is None or port == planned:
            return ()
        # What is avoided could not be bound, and was added by who has tried.
        self.conflicts[model_id] += not avoid
        why = refused.get(planned) or self._earlier_tenant(planned) or who_else(planned)
        self._moves[model_id] = messages.moved(model_id, planned, port, why, self.plan.range_of(model_id))
        return (self._moves[model_id],)

    def _take(self, port: int, *, explain: bool = True) -> str | None:
        """Bind the port and keep it (or only look, when nothing is held); return who has it when that fails."""
        try:
            self._holds.take(port)
        except OSError as error:
            if too_many_files(error):
                raise PortTaken("this process has too many files open to take another port; raise ulimit -n") from error
            return why_not(port, error) if explain else messages.somebody()
        return None

    def _earlier_tenant(self, port: int) -> str | None:
        return next((messages.still_running(name) for name, given in self.leases.given.items() if given == port), None)

    def _external(self, model_id: str) -> frozenset[BoundSocket]:
        """Return who listens at the model's proxy before its command is started, where that may be meant.

        Raises PortTaken for a server of another user, which may be anybody's, and for one of our own.
        """
        where = self.plan.detached.get(model_id)
        if where is None or model_id in self.plan.unchecked:
            return frozenset()
        there = listeners_on(where.port, where.host)
        if not there:
            return there
        with self.ledger.locked():
            tenant = self.ledger.leases.get(where.port)
            ours = messages.own_server(tenant) if tenant is not None else self._others().get(where.port)
        if ours is None and all(user_behind(entry) == os.geteuid() for entry in there):
            return there
        self.conflicts[model_id] += 1
        if ours is not None:
            raise PortTaken(messages.proxy_taken(model_id, where.port, ours))
        raise PortTaken(messages.foreign_server(model_id, where.port, who_else(where.port)))

    def _lease_fixed(self, model_id: str, port: int, external: frozenset[BoundSocket]) -> Lease:
        """Lease the port that the model's own command names: it is held, and checked, but never another one.

        One at which an external server listens is none of ours, and others may use it too.
        """
        note = ""
        with self.ledger.locked():
            why = None if external else self._others().get(port) or self._take(port)
            if why is not None and model_id in self.plan.containers:
                note = messages.container_already_there(port, why, self.plan.containers[model_id])
            elif why is not None and model_id not in self.plan.unchecked:
                self.conflicts[model_id] += 1
                words = messages.proxy_taken if model_id in self.plan.detached else messages.fixed_taken
                raise PortTaken(words(model_id, port, why))
            if not external:
                self.ledger.leases[port] = model_id
            self.leases.give(model_id, port)
            self._planned[model_id] = None
            self.ledger.write()
        self._running.add(model_id)
        return Lease(model_id, port, shared=False, note=note, external=external)

    def _drop(self, model_id: str, *, keep: int | None = None) -> None:
        """Release the port that the model has, unless it is `keep`."""
        port = self.leases.given.get(model_id)
        if port is None or port == keep:
            return
        self.leases.release(model_id)
        self._moves.pop(model_id, None)
        self.ledger.leases.pop(port, None)
        self._holds.let_go(port)
