"""What is seen of a model on several machines, and how long it is waited for when one of them hangs."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from claracore.host.cluster.rank_holder import LEASE_SECONDS
from e2e.instance import gone
from e2e.streaming import Streaming
from e2e.test_ranks import WAIT, Ranks, broken_off, ranked


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Ranks]:
    with ExitStack() as stack:
        yield Ranks(tmp_path, stack)


def test_what_is_shown_of_a_rank_on_either_machine(machines: Ranks) -> None:
    node = machines.start("b")
    head = machines.start_head(ranked(), "b")
    assert head.chat("big").status == 200
    rows = {row["name"]: row for row in head.ask("GET", "/api/nodes").json["nodes"]}
    assert rows["b"]["ranks"] == ["rank 1 of big"]
    states = {row["model"]: row["state"] for row in head.ask("GET", "/api/ports").json["ports"]}
    assert states["big (ranks)"] == states["big"] == "serving"
    # A rank that listens nowhere has no port: the one that it is asked at is its head's.
    shown = {model["id"]: model for model in node.ask("GET", "/api/models").json["models"]}
    assert (shown["big.rank1"]["state"], shown["big.rank1"]["port"]) == ("ready", None)
    assert node.running()["big.rank1"]["port"] is None
    assert node.ask("GET", "/api/nodes").json["nodes"][0]["ranks"] == ["rank 1 of big"]


@pytest.mark.slow
def test_a_machine_hangs_and_another_one_takes_its_rank(machines: Ranks) -> None:
    for name in ("b", "c"):
        machines.start(name)
    head = machines.start_head(ranked(), "b", "c")
    assert head.chat("big").status == 200
    held = next(name for name in ("b", "c") if machines.ranks(name))
    stream = Streaming(head, "big", chunks=9, hold_after=2)
    assert stream.begun.wait(WAIT)
    ranks = machines.ranks(held)
    machines.running[held].process.send_signal(signal.SIGSTOP)
    try:
        broken_off(stream, f"machine '{held}'")
        begun_at = time.monotonic()
        assert head.chat("big").status == 200
        assert time.monotonic() - begun_at < LEASE_SECONDS / 2
    finally:
        machines.running[held].process.send_signal(signal.SIGCONT)
    assert gone(ranks)
    assert head.chat("big").status == 200
