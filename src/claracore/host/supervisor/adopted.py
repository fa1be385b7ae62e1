"""How is a model's server looked after that another process has started, which is its parent still?

The guardian (`host.upgrade.guardian`) leaves it as a zombie when it has ended, until we say that we have seen how: so
its pid, and the group that it led, stay its own for as long as we may signal them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from claracore.host.sockets.bound import BoundSocket, Stage
from claracore.host.sockets.ports import Lease
from claracore.host.sockets.processes import seen
from claracore.types import Endpoint


class OpenFiles(NamedTuple):
    """Our ends of a server's pipes: what it reads, what it prints, and stdout where that comes apart."""

    stdin: int | None
    output: int
    stdout: int | None = None


class GivenServer(msgspec.Struct, frozen=True, kw_only=True):
    """What one ClaraCore says to the next of a model's server that is ready; its `OpenFiles` come beside it."""

    model: str
    config: str
    """The options of the model in the configuration in force, as JSON."""
    started_with: str
    """Those with which it was started: they may be lesser ones."""
    pid: int
    start: float
    """In the unit of `kernel.process_start`: whoever has this pid and another start is somebody else."""
    mark: str
    host: str
    port: int
    unix_path: str | None
    leased: int | None
    """The port of its lease; None where it has none."""
    shared: bool
    external: tuple[tuple[str, int, int, bool], ...]
    """Address, port, inode and IPV6_V6ONLY of listeners that its lease accepts."""
    age_seconds: float
    says_ready: bool
    asleep: bool
    sleeps: bool
    """Whether it was told to give its memory back (option `sleep`), and not woken since."""
    idle_seconds: float
    load_seconds: float | None
    pinned: bool
    kept_seconds: float | None
    requests: tuple[int, ...]
    """What is still being answered with it."""
    leaves: bool
    """Whether it was asked to be unloaded, and ends with these."""
    guardian: int
    """The process that is its parent."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers."""
        return Endpoint(self.host, self.port, self.unix_path)

    @property
    def lease(self) -> Lease | None:
        """Its lease."""
        if self.leased is None:
            return None
        external = (
            BoundSocket(address, port, Stage.LISTENING, inode, os.geteuid(), None, v6only)
            for address, port, inode, v6only in self.external
        )
        return Lease(self.model, self.leased, self.shared, "", frozenset(external))


@dataclass(frozen=True, slots=True)
class AdoptedProcess:
    """The process of such a server, as `posix.Spawned`."""

    pid: int
    start: float
    stdin: IO[bytes] | None
    reap: Callable[[int], None]
    """Tells its parent to let go of it."""

    def has_ended(self, pid: int) -> bool:
        """Whether it is a zombie, or gone."""
        process = seen(pid)
        return process is None or process.start != self.start

    def wait(self) -> int:
        """Return how it ended, as far as that can be seen: killed, where its parent is gone, too."""
        status = _exit_status(self.pid)
        self.reap(self.pid)
        return -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)


@dataclass(frozen=True, slots=True)
class Adoption:
    """A server that is ours from now on, with its open files and what tells its parent to let go of it."""

    given: GivenServer
    files: OpenFiles
    reap: Callable[[int], None]

    @property
    def process(self) -> AdoptedProcess:
        """Its process."""
        stdin = os.fdopen(self.files.stdin, "wb", buffering=0) if self.files.stdin is not None else None
        return AdoptedProcess(self.given.pid, self.given.start, stdin, self.reap)


def _exit_status(pid: int) -> int | None:
    """Return the status of a zombie as wait(2) would (proc(5), the last field of stat); None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return int(fields[-1]) if fields[0] == "Z" else None


def shown_listeners(lease: Lease | None) -> tuple[tuple[str, int, int, bool], ...]:
    """Return the listeners that a lease accepts, as `GivenServer.external` has them."""
    external = lease.external if lease is not None else frozenset[BoundSocket]()
    return tuple((each.address, each.port, each.inode, each.v6only) for each in external)
