"""What stands for Ray ends with it, and Ray with what stands for it. (Linux)"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from claracore.host.cluster import ray_keeper
from e2e.instance import until

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


def test_a_start_that_fails_leaves_nothing(processes: list[psutil.Process]) -> None:
    running = kept(processes, status=3)
    running.communicate(timeout=30)
    assert running.returncode == 3
