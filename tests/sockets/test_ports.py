from __future__ import annotations

import errno
import os
import resource
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from claracore.core.ports.containers import Container
from claracore.core.ports.listen import Listen
from claracore.core.ports.messages import explain
from claracore.core.ports.ranges import UNGROUPED, PortPlan, Range
from claracore.errors import PortTaken
from claracore.host.sockets.hold import hold_budget
from claracore.host.sockets.owner import Grounds, listeners_on, verify
from claracore.host.sockets.ports import Lease, PortKeeper
from claracore.types import Endpoint, Finding, Place
from fakes.ports import free_port, free_run, is_free
from sockets.helpers import listening, stranger


def plan_of(assignment: Mapping[str, int], ports: range, *, reserved: frozenset[int] = frozenset()) -> PortPlan:
    """Return a plan with one range that ends hard."""
    place = Place("config.yaml", 3, 1)
    stretch = Range(UNGROUPED, ports.start, ports.stop - 1, tuple(sorted(assignment)), explicit_end=True, place=place)
    return PortPlan(Listen(), (stretch,), assignment, reserved=reserved)


def plan_for(ports: range, *names: str) -> PortPlan:
    return plan_of(dict(zip(names, ports, strict=False)), ports)


@contextmanager
def keeper(plan: PortPlan, folder: Path, *, hold: bool = True) -> Iterator[PortKeeper]:
    ours = PortKeeper(plan, state_dir=folder, hold=hold, ledger_dir=folder / "ledger")
    try:
        yield ours
    finally:
        ours.close()


def test_planned_ports_are_held_from_the_start(tmp_path: Path) -> None:
    ports = free_run(3)
    with keeper(plan_for(ports, "a", "b"), tmp_path) as ours:
        assert ours.hold_all() == ()
        assert ours.held == {ports[0], ports[1]}
        for port in ours.held:
            with stranger(port) as other:
                assert other.answer == str(errno.EADDRINUSE)
    assert is_free(ports[0])


def test_a_shared_lease_lets_the_child_in_and_stays_held(tmp_path: Path) -> None:
    ports = free_run(2)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        ours.hold_all()
        lease = ours.lease("a", can_share=True)
        assert lease == Lease("a", ports[0], shared=True)
        with stranger(lease.port, "reuseport") as other:
            assert other.answer == str(errno.EADDRINUSE), "nobody is let in before the child is started"
        ours.hand_over(lease)
        assert ours.held == {ports[0]}
        with stranger(lease.port, "reuseport") as child:
            assert child.answer == "ok"
        ours.give_back(lease)
        assert ours.held == {ports[0]}


def test_a_sealed_lease_shuts_everybody_out_until_it_is_leased_again(tmp_path: Path) -> None:
    ports = free_run(2)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        ours.hold_all()
        for _ in range(2):
            lease = ours.lease("a", can_share=True)
            ours.hand_over(lease)
            with stranger(lease.port, "reuseport") as child:
                assert child.answer == "ok"
                listeners = listeners_on(lease.port, "127.0.0.1")
                assert ours.seal(lease, child.pid, listeners)
                assert ours.seal(lease, child.pid, listeners)
                with stranger(lease.port, "reuseport") as other:
                    assert other.answer == str(errno.EADDRINUSE)
            ours.give_back(lease)
            with stranger(lease.port, "reuseport") as other:
                assert other.answer == str(errno.EADDRINUSE)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
@pytest.mark.parametrize("option", ["reuseport", "reuseport reuseaddr"])
def test_a_server_that_shares_its_port_by_itself_can_be_joined_by_nobody_once_it_is_sealed(
    tmp_path: Path, host: str, option: str
) -> None:
    """Whether its port was let go for it, as at its first start, or it has joined the hold, as at later ones."""
    ports = free_run(2)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        ours.hold_all()
        for held in (False, True):
            lease = ours.lease("a", can_share=False)
            ours.hand_over(lease)
            assert (lease.port in ours.held) == held
            with stranger(lease.port, *option.split(), host=host) as child:
                assert child.answer == "ok"
                ours.learn(lease, child.pid, host=host)
                assert ours.seal(lease, child.pid, listeners_on(lease.port, host))
                for options in ("reuseport",), ("reuseaddr",), ("reuseport", "reuseaddr"):
                    with stranger(lease.port, *options, host=host) as other:
                        assert other.answer == str(errno.EADDRINUSE)
            ours.give_back(lease)
            assert ours.held == {ports[0]}


