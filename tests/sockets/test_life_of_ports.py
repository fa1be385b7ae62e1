"""Allocate, release, crash, reload, block, in any order, against the real kernel."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from claracore.core.ports.history import remember
from claracore.core.ports.listen import Listen
from claracore.core.ports.plan import plan
from claracore.core.ports.ranges import PortPlan
from claracore.errors import PortTaken
from claracore.host.sockets.owner import listeners_on
from claracore.host.sockets.ports import Lease, PortKeeper
from fakes.ports import free_run
from ports.configs import config, group
from sockets.helpers import listening

NAMES = [f"m{number}" for number in range(6)]
PORTS = free_run(9)
WEB = PORTS[8]
MODELS = st.sampled_from(NAMES)
BINDS_WITH = ((), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,))
"""Each model's server always binds with the same options."""


class LifeOfPorts(RuleBasedStateMachine):
    """One ClaraCore that is used, reconfigured and killed, while strangers come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.history: dict[str, int] = {}
        self.children: dict[str, tuple[Lease, socket.socket]] = {}
        self.strangers: dict[int, socket.socket] = {}
        self.plan = self.make_plan(frozenset(NAMES[:3]))
        self.keeper = self.begin()

    def make_plan(self, names: frozenset[str]) -> PortPlan:
        members = group("g", *sorted(names), startPort=PORTS[0], endPort=PORTS[7])
        made = plan(config(*names, groups=(members,)), Listen(port=WEB), places={}, history=self.history)
        stay = made.assignment.keys() & self.history.keys()
        assert all(made.assignment[name] == self.history[name] for name in stay)
        self.history = remember(self.history, made)
        return made

    def begin(self) -> PortKeeper:
        keeper = PortKeeper(self.plan, state_dir=self.folder, ledger_dir=self.folder / "ledger")
        assert keeper.ledger.sweep() == ()
        keeper.hold_all()
        return keeper

    @rule(model=MODELS, can_share=st.booleans(), fails=st.booleans())
    def start(self, model: str, *, can_share: bool, fails: bool) -> None:
        if model in self.children or model not in self.plan.assignment:
            return
        try:
            lease = self.keeper.lease(model, can_share=can_share)
            if fails:
                self.keeper.give_back(lease)
                failed = lease.port
                lease = self.keeper.lease(model, can_share=can_share, avoid=frozenset({failed}))
                assert lease.port != failed
        except PortTaken:
            assert self.room() <= int(fails)
            return
        self.keeper.hand_over(lease)
        options = (socket.SO_REUSEPORT,) if lease.shared else BINDS_WITH[NAMES.index(model) % len(BINDS_WITH)]
        child = listening(lease.port, "127.0.0.1", *options)
        self.keeper.learn(lease, os.getpid(), host="127.0.0.1")
        self.keeper.seal(lease, os.getpid(), listeners_on(lease.port, "127.0.0.1"))
        self.children[model] = lease, child

    def room(self) -> int:
        """Return how many ports of the range are neither another model's nor a stranger's."""
        given = set(self.keeper.leases.given.values()) | set(self.plan.assignment.values())
        return len(set(PORTS[:8]) - set(self.strangers) - given)

    @rule(model=MODELS)
    def stop(self, model: str) -> None:
        if model in self.children:
            lease, child = self.children.pop(model)
            child.close()
            self.keeper.give_back(lease)

    @rule(names=st.frozensets(MODELS, max_size=5))
    def reload(self, names: frozenset[str]) -> None:
        self.plan = self.make_plan(names)
        self.keeper.replan(self.plan)
        self.keeper.hold_all()

    @rule()
    def crash(self) -> None:
        """End as SIGKILL does: the kernel closes what we had, and the children go with us."""
        had = {name: port for name, port in self.keeper.leases.given.items() if port == self.plan.assignment.get(name)}
        for _, child in self.children.values():
            child.close()
        self.children.clear()
        for holder in self.keeper._holds.sockets:
            holder.close()
        life = self.keeper.ledger._life
        assert life is not None
        life.close()
        self.keeper = self.begin()
        for name, port in had.items():
            assert self.keeper.leases.given.get(name) == port or port in self.strangers

    @rule(port=st.sampled_from(PORTS[:8]))
    def block(self, port: int) -> None:
        if port in self.strangers:
            return
        try:
            self.strangers[port] = listening(port)
        except OSError as error:
            assert error.errno == errno.EADDRINUSE  # noqa: PT017 - both ways are right
            assert port in self.keeper.leases.given.values()

    @precondition(lambda self: self.strangers)
    @rule(data=st.data())
    def unblock(self, data: st.DataObject) -> None:
        self.strangers.pop(data.draw(st.sampled_from(sorted(self.strangers)))).close()

    @invariant()
    def no_port_is_given_twice(self) -> None:
        given = list(self.keeper.leases.given.values())
        assert len(set(given)) == len(given)
        assert WEB not in given
        assert set(given) <= set(PORTS[:8])

    @invariant()
    def no_running_model_has_a_strangers_port(self) -> None:
        assert not {lease.port for lease, _ in self.children.values()} & self.strangers.keys()

    @invariant()
    def table_ledger_and_kernel_agree(self) -> None:
        assert self.keeper.ledger.leases == {port: name for name, port in self.keeper.leases.given.items()}
        assert self.keeper.held <= set(self.keeper.leases.given.values())

    def teardown(self) -> None:
        for _, child in self.children.values():
            child.close()
        for sock in self.strangers.values():
            sock.close()
        self.keeper.close()
        shutil.rmtree(self.folder)


TestLifeOfPorts = LifeOfPorts.TestCase
TestLifeOfPorts.settings = settings(max_examples=40, stateful_step_count=30, suppress_health_check=list(HealthCheck))
