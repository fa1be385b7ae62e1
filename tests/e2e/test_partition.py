"""The cable of a node is out for some seconds: its stream goes on afterwards, others are answered elsewhere meanwhile.

With Ray, in network namespaces: only root has them. (`make test-cluster`)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.instance import WAIT_SECONDS, until
from e2e.joined import Joined, X
from e2e.streaming import Streaming
from e2e.test_ray import APART, BACK_SECONDS, ray_of

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(os.getuid() != 0 or shutil.which("ip") is None, reason="only root has network namespaces"),
]
OUT_SECONDS = 8.0
SPACE = f"claracore-{os.getpid()}"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=60)


@pytest.fixture
def cable() -> Iterator[str]:
    """Give a cable between this network and another one; its name here."""
    ip("netns", "add", SPACE)
    try:
        ip("link", "add", "cc-here", "type", "veth", "peer", "name", "cc-there", "netns", SPACE)
        ip("address", "add", "10.99.1.1/24", "dev", "cc-here")
        ip("link", "set", "cc-here", "up")
        ip("-n", SPACE, "address", "add", "10.99.1.2/24", "dev", "cc-there")
        ip("-n", SPACE, "link", "set", "cc-there", "up")
        ip("-n", SPACE, "link", "set", "lo", "up")
        yield "cc-here"
    finally:
        ip("netns", "delete", SPACE)


@pytest.fixture
def machines(cable: str, tmp_path: Path) -> Iterator[Joined]:
    del cable
    inside = ("ip", "netns", "exec", SPACE)
    with ExitStack() as stack:
        made = Joined(tmp_path, stack)
        made.addresses = {"head": "10.99.1.1:5800", "node": "10.99.1.2:5800"}
        made.start("head", ray_of(0) + X, run_by=APART)
        node = made.start("node", ray_of(1) + X, run_by=inside)
        words = [*inside, sys.executable, "-m", "claracore", "join", made.invite(), "--name", "desk", "--url", node.url]
        joined = subprocess.run(words, check=True, capture_output=True, text=True, timeout=WAIT_SECONDS)
        made.keys["node"] = joined.stdout.split()[-1]
        until(lambda: (made.node() or {}).get("witness") == "there")
        yield made


def test_a_cable_that_is_out_for_some_seconds(machines: Joined, cable: str) -> None:
    stream = Streaming(machines.head, "desk/x", chunks=6, hold_after=3)
    assert stream.begun.wait(60)
    ip("link", "set", cable, "down")
    begun = time.monotonic()
    until(lambda: (machines.node() or {})["state"] == "lost")
    print(f"lost after {time.monotonic() - begun:.1f} s: {(machines.node() or {})['why']}")  # noqa: T201 - pytest -s shows it
    assert machines.head.chat("x").status == 200
    time.sleep(max(0.0, OUT_SECONDS - (time.monotonic() - begun)))
    ip("link", "set", cable, "up")
    begun = time.monotonic()
    until(lambda: (machines.node() or {})["state"] == "up")
    print(f"up again after {time.monotonic() - begun:.1f} s")  # noqa: T201 - as above
    assert (machines.node() or {})["loaded"] == ["x"]
    assert machines.ask("node", "POST", "/upstream/x/control/release").status == 200
    assert stream.ended(60)
    assert "[DONE]" in stream.text
    latest = begun + BACK_SECONDS
    until(lambda: (machines.node() or {})["witness"] == "there" or time.monotonic() > latest)
    assert (machines.node() or {})["witness"] == "there"
    print(f"Ray is whole again after {time.monotonic() - begun:.1f} s")  # noqa: T201 - as above