def test_an_engine_that_cannot_share_gets_the_port_when_the_hold_is_released(tmp_path: Path) -> None:
    ports = free_run(2)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        ours.hold_all()
        lease = ours.lease("a", can_share=False)
        with stranger(lease.port) as child:
            assert child.answer == str(errno.EADDRINUSE)
        ours.hand_over(lease)
        with stranger(lease.port) as child:
            assert child.answer == "ok"
        ours.give_back(lease)
        assert ours.held == {ports[0]}


def test_an_engine_found_to_share_only_when_it_is_started_is_let_in(tmp_path: Path) -> None:
    ports = free_run(2)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        ours.hold_all()
        lease = ours.lease("a", can_share=True)
        ours.hand_over(lease)
        with stranger(lease.port, "reuseport") as child:
            assert child.answer == "ok"


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how another process's socket was bound")


@contextmanager
def served(ours: PortKeeper, *options: str, avoid: frozenset[int] = frozenset()) -> Iterator[Lease]:
    """Start a server of model `a` that binds with these options, and stop it."""
    lease = ours.lease("a", can_share=False, avoid=avoid)
    ours.hand_over(lease)
    with stranger(lease.port, *options) as child:
        assert child.answer == "ok"
        ours.learn(lease, child.pid, host="127.0.0.1")
        yield lease
    ours.give_back(lease)


def started_again(ours: PortKeeper) -> Lease:
    """Have `a` served by one that sets SO_REUSEADDR, and hand over its port for the next start."""
    with served(ours, "reuseaddr"):
        pass
    lease = ours.lease("a", can_share=False)
    ours.hand_over(lease)
    return lease


@linux
@pytest.mark.parametrize(
    ("options", "kept_out"),
    [
        (("reuseaddr",), ((), ("reuseport",))),
        (("reuseaddr", "reuseport"), ((), ("reuseport",))),
        (("reuseport",), ((), ("reuseaddr",))),
    ],
)
def test_how_a_server_binds_is_seen_at_its_first_start_and_its_port_is_not_let_go_at_the_next(
    tmp_path: Path, options: tuple[str, ...], kept_out: tuple[tuple[str, ...], ...]
) -> None:
    with keeper(plan_for(free_run(2), "a"), tmp_path) as ours:
        ours.hold_all()
        with served(ours, *options):
            assert ours.held == frozenset()
        for _ in range(2):
            lease = ours.lease("a", can_share=False)
            ours.hand_over(lease)
            for others in kept_out:
                with stranger(lease.port, *others) as other:
                    assert other.answer == str(errno.EADDRINUSE)
            ours.give_back(lease)
            with served(ours, *options):
                assert ours.held == {lease.port}
            with stranger(lease.port, *options) as other:
                assert other.answer == str(errno.EADDRINUSE), "nobody joins while the server is down"


@linux
def test_the_port_of_a_server_that_must_be_alone_is_let_go_at_each_start(tmp_path: Path) -> None:
    with keeper(plan_for(free_run(2), "a"), tmp_path) as ours:
        ours.hold_all()
        for _ in range(2):
            with served(ours):
                assert ours.held == frozenset()


@linux
def test_a_server_that_binds_in_another_way_than_it_used_to_is_looked_at_again(tmp_path: Path) -> None:
    ports = free_run(3)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        lease = started_again(ours)
        with stranger(lease.port) as child:
            assert child.answer == str(errno.EADDRINUSE)
        assert ours.doubt(lease), "nobody else is there"
        ours.give_back(lease)
        with served(ours) as second:
            assert second.port == lease.port
            assert ours.held == frozenset()


@linux
@pytest.mark.parametrize(("hung", "failures"), [(False, 2), (True, 1)])
def test_a_server_that_cannot_live_with_the_hold_is_spared_it_in_the_end(
    tmp_path: Path, *, hung: bool, failures: int
) -> None:
    with keeper(plan_for(free_run(2), "a"), tmp_path) as ours:
        for _ in range(failures):
            lease = started_again(ours)
            assert ours.held == {lease.port}
            assert ours.doubt(lease, hung=hung)
            ours.give_back(lease)
        for _ in range(2):
            with served(ours, "reuseaddr"):
                assert ours.held == frozenset()
        lease = ours.lease("a", can_share=False)
        ours.hand_over(lease)
        assert not ours.doubt(lease), "the hold was not in its way"


