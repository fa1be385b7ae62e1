"""How Ray is started: which ports, which secret, which label."""

from __future__ import annotations

from pathlib import PurePosixPath

from claracore.core.cluster.ray_words import (
    SOCKET,
    RayPlace,
    head_words,
    node_words,
    ray_environment,
)
from claracore.core.config.program import ClusterConfig

PLACE = RayPlace("10.0.0.2", PurePosixPath("/tmp/r"), PurePosixPath("/state/token"), ClusterConfig())  # noqa: S108


def value(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


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
