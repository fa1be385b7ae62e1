"""What does psutil say about a TCP port and about processes?

Used where there is neither netlink nor /proc: macOS, BSD, Windows. Slower and, on macOS without root, blind for the
processes of other users; an unknown holder is reported as unknown, never guessed.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress

import psutil

from claracore.host.sockets.bound import BoundSocket, Reuse, Stage

STAGES = {psutil.CONN_LISTEN: Stage.LISTENING, psutil.CONN_TIME_WAIT: Stage.TIME_WAIT, psutil.CONN_NONE: Stage.BOUND}


def sockets_on(port: int, *, silent: bool = False) -> list[BoundSocket]:
    """Return the listening sockets on a port; with `silent` also those in TIME_WAIT and, where shown, bound ones."""
    found: list[BoundSocket] = []
    for address, status, pid in _connections():
        stage = STAGES.get(status)
        if address[1] == port and stage is not None and (silent or stage is Stage.LISTENING):
            found.append(BoundSocket(address[0], port, stage, pid=pid))
    return found


def listening_ports() -> set[int]:
    """Return every port on which somebody listens, as far as we may see."""
    return {address[1] for address, status, _pid in _connections() if STAGES.get(status) is Stage.LISTENING}


def _connections() -> Iterator[tuple[tuple[str, int], str, int | None]]:
    """Yield local address, status and pid of all TCP sockets that we may see."""
    try:
        everything = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        # macOS lets only root list everybody's sockets at once; process by process it shows our own.
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                for connection in process.net_connections(kind="tcp"):
                    if connection.laddr:
                        yield (connection.laddr.ip, connection.laddr.port), connection.status, process.pid
        return
    for entry in everything:
        if entry.laddr:
            yield (entry.laddr.ip, entry.laddr.port), entry.status, entry.pid


def other_end(connection: socket.socket) -> int:
    """Raise OSError: there is no way to ask for the inode of a connection's other end."""
    raise OSError(f"who accepted {connection} cannot be asked on this system")


def family(pid: int) -> Iterator[int]:
    """Yield the pid and its living descendants."""
    yield pid
    with suppress(psutil.Error):
        yield from (child.pid for child in psutil.Process(pid).children(recursive=True))


def led_by(pid: int) -> list[int]:
    """Return the processes in the group or the session that the process leads; none where there is no such thing."""
    if sys.platform == "win32":
        return []
    found: list[int] = []
    for other in psutil.pids():
        with suppress(OSError):
            if other != pid and pid in {os.getpgid(other), os.getsid(other)}:
                found.append(other)
    return found


def user_of(pid: int) -> int | None:
    """Return the user id under which the process acts; None where that cannot be seen."""
    if sys.platform == "win32":
        return None
    with suppress(psutil.Error):
        return int(psutil.Process(pid).uids().effective)
    return None


def hides(pid: int) -> bool:
    """Whether we may not see which sockets the process has."""
    try:
        psutil.Process(pid).net_connections(kind="tcp")
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
    return False


def pids() -> list[int]:
    """Return the ids of all processes."""
    return psutil.pids()


def ancestors(pid: int) -> Iterator[int]:
    """Yield the parent of a process, and its parent, up to the first process."""
    with suppress(psutil.Error):
        for parent in psutil.Process(pid).parents():
            yield parent.pid


def children(pid: int) -> list[int]:
    """Return the direct children of the process."""
    with suppress(psutil.Error):
        return [child.pid for child in psutil.Process(pid).children()]
    return []


def owned_by(pid: int, sockets: Collection[BoundSocket]) -> set[BoundSocket]:
    """Return those of the sockets that the process has open."""
    return {entry for entry in sockets if entry.pid == pid}


def holder_pid(entry: BoundSocket) -> int | None:
    """Return a process that has the socket open; None when we may not know."""
    return entry.pid


def stop_sharing(pid: int, entry: BoundSocket) -> bool:
    """Take SO_REUSEPORT from a socket of another process: not possible on this system."""
    del pid, entry
    return False


def reuse_of(pid: int, entry: BoundSocket) -> Reuse | None:  # noqa: ARG001 - the other platform module can tell
    """Return None: there is no way to ask for the options of another process's socket."""
    return None


def process_start(pid: int) -> float | None:
    """Return when the process started, in seconds since the epoch; None when there is no such process."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def process_token(pid: int) -> str | None:
    """Return CLARACORE_TOKEN from the environment the process was started with; None where we may not look."""
    try:
        return psutil.Process(pid).environ().get("CLARACORE_TOKEN")
    except psutil.Error:
        return None


def network_namespace() -> str:
    """Return a name for the port space we live in; there is one per boot outside Linux."""
    return f"boot-{int(psutil.boot_time())}"


def user_name(uid: int | None) -> str | None:
    """Return the user id as text: psutil tells names with the process, never with the socket."""
    return None if uid is None else str(uid)
