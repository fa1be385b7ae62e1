from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from claracore.core.cluster.ray_ports import WORKER_PURPOSE
from claracore.core.ports.listen import Listen
from claracore.core.ports.ranges import PortPlan, Range
from claracore.core.ports.report import PortState
from claracore.host.cluster.ray_seen import holders
from claracore.host.sockets import observe as observing
from claracore.host.sockets.history import load_history, save_history
from claracore.host.sockets.host import ephemeral_range, own_hosts, privileged_below, reserved_ephemeral_ports
from claracore.host.sockets.ledger import Ledger, living_instances
from claracore.host.sockets.observe import observe, observe_running, running_report, why
from claracore.host.sockets.owner import verify
from claracore.types import Endpoint
from fakes.ports import free_port, free_run
from ports.configs import config
from sockets.helpers import leave_in_time_wait, listening, stranger
from sockets.test_ports import keeper, plan_for


def test_why_names_the_stranger() -> None:
    port = free_port()
    assert why(port)[0].state is PortState.FREE
    with stranger(port, host="127.0.0.5") as other:
        seen, sentence = why(port)
        assert (seen.state, seen.pid) == (PortState.STRANGER, other.pid)
        assert sentence.startswith(f"port {port} is taken by python")


def test_why_knows_time_wait() -> None:
    port = free_port()
    leave_in_time_wait(port)
    seen, sentence = why(port)
    assert seen.state is PortState.TIME_WAIT
    assert "TIME_WAIT" in sentence


def test_why_knows_other_instances(tmp_path: Path) -> None:
    ports = free_run(2)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        ours.ledger.set_url("http://127.0.0.1:5800")
        ours.hold_all()
        seen, sentence = why(ports[0], living_instances(tmp_path / "ledger"))
        assert seen.state is PortState.INSTANCE
        assert sentence == (
            f"port {ports[0]} is taken by ClaraCore (pid {os.getpid()}, http://127.0.0.1:5800), "
            'which holds it for its model "a"'
        )
        ours.hand_over(ours.lease("a", can_share=True))
        with stranger(ports[0], "reuseport") as child:
            seen, sentence = why(ports[0], living_instances(tmp_path / "ledger"))
            assert seen.pid == child.pid
            assert 'the server of model "a" of ClaraCore (pid' in sentence
    assert living_instances(tmp_path / "ledger") == []
    assert living_instances(tmp_path / "nowhere") == []


def test_a_plan_is_observed_without_a_server(tmp_path: Path) -> None:
    ports = free_run(5)
    plan = PortPlan(
        Listen(port=ports[0]),
        assignment={"a": ports[1], "b": ports[2]},
        fixed={"x": ports[3], "y": ports[4]},
        external=frozenset({"x", "y"}),
    )
    with stranger(ports[2]), stranger(ports[3]):
        seen = observe(plan, tmp_path)
        assert [seen[port].state for port in ports] == [
            PortState.FREE,
            PortState.FREE,
            PortState.STRANGER,
            PortState.EXTERNAL,
            PortState.FREE,
        ]


def test_a_running_server_tells_what_it_holds(tmp_path: Path) -> None:
    ports = free_run(8)
    with listening(ports[1]), keeper(plan_for(ports, "a", "b", "c", "d"), tmp_path) as ours:
        ours.hold_all()
        ours.hand_over(ours.lease("a", can_share=True))
        ours.lease("c", can_share=True)
        seen = observe_running(ours, {"a": 77})
        assert (seen[ports[0]].state, seen[ports[0]].pid) == (PortState.SERVING, 77)
        assert seen[ports[1]].state is PortState.STRANGER
        assert seen[ports[2]].state is PortState.LEASED
        assert seen[ports[3]].state is PortState.HELD
        assert (seen[ports[4]].state, seen[ports[4]].model) == (PortState.HELD, "b")
        found = running_report(ours, config("a", "b", "c", "d"), {"a": 77})
        assert [row.model for row in found.ports if row.state == "held"] == ["d", "b"]
        assert [finding.message.split(" is taken")[0] for finding in found.findings] == [f"port {ports[1]}"]


def test_a_stranger_is_seen_in_a_range_though_nobody_is_planned_there(tmp_path: Path) -> None:
    ports = free_run(4)
    with stranger(ports[3]) as other, keeper(plan_for(ports, "a"), tmp_path) as ours:
        ours.hold_all()
        for seen in (observe_running(ours, {}), observe(ours.plan, tmp_path)):
            assert (seen[ports[3]].state, seen[ports[3]].pid) == (PortState.STRANGER, other.pid)
            assert ports[2] not in seen
        (row,) = (row for row in running_report(ours, config("a"), {}).ports if row.port == ports[3])
        assert (row.model, row.state) == (None, "stranger")


