"""What does Linux say about processes, and about the sockets that they have open? From /proc (proc(5))."""

from __future__ import annotations

import ctypes
import os
import pwd
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from claracore.host.sockets.bound import BoundSocket, Reuse

EXEC_LOOKS, EXEC_PAUSE_SECONDS = 50, 0.0002
"""How often, and after which time, a process that becomes another program is looked at again."""
SYS_PIDFD_GETFD = 438  # on every architecture but alpha and MIPS, where the call fails and nothing is known


def family(pid: int) -> Iterator[int]:
    """Yield the pid and its living descendants, nearest first."""
    waiting = [pid]
    seen = set(waiting)
    while waiting:
        parent = waiting.pop(0)
        yield parent
        for child in children(parent):
            if child not in seen:
                seen.add(child)
                waiting.append(child)


def pids() -> list[int]:
    """Return the ids of all processes that /proc shows us."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - names are all that is wanted


def ancestors(pid: int) -> Iterator[int]:
    """Yield the parent of a process, and its parent, up to the first process."""
    while (fields := _stat(pid)) and (pid := int(fields[1])):
        yield pid


def children(pid: int) -> list[int]:
    """Return the direct children, of all threads of the process."""
    children: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - hot: verified before each start is served
            with suppress(OSError), open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:  # noqa: PTH123 - hot
                children += map(int, file.read().split())
    return children


def led_by(pid: int) -> list[int]:
    """Return the processes in the group or the session that the process leads, also when it has ended (~10 ms).

    One that forked twice to be a daemon is no descendant any more, but stays there unless it said setsid.
    """
    found: list[int] = []
    for other in pids():
        fields = _stat(other)
        if fields and pid in {int(fields[2]), int(fields[3])} and other != pid:
            found.append(other)
    return found


def user_of(pid: int) -> int | None:
    """Return the user id under which the process makes files and sockets; None when there is no such process.

    Readable for everybody's processes.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Uid:"):  # real, effective, saved, file system
                return int(line.split()[4])
    return None


def hides(pid: int) -> bool:
    """Whether we may not see which sockets the process has: it is another user's, or has rights that we have not.

    What it runs is hidden by the same rule as its file descriptors (ptrace(2), PTRACE_MODE_READ).
    """
    try:
        os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - as above
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def owned_by(pid: int, sockets: Collection[BoundSocket]) -> set[BoundSocket]:
    """Return those of the sockets that the process has open; empty where we may not look."""
    found: set[BoundSocket] = set()
    for _, entry in _open_in(pid, sockets):
        found.add(entry)
        if len(found) == len(sockets):
            break
    return found


def _open_in(pid: int, sockets: Collection[BoundSocket]) -> Iterator[tuple[int, BoundSocket]]:
    """Yield the file descriptors of a process that are one of the sockets."""
    wanted = {f"socket:[{entry.inode}]": entry for entry in sockets if entry.inode}
    with suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - hot
            with suppress(OSError):
                entry = wanted.get(os.readlink(f"/proc/{pid}/fd/{number}"))  # noqa: PTH115 - hot
                if entry is not None:
                    yield int(number), entry


def reuse_of(pid: int, entry: BoundSocket) -> Reuse | None:
    """Return with which options a process bound this socket; None where we may not look (~0.1 ms).

    Read off a duplicate of its file descriptor (pidfd_getfd(2), Linux 5.6), for which it must be a process that we may
    trace: with Yama, a descendant.
    """
    for number, _ in _open_in(pid, [entry]):
        # Some builds of Python have no os.pidfd_open.
        with suppress(OSError, AttributeError), _duplicate(pid, number) as sock:
            address, port = (
                sock.getsockopt(socket.SOL_SOCKET, option) for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT)
            )
            return (Reuse.ADDRESS if address else Reuse.NONE) | (Reuse.PORT if port else Reuse.NONE)
    return None


def stop_sharing(pid: int, entry: BoundSocket) -> bool:
    """Take SO_REUSEPORT from a socket of another process (~0.1 ms).

    False when the socket has none, the process has no such socket, or we may not.
    """
    for number, _ in _open_in(pid, [entry]):
        with suppress(OSError, AttributeError), _duplicate(pid, number) as sock:
            shared = bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
            return shared
    return False


def _duplicate(pid: int, number: int) -> socket.socket:
    """Return the socket that is another process's file descriptor `number`; raises OSError."""
    pidfd = os.pidfd_open(pid)
    try:
        ours = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
    finally:
        os.close(pidfd)
    if ours < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return socket.socket(fileno=ours)


def holder_pid(entry: BoundSocket) -> int | None:
    """Return a process that has the socket open; looks through all of /proc, so only for diagnostics (~10 ms)."""
    return next((pid for pid in pids() if owned_by(pid, [entry])), None)


def process_start(pid: int) -> float | None:
    """Return when the process started, in clock ticks since boot; None when there is no such process.

    Together with the pid this identifies a process for as long as the machine runs. A zombie is no process any more.
    """
    fields = _stat(pid)
    return float(fields[19]) if fields else None


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the third on; none of a zombie, and when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return []
    fields = stat.rpartition(b")")[2].split()
    return [] if fields[0] in {b"Z", b"X"} else fields


def process_token(pid: int) -> str | None:
    """Return CLARACORE_TOKEN from the environment the process was started with; None where we may not look.

    A process that is just becoming another program (execve(2)) has no environment for a moment: that is waited for.
    """
    try:
        environ, looks = Path(f"/proc/{pid}/environ").read_bytes(), 0
        while not environ and looks < EXEC_LOOKS:
            # It may have become one between the two looks, so that a last one follows.
            looks = looks + 1 if _is_between_programs(pid) else EXEC_LOOKS
            time.sleep(EXEC_PAUSE_SECONDS if looks < EXEC_LOOKS else 0.0)
            environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    for variable in environ.split(b"\0"):
        if variable.startswith(b"CLARACORE_TOKEN="):
            return variable.partition(b"=")[2].decode("ascii", "replace")
    return None


def _is_between_programs(pid: int) -> bool:
    """Whether a process, which we may look into, has no place for its environment yet (proc(5): stat, env_end)."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return fields[0] not in {b"Z", b"X"} and fields[48] == b"0"


def network_namespace() -> str:
    """Return a name for the port space we live in, different after each boot."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    return f"{boot}-{os.stat('/proc/self/ns/net').st_ino}"  # noqa: PTH116 - the inode is all we want


def user_name(uid: int | None) -> str | None:
    """Return the login name of a user id, the number where it has none, None when unknown."""
    if uid is None:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