@linux
def test_a_doubt_is_forgotten_when_the_server_has_joined_the_hold(tmp_path: Path) -> None:
    with keeper(plan_for(free_run(2), "a"), tmp_path) as ours:
        for _ in range(4):
            with served(ours, "reuseaddr"):
                pass
            lease = started_again(ours)
            assert ours.held == {lease.port}
            assert ours.doubt(lease), "a stranger was there and has left, for example"
            ours.give_back(lease)


@linux
def test_a_listener_on_ipv6_alone_does_not_cost_the_hold(tmp_path: Path) -> None:
    with keeper(plan_for(free_run(2), "a"), tmp_path) as ours:
        lease = ours.lease("a", can_share=True)
        ours.hand_over(lease)
        with stranger(lease.port, host="::1") as other:
            assert other.answer == "ok"
            ours.give_back(lease)
            assert ours.held == {lease.port}


@linux
def test_who_was_quicker_than_the_server_is_seen_at_the_next_start(tmp_path: Path) -> None:
    ports = free_run(3)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        lease = started_again(ours)
        with stranger(lease.port, "reuseaddr") as other:
            assert other.answer == "ok"
            assert not ours.doubt(lease)
            ours.give_back(lease)
            with served(ours, "reuseaddr") as second:
                assert second.port == ports[1]
                assert f"pid {other.pid}" in second.note
                assert ours.held == {ports[1]}, "how the server binds was not forgotten"


@linux
def test_after_a_new_configuration_it_is_looked_at_again(tmp_path: Path) -> None:
    plan = plan_for(free_run(2), "a")
    with keeper(plan, tmp_path) as ours:
        with served(ours, "reuseaddr"):
            pass
        ours.replan(plan)
        with served(ours):
            assert ours.held == frozenset()


def test_a_stranger_is_skipped_and_named(tmp_path: Path) -> None:
    ports = free_run(3)
    with stranger(ports[0], host="0.0.0.0") as other, keeper(plan_for(ports, "a", "b"), tmp_path) as ours:
        (finding,) = ours.hold_all()
        assert finding.severity == "warning"
        first, second, third = explain(finding).splitlines()
        assert first.startswith(f"port {ports[0]} is taken by python")
        assert f"pid {other.pid}, user " in first
        assert f"listening on 0.0.0.0:{ports[0]} for " in first
        assert second == f'  model "a" was given {ports[2]} instead'
        assert third == (
            f"  to keep {ports[0]} for models, stop that process or set startPort to {ports[1]} in config.yaml line 3"
        )
        assert ours.lease("a", can_share=True).port == ports[2]
        assert ours.leases.blocked.keys() == {ports[0]}
        assert +ours.conflicts == {"a": 1}, "the lease is where the conflict was counted already"


def test_a_full_range_is_an_error_that_names_who_fills_it(tmp_path: Path) -> None:
    ports = free_run(1)
    with listening(ports[0]), keeper(plan_for(ports, "a"), tmp_path) as ours:
        (finding,) = ours.hold_all()
        assert finding.severity == "error"
        assert finding.place == Place("config.yaml", 3, 1)
        with pytest.raises(PortTaken, match=f"pid {os.getpid()}"):
            ours.lease("a", can_share=True)
        assert ours.conflicts["a"] == 2


def test_a_port_that_became_free_is_taken_at_the_next_start(tmp_path: Path) -> None:
    ports = free_run(1)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        with listening(ports[0]):
            ours.hold_all()
        assert ours.lease("a", can_share=True).port == ports[0]


def test_after_a_bind_failure_the_next_port_is_tried_and_kept(tmp_path: Path) -> None:
    ports = free_run(4)
    with keeper(plan_for(ports, "a", "b"), tmp_path) as ours:
        ours.hold_all()
        first = ours.lease("a", can_share=True)
        ours.give_back(first)
        second = ours.lease("a", can_share=True, avoid=frozenset({first.port}))
        assert second.port == ports[2]
        assert "kept the model's server from binding" in second.note
        assert not +ours.conflicts, "who has tried to bind counts it"
        ours.give_back(second)
        assert ours.lease("a", can_share=True).port == ports[2]
        assert ours.held == {ports[1], ports[2]}


def test_when_all_are_to_be_avoided_there_is_none(tmp_path: Path) -> None:
    ports = free_run(1)
    with keeper(plan_for(ports, "a"), tmp_path) as ours, pytest.raises(PortTaken):
        ours.lease("a", can_share=True, avoid=frozenset(ports))