def test_a_stranger_far_behind_the_last_planned_port_is_seen_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other_one = sorted((free_port(), free_port()))
    plan = PortPlan(Listen(), (Range("(default)", one - 200, 65535, ("a",)),), {"a": one - 200})
    with stranger(one) as other, stranger(other_one), keeper(plan, tmp_path, hold=False) as ours:
        for seen in (observe_running(ours, {}), observe(plan, tmp_path)):
            assert (seen[one].state, seen[one].pid) == (PortState.STRANGER, other.pid)
            assert seen[other_one].state is PortState.STRANGER
            assert one + 1 not in seen
        monkeypatch.setattr(observing, "NAMED", 0)
        cheap = observe_running(ours, {})[one]
        assert (cheap.state, cheap.pid) == (PortState.STRANGER, None), "that it is there costs nothing to say"


def test_an_external_server_is_named_before_and_while_it_serves_a_model(tmp_path: Path) -> None:
    port = free_port()
    plan = PortPlan(
        Listen(), fixed={"f": port}, reserved=frozenset({port}), detached={"f": Endpoint("127.0.0.1", port)}
    )
    with stranger(port) as other, keeper(plan, tmp_path) as ours:
        before = observe(plan, tmp_path)[port]
        ours.lease("f", can_share=True)
        after = observe_running(ours, {"f": 77})[port]
        assert (before.state, before.pid) == (after.state, after.pid) == (PortState.EXTERNAL, other.pid)
        assert after.model == "f"


def test_the_child_is_verified_and_a_stranger_named() -> None:
    port = free_port()
    with stranger(port) as child, stranger(free_port()) as other:
        assert verify(port, child.pid).ours
        verdict = verify(port, other.pid)
        assert not verdict.ours
        assert verdict.owner is not None
        assert verdict.owner.pid == child.pid
        assert f"pid {child.pid}" in verdict.note


def test_history_is_kept_for_each_configuration(tmp_path: Path) -> None:
    assert load_history(tmp_path, "/a.yaml") == {}
    save_history(tmp_path, "/a.yaml", PortPlan(Listen(), assignment={"m": 8100, "n": 8101}))
    save_history(tmp_path, "/b.yaml", PortPlan(Listen(), assignment={"m": 9100}))
    save_history(tmp_path, "/a.yaml", PortPlan(Listen(), assignment={"n": 8101, "o": 8102}))
    assert list(load_history(tmp_path, "/a.yaml").items()) == [("m", 8100), ("n", 8101), ("o", 8102)]
    assert load_history(tmp_path, "/b.yaml") == {"m": 9100}


@pytest.mark.parametrize(
    "text",
    ["[]", '{"configs": 3}', '{"configs": {"/a": {"m": "x", "n": 0, "o": true, "p": 99999}}}', "[" * 100_000],
)
def test_a_broken_history_is_no_history(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)
    assert load_history(tmp_path, "/a") == {}
    save_history(tmp_path, "/a", PortPlan(Listen(), assignment={"m": 8100}))
    assert json.loads((tmp_path / "ports.json").read_text())["configs"]["/a"] == {"m": 8100}


def test_facts_of_this_host() -> None:
    assert len(ephemeral_range()) > 1000
    assert reserved_ephemeral_ports() <= set(range(65536))
    assert privileged_below() in {0, 1024} or privileged_below() > 0
    assert "127.0.0.1" in own_hosts()


def test_an_instance_that_is_just_starting_is_no_trouble(tmp_path: Path) -> None:
    ours = Ledger(tmp_path)
    (ours._folder / "new.lock").touch()
    assert [found.pid for found in living_instances(tmp_path)] == [os.getpid()]
    ours.close()


def test_a_port_of_ray_is_our_rays_or_somebody_elses(tmp_path: Path) -> None:
    first = free_run(3)[0]
    plan = PortPlan(Listen(port=free_port()), ray={first: "its agent", first + 1: "x", first + 2: WORKER_PURPOSE})
    with stranger(first) as ours, stranger(first + 1) as other:
        seen = observe(plan, tmp_path, {ours.pid})
        assert (seen[first].state, seen[first].holder.startswith("our Ray: python")) == (PortState.SERVING, True)
        assert (seen[first + 1].state, seen[first + 1].pid) == (PortState.STRANGER, other.pid)
        assert seen[first].note == "Ray: its agent"
        assert first + 2 not in seen, "of the many those that somebody has"
        assert list(holders([first, first + 2])) == [first]
        with stranger(first + 2):
            assert observe(plan, tmp_path, ())[first + 2].state is PortState.STRANGER


def test_a_server_keeps_the_port_that_ray_is_to_have(tmp_path: Path) -> None:
    ports = free_run(2)
    with keeper(plan_for(ports, "a"), tmp_path) as ours:
        ours.hand_over(ours.lease("a", can_share=True))
        ours.replan(replace(plan_for(ports, "b"), ray={ports[0]: "its agent"}))
        seen = observe_running(ours, {})
        assert (seen[ports[0]].model, "when it is given back" in seen[ports[0]].note) == ("a", True)
