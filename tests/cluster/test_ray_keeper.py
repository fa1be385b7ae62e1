"""What stands for Ray ends with it, and Ray with what stands for it. (Linux)"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from claracore.host.cluster import ray_keeper
from e2e.instance import gone, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no subreaper elsewhere")

STAYS = """
import subprocess, sys
for _ in range(2):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("started", flush=True)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def processes() -> Iterator[list[psutil.Process]]:
    found: list[psutil.Process] = []
    yield found
    for each in found:
        if each.is_running():
            each.kill()


def kept(processes: list[psutil.Process], status: int = 0) -> subprocess.Popen[str]:
    """Start what keeps two processes that a command leaves behind; return when they are its children."""
    words = [sys.executable, "-I", "-S", ray_keeper.__file__, sys.executable, "-c", STAYS, str(status)]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stdout.readline() == "started\n"
    if status == 0:
        keeper = psutil.Process(running.pid)
        until(lambda: len(keeper.children()) == 2)
        processes.extend(keeper.children())
    return running


@pytest.mark.parametrize("number", [0, 1])
def test_one_ends_and_so_do_all(processes: list[psutil.Process], number: int) -> None:
    running = kept(processes)
    processes[number].kill()
    _, said_of_it = running.communicate(timeout=30)
    assert (running.returncode, "has ended" in said_of_it) == (1, True)
    assert not any(each.is_running() for each in processes)


def test_it_is_told_to_end(processes: list[psutil.Process]) -> None:
    running = kept(processes)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=30)
    assert running.returncode == 0
    assert not any(each.is_running() for each in processes)


PARENT = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(600)"
"""Stands for a ClaraCore, which is killed."""
STUBBORN = """
import os, signal, subprocess, sys
for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(each, signal.SIG_IGN)
below = "import time; print('below', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", below], start_new_session=True)
signal.pause()
"""
"""A start that is not over, ends at no signal but the last, and has a child in a session of its own."""


def test_its_parent_is_killed(processes: list[psutil.Process]) -> None:
    words = [sys.executable, "-I", "-S", ray_keeper.__file__, sys.executable, "-c", STAYS, "0"]
    with subprocess.Popen([sys.executable, "-c", PARENT, *words], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        (keeper,) = psutil.Process(parent.pid).children()
        until(lambda: len(keeper.children()) == 2)
        processes.extend([keeper, *keeper.children()])
        parent.kill()
    assert gone(processes)


@pytest.mark.parametrize("of_parent", [False, True])
def test_a_start_under_way_ends_with_all_that_came_of_it(processes: list[psutil.Process], *, of_parent: bool) -> None:
    words = [sys.executable, "-I", "-S", ray_keeper.__file__, sys.executable, "-c", STUBBORN]
    with subprocess.Popen([sys.executable, "-c", PARENT, *words], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "below\n"
        below = psutil.Process(parent.pid).children(recursive=True)
        processes.extend(below)
        assert len(below) == 3
        (parent if of_parent else below[0]).send_signal(signal.SIGKILL if of_parent else signal.SIGTERM)
        assert gone(below[1:])
        parent.kill()
        assert gone(below[:1])


def test_a_signal_that_comes_again_and_again_does_not_keep_it_from_the_end(processes: list[psutil.Process]) -> None:
    running = kept(processes)
    while running.poll() is None:
        running.send_signal(signal.SIGTERM)
        running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)
    assert running.returncode == 0
    assert not any(each.is_running() for each in processes)


def test_a_start_that_fails_leaves_nothing(processes: list[psutil.Process]) -> None:
    running = kept(processes, status=3)
    running.communicate(timeout=30)
    assert running.returncode == 3