def test_two_instances_with_one_plan_never_share_a_port(tmp_path: Path) -> None:
    ports = free_run(6)
    plan = plan_for(ports, "a", "b")
    with keeper(plan, tmp_path) as ours, keeper(plan, tmp_path) as theirs:
        assert ours.hold_all() == ()
        findings = theirs.hold_all()
        assert [finding.severity for finding in findings] == ["warning", "warning"]
        assert "another ClaraCore (pid " in findings[0].message
        assert 'for its model "a"' in findings[0].message
        assert not ours.held & theirs.held


def test_the_ledger_protects_a_port_that_is_let_go_for_a_child(tmp_path: Path) -> None:
    ports = free_run(4)
    plan = plan_for(ports, "a")
    with keeper(plan, tmp_path) as ours, keeper(plan, tmp_path) as theirs:
        lease = ours.lease("a", can_share=False)
        ours.hand_over(lease)
        assert theirs.lease("a", can_share=False).port == ports[1]


@pytest.mark.parametrize("can_share", [True, False])
def test_without_holding_ports_are_looked_at_and_written_down(tmp_path: Path, can_share: bool) -> None:  # noqa: FBT001
    ports = free_run(4)
    plan = plan_for(ports, "a")
    with keeper(plan, tmp_path, hold=False) as ours, keeper(plan, tmp_path, hold=False) as theirs:
        assert ours.hold_all() == ()
        with listening(ports[0]):
            lease = ours.lease("a", can_share=can_share)
        assert (lease.port, lease.shared) == (ports[1], False)
        assert "was given" in lease.note
        assert theirs.lease("a", can_share=can_share).port == ports[0]
        ours.give_back(lease)
        assert ours.leases.given == {}
        assert ours.held == frozenset()


def test_a_new_plan_moves_idle_models_and_leaves_running_ones(tmp_path: Path) -> None:
    ports = free_run(6)
    with keeper(plan_for(ports, "a", "b", "c"), tmp_path) as ours:
        ours.hold_all()
        running = ours.lease("a", can_share=True)
        ours.replan(plan_of({"a": ports[4], "b": ports[1], "d": ports[3]}, ports))
        assert ours.hold_all() == ()
        assert ours.leases.given == {"a": ports[0], "b": ports[1], "d": ports[3]}
        ours.give_back(running)
        assert ours.lease("a", can_share=True).port == ports[4]
        assert ours.held == {ports[4], ports[1], ports[3]}


def test_a_removed_model_that_still_runs_keeps_its_port_from_others(tmp_path: Path) -> None:
    ports = free_run(3)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        running = ours.lease("a", can_share=True)
        ours.replan(plan_of({"b": ports[0]}, ports))
        (finding,) = ours.hold_all()
        assert 'taken by model "a", which still runs' in finding.message
        assert ours.leases.given["b"] == ports[1]
        ours.give_back(running)
        assert "a" not in ours.leases.given
        assert is_free(ports[0])


def fixed_plan(port: int, *, container: bool = False) -> PortPlan:
    containers = {"f": Container("docker")} if container else {}
    return PortPlan(Listen(), fixed={"f": port}, reserved=frozenset({port}), containers=containers)


def test_a_fixed_port_is_checked_and_kept_until_the_child_starts(tmp_path: Path) -> None:
    port = free_port()
    with keeper(fixed_plan(port), tmp_path) as ours:
        lease = ours.lease("f", can_share=True)
        assert (lease.port, lease.shared) == (port, False)
        assert not is_free(port)
        ours.hand_over(lease)
        assert is_free(port)
        ours.give_back(lease)
        assert ours.ledger.leases == {}


def test_a_taken_fixed_port_is_an_error_that_names_the_holder(tmp_path: Path) -> None:
    port = free_port()
    with (
        stranger(port) as other,
        keeper(fixed_plan(port), tmp_path) as ours,
        pytest.raises(PortTaken, match=f"pid {other.pid}"),
    ):
        ours.lease("f", can_share=True)


def test_a_fixed_port_of_another_instance_is_an_error(tmp_path: Path) -> None:
    port = free_port()
    with keeper(fixed_plan(port), tmp_path) as ours, keeper(fixed_plan(port), tmp_path) as theirs:
        ours.hand_over(ours.lease("f", can_share=True))
        with pytest.raises(PortTaken, match="another ClaraCore"):
            theirs.lease("f", can_share=True)


def test_a_container_whose_port_is_bound_already_is_let_pass_with_a_note(tmp_path: Path) -> None:
    port = free_port()
    with listening(port), keeper(fixed_plan(port, container=True), tmp_path) as ours:
        lease = ours.lease("f", can_share=False)
        assert lease.port == port
        assert "runs a container" in lease.note
        assert "`cmdStop: docker stop NAME`" in lease.note


