"""Which ports are Ray's, what for, and what follows for models, reports and people?"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from claracore.core.cluster.joined import HeadOfNode, Remembered
from claracore.core.cluster.ray_ports import RayRole, firewall_ports, needed_ports, ray_ports, ray_role, waiting_words
from claracore.core.cluster.ray_words import RayPlace, head_words, node_words
from claracore.core.config.program import ClusterConfig
from claracore.core.ports.listen import Listen
from claracore.core.ports.plan import plan
from claracore.core.ports.report import Observation, PortState, report, role_of
from ports.configs import config, group, model

WEB = Listen(port=5800)
PLACE = RayPlace("10.0.0.2", PurePosixPath("/tmp/r"), PurePosixPath("/state/token"), ClusterConfig())  # noqa: S108
HEAD = HeadOfNode("http://h:5800", "", "head", "desk")


@pytest.mark.parametrize("role", [RayRole.HEAD, RayRole.NODE])
def test_every_port_that_is_given_to_ray_is_a_reserved_one(role: RayRole) -> None:
    words = head_words(PLACE) if role is RayRole.HEAD else node_words(PLACE, "10.0.0.1:6379", "desk")
    given = [int(following) for flag, following in itertools.pairwise(words) if flag.endswith("-port")]
    reserved = ray_ports(None, role)
    assert len(given) == 6 + (role is RayRole.HEAD)
    assert {*given} <= reserved.keys()
    assert needed_ports(PLACE.ports, role).keys() == {*given} & set(range(6379, 6384))
    assert len(reserved) == 4 + 50 + (role is RayRole.HEAD)
    assert firewall_ports(PLACE.ports) == "6379, 6380-6383, 6400-6449"


@pytest.mark.parametrize(
    ("known", "role"),
    [
        (Remembered(), RayRole.NONE),
        (Remembered().invited("a", until=100, now=0), RayRole.HEAD),
        (Remembered().invited("a", until=1, now=0), RayRole.NONE),
        (Remembered(head=HEAD), RayRole.NONE),
        (Remembered(head=replace(HEAD, gcs="h:6379")), RayRole.NODE),
    ],
)
def test_as_whose_it_runs(known: Remembered, role: RayRole) -> None:
    assert ray_role(known, now=50) is role


@pytest.mark.parametrize(
    ("declared", "role", "first"),
    [
        (ClusterConfig(gcs_port=9400, node_ports=9401, worker_ports=9405), RayRole.NONE, 9455),
        (ClusterConfig(gcs_port=9400, node_ports=9401, worker_ports=9405), RayRole.NODE, 9400),
        (ClusterConfig(ray=False, gcs_port=9400, node_ports=9401, worker_ports=9405), RayRole.HEAD, 9400),
        (None, RayRole.NONE, 9400),
    ],
)
def test_no_model_is_given_a_port_of_ray(declared: ClusterConfig | None, role: RayRole, first: int) -> None:
    made = config("a", groups=(group("g", "a", startPort=9400, endPort=9499),))
    found = plan(made.model_copy(update={"cluster": declared}), WEB, places={}, ray=role)
    assert found.findings == ()
    assert list(found.assignment.values()) == [first]


def test_without_a_word_in_the_file_they_are_reserved_as_soon_as_it_is_to_run() -> None:
    made = config("a", groups=(group("g", "a", startPort=6400, endPort=6499),))
    history = {"a": 6400}
    assert plan(made, WEB, places={}, history=history).assignment == {"a": 6400}
    assert plan(made, WEB, places={}, history=history, ray=RayRole.HEAD).assignment == {"a": 6450}


def test_a_model_that_names_one_itself_is_told_of() -> None:
    found = plan(config(model("a", "llama-server --port 6381")), Listen(port=6380), places={}, ray=RayRole.NODE)
    assert [(each.severity, "Ray's" in each.message) for each in found.findings] == [("warning", True)] * 2
    assert found.unusable == {}


def test_the_report_has_them_as_rays() -> None:
    made = config("a")
    found = plan(made, WEB, places={}, ray=RayRole.HEAD)
    seen = {6379: Observation(PortState.SERVING, None, 7, "our Ray: gcs_server", "Ray: its list of nodes (GCS)")}
    view = report(found, made, seen)
    assert [(each.start, each.end) for each in view.ranges if each.name == "(Ray)"] == [(6379, 6383), (6400, 6449)]
    [row] = [row for row in view.ports if row.port == 6379]
    assert (row.model, row.state, row.pid, row.note) == (None, "serving", 7, "Ray: its list of nodes (GCS)")
    assert "its agent" in role_of(6383, found)
    assert "Ray" not in role_of(6378, found)


def test_who_is_in_the_way_is_named() -> None:
    needed = needed_ports(ClusterConfig(), RayRole.HEAD)
    assert waiting_words({}, needed) == ""
    words = waiting_words({6380: 'model "qwen"', 6379: "redis-server (pid 5)", 80: "nginx"}, needed)
    assert words == (
        "Ray waits for port 6379 (its list of nodes (GCS)): redis-server (pid 5) has it; "
        'port 6380 (its node manager (raylet)): model "qwen" has it'
    )
