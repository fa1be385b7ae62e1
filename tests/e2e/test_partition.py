"""The cable of a node is out, or the line is slow: what runs goes on, what waits is answered elsewhere.

Three machines on a bridge, without Ray and with it. (`make test-cluster`; only root has network namespaces.)
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.bridged import SLOW, Bridged
from e2e.instance import fake, until
from e2e.streaming import Streaming
from e2e.test_ray import BACK_SECONDS

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0 or shutil.which("ip") is None, reason="only root has network namespaces"),
    pytest.mark.skipif(shutil.which("tc") is None, reason="there is no tc, which makes a line slow"),
]
OUT_SECONDS = 15.0
WAITING = 10
HANGS = f"models:\n  x: {{cmd: '{fake('--hang', 'answer')}'}}\n  y: {{cmd: '{fake()}'}}\n"
X_AND_Y = f"models:\n  x: {{cmd: '{fake()}'}}\n  y: {{cmd: '{fake()}'}}\n"
TOGETHER = "groups: {all: {swap: false, members: [x, y]}}\n"
LONG = {"chunks": 220, "chunk_bytes": 1_000}
"""220 kB, which take as long as the line has them take."""


def said(text: str) -> None:
    print(text)  # noqa: T201 - pytest -s shows it


@pytest.fixture(params=[pytest.param(False, marks=pytest.mark.slow), pytest.param(True, marks=pytest.mark.ray)])
def machines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bridged]:
    with ExitStack() as stack:
        yield Bridged(tmp_path, stack, has_ray=request.param)


def whole(stream: Streaming) -> bool:
    return stream.ended(90) and "[DONE]" in stream.text and "error" not in stream.text


def test_a_cable_that_is_out_for_some_seconds(machines: Bridged) -> None:
    machines.begin(HANGS + TOGETHER, X_AND_Y + TOGETHER)
    machines.bridge.shape("node", "tbf", "rate", "64kbit", "burst", "1600", "latency", "1s")
    stream = Streaming(machines.head, "desk/y", **LONG)  # some 30 s long, by the line
    assert stream.begun.wait(60)
    with ThreadPoolExecutor(WAITING) as pool:
        asked = [pool.submit(machines.head.chat, "x") for _ in range(WAITING)]
        until(lambda: (machines.node() or {})["loaded"] == ["x", "y"])
        until(lambda: (machines.node() or {})["requests"] >= WAITING)
        before = machines.servers("node")
        assert len(before) == 2
        with machines.bridge.cut("node") as begun:
            until(lambda: machines.state() == "lost")
            said(f"lost after {time.monotonic() - begun:.1f} s: {(machines.node() or {})['why']}")
            assert [each.result(30).status for each in asked] == [200] * WAITING
            said(f"those that waited were answered elsewhere after {time.monotonic() - begun:.1f} s")
            assert machines.head.chat("x").status == 200
            assert not stream.ended(max(0.0, OUT_SECONDS - (time.monotonic() - begun))), stream.text[-300:]
    back = time.monotonic()
    until(lambda: machines.state() == "up")
    said(f"up again after {time.monotonic() - back:.1f} s")
    assert time.monotonic() - back < 5
    assert whole(stream), stream.text[-300:]
    said(f"its stream ended well {time.monotonic() - back:.1f} s after the cable was back")
    assert (machines.node() or {})["loaded"] == ["x", "y"]
    assert machines.servers("node") == before, "nothing was loaded again"
    machines.bridge.unshape("node")
    assert machines.head.chat("desk/y").status == 200
    if machines.has_ray:
        latest = time.monotonic() + BACK_SECONDS
        until(lambda: (machines.node() or {})["witness"] == "there" or time.monotonic() > latest)
        assert (machines.node() or {})["witness"] == "there"
        said(f"Ray is whole again after {time.monotonic() - back:.1f} s")
        assert machines.servers("node") == before


def test_a_slow_line_is_no_loss(machines: Bridged) -> None:
    machines.begin(X_AND_Y + TOGETHER, X_AND_Y + TOGETHER, "prefer: [desk]")
    assert machines.head.chat("desk/y").status == 200
    states: list[str] = []
    took: list[float] = []
    machines.bridge.shape("node", *SLOW)
    stream = Streaming(machines.head, "desk/y", chunks=80, chunk_bytes=1_000)  # some 40 s long
    until(lambda: machines.state() == "silent")
    while not stream.ended(0.5):
        states.append(machines.state())
        begun = time.monotonic()
        assert machines.head.chat("x").status == 200
        took.append(time.monotonic() - begun)
    assert whole(stream), stream.text[-300:]
    turns = sum(former != present for former, present in itertools.pairwise(states))
    said(f"{len(states)} looks: {states.count('silent')} silent, {states.count('up')} up, {turns} turns")
    said(f"requests of others took {', '.join(f'{each:.1f}' for each in took)} s")
    if not machines.has_ray:  # whose own line it is, too: what neither answers nor is there for Ray is lost
        assert "lost" not in states
    assert turns <= 6
    assert sum(each > 2 for each in took) <= turns + 1, "those that were asked while it was silent went elsewhere"
    machines.bridge.unshape("node")
    begun = time.monotonic()
    until(lambda: machines.state() == "up")
    said(f"up {time.monotonic() - begun:.1f} s after the line was fast")
    assert time.monotonic() - begun < 20
    places = machines.head.ask("GET", "/api/places/y").json["places"]
    assert places[0]["reason"] == "desk: it is loaded there and free"


def test_a_machine_that_is_gone_without_a_word(machines: Bridged) -> None:
    """Its power is cut: nobody resets its connections, which stay half open."""
    machines.begin(HANGS + TOGETHER, X_AND_Y + TOGETHER)
    stream = Streaming(machines.head, "desk/y", chunks=9, hold_after=3)
    assert stream.begun.wait(60)
    with ThreadPoolExecutor(WAITING) as pool:
        asked = [pool.submit(machines.head.chat, "x") for _ in range(WAITING)]
        until(lambda: (machines.node() or {})["requests"] == WAITING + 1)
        with machines.bridge.cut("node") as begun:
            machines.kill("node")
            assert [each.result(30).status for each in asked] == [200] * WAITING
            said(f"those that waited were answered elsewhere after {time.monotonic() - begun:.1f} s")
            assert stream.ended(30)
            said(f"its stream ended after {time.monotonic() - begun:.1f} s")
            assert time.monotonic() - begun < 30
            assert "machine 'desk'" in stream.text
            assert "[DONE]" not in stream.text
            assert machines.head.chat("desk/x").json["error"]["code"] == "machine_lost"
