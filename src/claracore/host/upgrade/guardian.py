"""What is left of the process that was ClaraCore once another has taken its place? (Linux)

A stand-alone script, which that process becomes by execve (`guardian.py LINK_FD SUCCESSOR_PID STAYS SERVER_PID ...`).
It keeps its pid, and with it three things that cannot be handed over: it is the parent of the model servers that it
has started (the kernel ends them with their parent, prctl(2) PR_SET_PDEATHSIG), whoever started ClaraCore waits for
this pid (a shell, systemd, a container), and signals go to it. It passes signals on to its successor, leaves ended
servers as zombies until the successor has seen how they ended (so that no pid passes on meanwhile), and ends when the
successor does: with 0 if that has said goodbye, else with 1, and then no model server is left alive. One that was
started by a guardian itself (STAYS is 0) is waited for by nobody else, and ends with the last of its servers.

It imports nothing of claracore: 3 MB of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from types import FrameType

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
PACKET_BYTES = 65_536


def main() -> None:
    """Keep watch; see the module's docstring."""
    link = socket.socket(fileno=int(sys.argv[1]))
    link.setblocking(True)
    guard = Guardian(int(sys.argv[2]), {int(pid) for pid in sys.argv[4:]})
    stays = bool(int(sys.argv[3]))
    for number in (*PASSED_ON, signal.SIGCHLD):
        signal.signal(number, guard.heard)
    # Were kept back while this program was not there yet.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*PASSED_ON, signal.SIGCHLD))
    guard.reap()
    while (stays or guard.servers) and (packet := link.recv(PACKET_BYTES)):
        kind, body = json.loads(packet)
        if kind == "reap":
            guard.reap_server(body)
        elif kind == "successor":
            guard.be_for(body)
        elif kind == "goodbye":
            guard.code = 0
    sys.exit(guard.ends() if stays or guard.servers else 0)


class Guardian:
    """The parent of model servers that another process looks after."""

    def __init__(self, successor: int, servers: set[int]) -> None:
        self.code = 1
        self.servers = servers
        """Those that have not been let go."""
        self._successor = -1
        self.be_for(successor)

    def be_for(self, successor: int) -> None:
        """Pass signals on to this process from now on."""
        self._pid = successor
        if self._successor >= 0:
            os.close(self._successor)
        try:
            self._successor = os.pidfd_open(successor)
        except OSError:
            self._successor = -1

    def heard(self, number: int, _frame: FrameType | None) -> None:
        """Pass a signal on, or look who has ended."""
        if number == signal.SIGCHLD:
            self.reap()
        elif self._successor >= 0:
            with contextlib.suppress(OSError):  # it is ending
                signal.pidfd_send_signal(self._successor, number)

    def reap(self) -> None:
        """Let go of whoever has ended, but for the servers and for the successor."""
        for pid in _children():
            if pid not in self.servers and pid != self._pid:
                _wait_for(pid)

    def reap_server(self, pid: int) -> None:
        """Let go of a server that has ended; nobody asks for it any more."""
        if pid in self.servers:
            self.servers.discard(pid)
            _wait_for(pid)

    def ends(self) -> int:
        """Return the exit code: the successor has let go of its end. Nothing is served after this."""
        if self._successor >= 0:
            poll = select.poll()
            poll.register(self._successor, select.POLLIN)
            poll.poll()
        return self.code


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:  # noqa: PTH123 - pathlib is 1 MB
        return [int(pid) for pid in file.read().split()]


def _wait_for(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


main()
