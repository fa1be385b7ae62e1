"""Which port does a model get when it starts, so that nobody else can have it?

Plan (pure) -> ledger (other instances) -> hold (the kernel): `PortKeeper` does the three under one lock and is all the
supervisor needs. It never waits for anything but that lock. It does not start, verify or retry: see `owner.belongs_to`
for the check after the start, and `avoid` of `lease` for the next try.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from claracore.errors import PortTaken
from claracore.ports import messages
from claracore.ports.leases import Leases
from claracore.ports.ranges import PortPlan, Range
from claracore.sockets.hold import ANY, hold, hold_budget, seal, share, system_can_share, unseal
from claracore.sockets.ledger import Ledger, default_folder
from claracore.sockets.owner import owner_of
from claracore.types import Finding


@dataclass(frozen=True, slots=True)
class Lease:
    """A model's port: `shared` when the engine is to be started with `--reuse-port`; `note` is for people."""

    model_id: str
    port: int
    shared: bool
    note: str = ""


class PortKeeper:
    """The ports of one ClaraCore: held from start to exit, given to models and taken back.

    With `hold` False nothing is kept: a port is looked at when it is leased, and the ledger and the check of the owner
    have to do.
    """

    def __init__(self, plan: PortPlan, *, state_dir: Path, hold: bool = True, ledger_dir: Path | None = None) -> None:
        self.leases = Leases(plan)
        self.ledger = Ledger(ledger_dir or default_folder(state_dir))
        self._holding = hold
        self._held: dict[int, socket.socket] = {}
        self._seals: dict[int, socket.socket] = {}
        self._planned: dict[str, int | None] = {}
        """What the plan said when a model's port was claimed: when it says something else, the claim is stale."""
        self._running: set[str] = set()
        self._moves: dict[str, Finding] = {}

    @property
    def plan(self) -> PortPlan:
        """The plan that is followed now."""
        return self.leases.plan

    @property
    def held(self) -> frozenset[int]:
        """The ports that the kernel keeps for us at this moment."""
        return frozenset(self._held)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What a person should know at this moment: which models could not have their planned port, and why."""
        return tuple(self._moves.values())

    def is_leased(self, model_id: str) -> bool:
        """Whether the model has a lease that was not given back."""
        return model_id in self._running

    def hold_all(self, can_share: Callable[[str], bool]) -> tuple[Finding, ...]:
        """Take every planned port that can be had; return what was taken instead of what, and what could not be had.

        `can_share` tells for a model id whether its engine knows `--reuse-port`.
        """
        if not self._holding:
            return ()
        findings: list[Finding] = []
        with self.ledger.locked():
            others = self._others()
            for model_id in sorted(self.plan.assignment, key=self.plan.assignment.__getitem__):
                if model_id in self.leases.given:
                    continue
                if len(self._held) >= hold_budget():
                    findings.append(messages.too_many_to_hold(len(self._held)))
                    break
                with _errors_into(findings, self.plan.range_of(model_id)):
                    findings += self._claim(model_id, frozenset(), others, shared=can_share(model_id))
            self.ledger.write()
        return tuple(findings)

    def lease(self, model_id: str, *, can_share: bool, avoid: frozenset[int] = frozenset()) -> Lease:
        """Give the model a port for a start; `avoid` has those on which it could not bind just now (P9).

        Raises PortTaken, naming the holder, when its fixed port or its whole range is taken.
        """
        shared = can_share and self._holding and system_can_share()
        if model_id not in self.plan.assignment and model_id in self.plan.fixed:
            return self._lease_fixed(model_id, self.plan.fixed[model_id])
        port = self.leases.given.get(model_id)
        note = ""
        if port is not None and port in self._held and port not in avoid:
            if shared:
                share(self._held[port])
        else:
            with self.ledger.locked():
                findings = self._claim(model_id, avoid, self._others(), shared=shared)
                self.ledger.write()
            note = "\n".join(map(messages.explain, findings))
            port = self.leases.given[model_id]
        self._running.add(model_id)
        return Lease(model_id, port, shared, note)

    def release_hold(self, lease: Lease) -> None:
        """Let go of the port right before exec, for an engine that cannot share it; the ledger still has it."""
        if not lease.shared and (holder := self._held.pop(lease.port, None)) is not None:
            holder.close()

    def seal(self, lease: Lease) -> bool:
        """Let nobody join a shared port any more; call it when the child has bound, before its owner is verified.

        Without it a process of the same user that says SO_REUSEPORT could join later and get a share of the
        connections. Undone by `give_back`. Returns whether the port is shut; False where the kernel gives no way to
        (see `hold.seal`) and for a port that is not shared, which needs none.
        """
        holder = self._held.get(lease.port)
        if not lease.shared or holder is None or lease.port in self._seals:
            return lease.port in self._seals
        plain = seal(holder, lease.port)
        if plain is not None:
            self._seals[lease.port] = plain
        return plain is not None

    def give_back(self, lease: Lease) -> None:
        """Take the port back after the child has ended, and hold it again."""
        self._running.discard(lease.model_id)
        if self.leases.given.get(lease.model_id) != lease.port:
            return
        if not self._holding or self._is_stale(lease.model_id):
            self._drop(lease.model_id)
            with self.ledger.locked():
                self.ledger.write()
        elif (holder := self._held.get(lease.port)) is not None:
            if lease.shared:
                unseal(holder, self._seals.pop(lease.port, None))
        else:
            # Where somebody was quicker, the next lease finds out who.
            with self.ledger.locked(), suppress(OSError):
                self._held[lease.port] = hold(lease.port, shared=lease.shared)

    def replan(self, plan: PortPlan) -> None:
        """Follow a new plan: running models keep their ports, of the others those whose plan has not changed.

        Call `hold_all` afterwards to take what is new.
        """
        self.leases.replan(plan)
        for model_id in [name for name in self.leases.given if name not in self._running and self._is_stale(name)]:
            self._drop(model_id)
        with self.ledger.locked():
            self.ledger.write()

    def close(self) -> None:
        """Let go of everything."""
        for holder in (*self._seals.values(), *self._held.values()):
            holder.close()
        self._seals.clear()
        self._held.clear()
        self.ledger.close()

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
        self, model_id: str, avoid: frozenset[int], others: Mapping[int, str], *, shared: bool
    ) -> tuple[Finding, ...]:
        """Take the first port that can be had; under the ledger's lock. Raises PortTaken when there is none."""
        refused: dict[int, str] = {}
        planned = self.plan.assignment.get(model_id)
        for port in self.leases.candidates(model_id, avoid):
            why = others.get(port) or self._take(port, shared=shared, explain=len(refused) < 5)
            if why is None:
                break
            refused[port] = why
            self.leases.block(port, why)
        else:
            raise PortTaken(messages.nothing_free(model_id, self.plan.range_of(model_id), refused))
        self._drop(model_id, keep=port)
        self.leases.give(model_id, port)
        self.ledger.leases[port] = model_id
        self._planned[model_id] = planned
        self._moves.pop(model_id, None)
        if planned is None or port == planned:
            return ()
        why = refused.get(planned) or self._earlier_tenant(planned) or messages.could_not_bind()
        self._moves[model_id] = messages.moved(model_id, planned, port, why, self.plan.range_of(model_id))
        return (self._moves[model_id],)

    def _take(self, port: int, *, shared: bool, explain: bool = True) -> str | None:
        """Bind the port and keep it (or only look, when nothing is held); return who has it when that fails."""
        if port in self._held:
            return None
        try:
            holder = hold(port, shared=shared)
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                raise PortTaken("this process has too many files open to take another port; raise ulimit -n") from error
            return self._why(port, error) if explain else messages.somebody()
        if self._holding:
            self._held[port] = holder
        else:
            holder.close()
        return None

    def _why(self, port: int, error: OSError) -> str:
        if error.errno != errno.EADDRINUSE:
            return messages.may_not_bind(port)
        owner = owner_of(port, host=ANY)
        return owner.describe(time.time()) if owner is not None else messages.somebody()

    def _earlier_tenant(self, port: int) -> str | None:
        return next((messages.still_running(name) for name, its in self.leases.given.items() if its == port), None)

    def _lease_fixed(self, model_id: str, port: int) -> Lease:
        """Look after a port that stands in the model's own command: it cannot be moved, only checked."""
        note = ""
        with self.ledger.locked():
            why = self._others().get(port) or self._take(port, shared=False)
            if why is not None and model_id not in self.plan.containers:
                raise PortTaken(messages.fixed_taken(model_id, port, why))
            if why is not None:
                note = messages.container_already_there(port, why)
            self.leases.give(model_id, port)
            self._planned[model_id] = None
            self.ledger.leases[port] = model_id
            self.ledger.write()
        self._running.add(model_id)
        return Lease(model_id, port, shared=False, note=note)

    def _drop(self, model_id: str, *, keep: int | None = None) -> None:
        """Let go of the port that the model has, unless it is `keep`."""
        port = self.leases.given.get(model_id)
        if port is None or port == keep:
            return
        self.leases.release(model_id)
        self._moves.pop(model_id, None)
        self.ledger.leases.pop(port, None)
        for sockets in (self._seals, self._held):
            if (holder := sockets.pop(port, None)) is not None:
                holder.close()


@contextmanager
def _errors_into(findings: list[Finding], home: Range | None) -> Iterator[None]:
    """Turn a port that cannot be had into a finding: the other models go on."""
    try:
        yield
    except PortTaken as error:
        findings.append(Finding("error", error.message, home.path if home else "", home.place if home else None))
