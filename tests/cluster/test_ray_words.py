"""How Ray is started: which ports, which secret, which label."""

from __future__ import annotations

import itertools
from pathlib import PurePosixPath

import pytest

from claracore.core.cluster.ray_words import (
    SOCKET,
    RayPlace,
    firewall_ports,
    head_words,
    node_words,
    ray_environment,
    ray_ports,
)
from claracore.core.config.program import ClusterConfig
from claracore.core.ports.listen import Listen
from claracore.core.ports.plan import plan
from ports.configs import config, group

PLACE = RayPlace("10.0.0.2", PurePosixPath("/tmp/r"), PurePosixPath("/state/token"), ClusterConfig())  # noqa: S108


def value(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def test_every_port_that_is_given_to_ray_is_a_reserved_one() -> None:
    words = head_words(PLACE)
    given = [int(following) for flag, following in itertools.pairwise(words) if flag.endswith("-port")]
    assert len(given) == 6 + words.count("--port")
    assert {*given, int(value(words, "--port"))} <= ray_ports(PLACE.ports)
    assert firewall_ports(PLACE.ports) == "6379, 6380-6383, 6400-6449"
    assert len(ray_ports(PLACE.ports)) == 1 + 4 + 50
    assert ray_ports(None) == frozenset()


def test_a_head_and_a_node() -> None:
    head, node = head_words(PLACE), node_words(PLACE, "10.0.0.1:6379", "desk")
    assert "--head" in head
    assert "--labels" not in head
    assert (value(node, "--address"), value(node, "--labels")) == ("10.0.0.1:6379", "claracore=desk")
    assert all(value(words, "--num-cpus") == "0" for words in (head, node))


def test_a_token_is_always_asked_for_and_only_a_head_remembers() -> None:
    head = ray_environment(PLACE, PurePosixPath("/state/gcs"), None)
    node = ray_environment(PLACE, None, PurePosixPath("/run/link.sock"))
    for each in (head, node):
        assert (each["RAY_AUTH_MODE"], each["RAY_AUTH_TOKEN_PATH"]) == ("token", "/state/token")
    assert head["RAY_gcs_storage"] == "rocksdb"
    assert "RAY_gcs_storage" not in node
    assert node[SOCKET] == "/run/link.sock"


@pytest.mark.parametrize("declared", [ClusterConfig(gcs_port=9400, node_ports=9401, worker_ports=9405), None])
def test_no_model_is_given_a_port_of_ray(declared: ClusterConfig | None) -> None:
    made = config("a", "b", groups=(group("g", "a", "b", startPort=9400, endPort=9499),))
    found = plan(made.model_copy(update={"cluster": declared}), Listen(port=5800), places={})
    assert found.findings == ()
    assert sorted(found.assignment.values()) == ([9455, 9456] if declared is not None else [9400, 9401])
