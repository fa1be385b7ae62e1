"""What is said of a load while its weights are read: bar, words and time left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from subprocess import PIPE

import pytest

from claracore.core.loading.past import Forecast, ModelFile
from claracore.core.loading.phases import LoadPhase
from claracore.core.units import MIB
from claracore.host.loading.under_way import LoadUnderWay, Looked
from claracore.host.supervisor.health import Loading
from claracore.host.supervisor.running import Running
from claracore.types import ModelState

SEEN = Looked("engine", ModelFile(94 * MIB, 0), Forecast(10.0, 2.0))


def test_the_bar_keeps_to_the_bytes_and_the_time_left_to_former_loads() -> None:
    load = LoadUnderWay(0.0, SEEN)
    running = Running(ModelState.STARTING, pid=1, loading=Loading("", 16 / 94), phase=LoadPhase.WEIGHTS)
    found = load.expected(running, 7.1)
    assert found.words == "reading weights 16 of 94 MiB"
    assert found.progress is not None
    assert found.progress < 0.25
    assert found.left_seconds == pytest.approx(2.9, abs=0.5)


@pytest.fixture
def a_reader() -> Iterator[int]:
    """The pid of a process that has read and mapped a few MiB, and reads no more: this one may have read GiB by now."""
    argv = [sys.executable, "-I", "-S", "-c", "print(flush=True); input()"]
    with subprocess.Popen(argv, stdin=PIPE, stdout=PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.stdin.write(b"\n")


def test_weights_that_are_in_the_page_cache_are_not_said_to_be_read_from_nothing(a_reader: int) -> None:
    here = Running(ModelState.STARTING, pid=a_reader, phase=LoadPhase.WEIGHTS)
    cached = LoadUnderWay(0.0, Looked("engine", ModelFile(8 << 30, 0), None)).expected(here, 0.5)
    assert (cached.words, cached.read_bytes) == ("8.0 GiB of weights are in memory already", 8 << 30)
    half = LoadUnderWay(0.0, Looked("engine", ModelFile(8 << 30, 4 << 30), None)).expected(here, 0.5)
    assert half.words == "reading weights 4.0 of 8.0 GiB"
    none = LoadUnderWay(0.0, Looked("engine", ModelFile(8 << 30, 8 << 30), None)).expected(here, 0.5)
    assert none.words == "reading weights 0.0 of 8.0 GiB"


def test_a_program_that_was_never_started_is_not_far_before_it_reads() -> None:
    """Seen: `starting 99 %` for five seconds beside "starting the engine", by the load of another model."""
    load = LoadUnderWay(0.0, Looked("wrapped", ModelFile(94 * MIB, 0), Forecast(1.0, guessed=True)))
    starting = Running(ModelState.STARTING, pid=1)
    at = [load.expected(starting, now) for now in (0.5, 6.0)]
    assert [(each.progress, each.words) for each in at] == [(None, "starting the engine")] * 2
    assert [each.left_seconds for each in at] == [1.0, None]
    reading = Running(ModelState.STARTING, pid=1, loading=Loading("", 0.0), phase=LoadPhase.WEIGHTS)
    load.enter(reading, 6.0)
    found = load.expected(reading, 6.5)
    assert found.progress == pytest.approx(0.5, abs=0.1), "by the time since it reads"
    own = LoadUnderWay(0.0, Looked("wrapped", ModelFile(94 * MIB, 0), Forecast(7.0, 1.0)))
    assert own.expected(starting, 3.5).progress == pytest.approx(0.5)