def detached_plan(port: int, *models: str, host: str = "127.0.0.1", unchecked: str = "") -> PortPlan:
    return PortPlan(
        Listen(),
        fixed=dict.fromkeys(models, port),
        reserved=frozenset({port}),
        detached=dict.fromkeys(models, Endpoint(host, port)),
        unchecked=frozenset({unchecked}),
    )


def test_who_is_at_the_proxy_already_is_an_external_server_and_only_that_one(tmp_path: Path) -> None:
    port = free_port()
    with keeper(detached_plan(port, "f", "g"), tmp_path) as ours, stranger(free_port()) as child:
        with stranger(port):
            lease, other = ours.lease("f", can_share=True), ours.lease("g", can_share=True)
            assert lease.external == other.external == listeners_on(port, "127.0.0.1")
            assert ours.ledger.leases == {}
            verdict = verify(port, child.pid, external=lease.external)
            assert (verdict.grounds, verdict.listeners) == (Grounds.EXTERNAL, lease.external)
        with stranger(port):
            assert not verify(port, child.pid, external=lease.external).ours
            ours.give_back(lease)
            ours.give_back(other)
            assert ours.lease("f", can_share=True).external == listeners_on(port, "127.0.0.1")


def test_a_proxy_is_looked_at_where_it_leads(tmp_path: Path) -> None:
    port = free_port()
    with stranger(port, host="::1"), keeper(detached_plan(port, "f"), tmp_path) as ours:
        assert ours.lease("f", can_share=True).external == frozenset()
    with stranger(port, host="::1"), keeper(detached_plan(port, "f", host="::1"), tmp_path) as ours:
        assert ours.lease("f", can_share=True).external == listeners_on(port, "::1")


def test_the_server_of_another_model_or_instance_is_no_external_one(tmp_path: Path) -> None:
    port = free_port()
    with keeper(detached_plan(port, "f", "g"), tmp_path) as ours, keeper(detached_plan(port, "h"), tmp_path) as theirs:
        ours.hand_over(ours.lease("f", can_share=True))
        with stranger(port):
            with pytest.raises(
                PortTaken, match='to which the proxy of model "g" leads, is taken by the server of model "f"'
            ):
                ours.lease("g", can_share=True)
            with pytest.raises(PortTaken, match="another ClaraCore"):
                theirs.lease("h", can_share=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of another user")
def test_a_server_of_another_user_at_the_proxy_must_be_asked_for(tmp_path: Path) -> None:
    port = free_port()
    with stranger(port, "nobody") as other, keeper(detached_plan(port, "f", "g", unchecked="g"), tmp_path) as ours:
        with pytest.raises(PortTaken, match=rf"pid {other.pid}, user nobody, (.|\n)*`owner: any`"):
            ours.lease("f", can_share=True)
        assert ours.lease("g", can_share=True).external == frozenset()
        with stranger(free_port()) as child:
            assert verify(port, child.pid, whose="any").grounds is Grounds.ANY


def test_a_model_that_cannot_have_its_port_is_refused(tmp_path: Path) -> None:
    clash = Finding("error", "it is also used", way_out="write ${PORT}")
    plan = PortPlan(Listen(), fixed={"f": free_port()}, unusable={"f": clash})
    with (
        keeper(plan, tmp_path) as ours,
        pytest.raises(PortTaken, match=r'model "f" cannot be served: it is also used\n  write \$\{PORT\}'),
    ):
        ours.lease("f", can_share=True)


def test_more_models_than_files_may_be_open(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ports = free_run(60)
    names = [f"m{number:02}" for number in range(60)]
    with keeper(plan_for(ports, *names), tmp_path) as ours:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        try:
            assert hold_budget() == 50
            (finding,) = ours.hold_all()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert len(ours.held) == 50
        assert finding.severity == "note"


def test_closing_frees_everything(tmp_path: Path) -> None:
    ports = free_run(2)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        ours.hold_all()
    assert is_free(ports[0])
    assert [path.name for path in (tmp_path / "ledger").rglob("*")] == ["mutex"]


def test_held_sockets_are_not_inherited(tmp_path: Path) -> None:
    ports = free_run(2)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        ours.hold_all()
        assert all(not holder.get_inheritable() for holder in ours._holds.sockets)
        assert all(isinstance(holder, socket.socket) for holder in ours._holds.sockets)
