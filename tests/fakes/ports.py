"""Which ports may this process's tests use? Real ones that nobody has, below those that the kernel hands out.

Each worker of one run (pytest-xdist) has a range of its own. Nobody else keeps out of it: what is returned was free a
moment ago.
"""

from __future__ import annotations

import os
import socket

LOWEST, END = 18400, 32000
SPACING = 20
"""Between two runs, for servers that have to go on to the next port."""


def is_free(port: int) -> bool:
    """Whether a plain exclusive bind on all addresses of both families succeeds."""
    with socket.socket() as probe, socket.socket(socket.AF_INET6) as probe6:
        probe6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind(("0.0.0.0", port))
            probe6.bind(("::", port))
        except OSError:
            return False
    return True


def share(worker: int, workers: int) -> range:
    """Return the ports of one worker, counted from 0."""
    width = (END - LOWEST) // workers
    return range(LOWEST + worker * width, LOWEST + (worker + 1) * width)


class Runs:
    """Runs of consecutive free ports out of some; none comes twice before all others have been returned."""

    def __init__(self, ports: range) -> None:
        self._ports = ports
        # Another run of the tests on this machine most likely begins elsewhere.
        self._next = ports[os.getpid() * 101 % len(ports)]

    def free_run(self, length: int = 1) -> range:
        """Return so many."""
        for _ in range(2 * len(self._ports) // SPACING):
            run = range(self._next, self._next + length)
            if run.stop > self._ports.stop:
                self._next = self._ports.start
                continue
            self._next = run.stop + SPACING - 1
            if all(is_free(port) for port in run):
                return run
        raise AssertionError(f"no {length} free ports in {self._ports}")

    def free_port(self) -> int:
        """Return one."""
        return self.free_run().start


_RUNS = Runs(
    share(
        int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")),
        int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
    )
)
free_run, free_port = _RUNS.free_run, _RUNS.free_port
