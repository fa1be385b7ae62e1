"""Who has this port, and is it ours?

Two questions with different prices. `belongs_to` is asked before a model is served and looks only at the port and at
our child: well under a millisecond. `owner_of` is asked when something is wrong and may search all processes.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from claracore.ports.containers import is_runtime
from claracore.ports.holder import Owner, program_name
from claracore.sockets.bound import BoundSocket, Reuse, Stage
from claracore.sockets.kernel import family, holder_pid, owned_by, reuse_of, sockets_on, user_name

QUIET = sys.platform == "linux"
"""Whether the kernel tells who listens without much ado (kernel_linux.py)."""


def belongs_to(port: int, pid: int, *, host: str = "127.0.0.1") -> bool:
    """Whether every socket that may answer on host:port belongs to the process or a descendant of it (P8).

    Every one, because SO_REUSEPORT lets a stranger of the same user join and get a share of the connections. False
    when nobody listens and when we may not see whose socket it is.
    """
    entries = listeners_on(port, host)
    return bool(entries) and not _left_by(family(pid), entries)


def listeners_on(port: int, host: str) -> frozenset[BoundSocket]:
    """Return the listening sockets at which a connection to host:port may arrive."""
    return frozenset(entry for entry in sockets_on(port) if entry.reached_by(host))


def is_open_in(pid: int, inode: int) -> bool:
    """Whether the process or a descendant of it has the socket with this inode open."""
    wanted = {BoundSocket("", 0, Stage.BOUND, inode)}
    return any(owned_by(member, wanted) for member in family(pid))


def _left_by(members: Iterable[int], entries: frozenset[BoundSocket]) -> frozenset[BoundSocket]:
    """Return those of the sockets that none of the processes has open."""
    for member in members:
        if not entries:
            break
        entries -= owned_by(member, entries)
    return entries


def binds_with(port: int, pid: int, *, host: str = "127.0.0.1") -> Reuse | None:
    """Return with which options the process or a descendant of it binds host:port; None when nobody listens there.

    NONE where it cannot be seen. Of several sockets, those options that all have. SO_REUSEPORT of another user does not
    count: the kernel lets nobody join us by it.
    """
    members, found = list(family(pid)), None
    for entry in (entry for entry in sockets_on(port) if entry.reached_by(host)):
        seen = (reuse_of(member, entry) for member in members)
        its = next((reuse for reuse in seen if reuse is not None), Reuse.NONE)
        if entry.uid != os.geteuid():
            its &= ~Reuse.PORT
        found = its if found is None else found & its
    return found


def is_listening(port: int, *, host: str = "127.0.0.1") -> bool:
    """Whether anybody answers on host:port; cheap enough to ask every second (Linux: 50 us, and nobody notices)."""
    if QUIET:
        return any(entry.reached_by(host) for entry in sockets_on(port))
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) != errno.ECONNREFUSED


def _one_of(entries: frozenset[BoundSocket]) -> Owner | None:
    """Return who has one of the sockets, always the same one; None when there are none."""
    first = min(entries, key=str, default=None)
    return _describe(holder_pid(first), first, sorted(entries, key=str)) if first is not None else None


def owner_of(port: int, *, host: str = "127.0.0.1", ignore_pid: int | None = None) -> Owner | None:
    """Return who keeps host:port from being bound, listeners before silent sockets; None when nobody does.

    `ignore_pid` is left out: pass our own pid to learn who else is there. TIME_WAIT has no owner.
    """
    entries = [entry for entry in sockets_on(port, silent=True) if entry.in_the_way_of(host)]
    entries.sort(key=lambda entry: entry.stage is not Stage.LISTENING)
    for entry in entries:
        pid = holder_pid(entry)
        if pid is None or pid != ignore_pid:
            return _describe(pid, entry, entries)
    return None


def _describe(pid: int | None, entry: BoundSocket, entries: list[BoundSocket]) -> Owner:
    listening = entry.stage is Stage.LISTENING
    if pid is None:
        gone = entry not in sockets_on(entry.port, silent=True)
        name = "a process that has left in the meantime" if gone else None
        return Owner(None, name, user=user_name(entry.uid), addresses=(str(entry),), listening=listening)
    addresses = tuple(dict.fromkeys(str(other) for other in sorted(owned_by(pid, entries), key=str))) or (str(entry),)
    name, since, user = None, None, user_name(entry.uid)
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        with process.oneshot():
            name = process.name()
            since = process.create_time()
            user = process.username()
            with suppress(psutil.Error):
                name = program_name(name, process.cmdline())
    return Owner(pid, name, user, since, addresses, listening)


def describe_owner(owner: Owner) -> str:
    """Return the owner in words, with its age as of now."""
    return owner.describe(time.time())


def _not_ours(port: int, owner: Owner) -> str:
    told = f"port {port} is answered by {describe_owner(owner)}"
    if owner.name is not None and not is_runtime(owner.name):
        return told
    return f"{told}; a script that starts a container cannot be followed: write `docker run` in cmd itself"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether requests may be sent to a port: `ours`, and what to tell people about it.

    `listeners` are the sockets that were judged and accepted, all those at which a connection may arrive; empty when
    the port is not ours and for a container whose runtime forwards packets without a listener.
    """

    ours: bool
    owner: Owner | None = None
    note: str = ""
    listeners: frozenset[BoundSocket] = frozenset()


def verify(port: int, pid: int, *, host: str = "127.0.0.1", container: bool = False) -> Verdict:
    """Decide whether the server on host:port is the one that we started (P8), naming the stranger if it is not.

    May be asked at any time, also long after the start: it looks at what is there now and remembers nothing.
    For a container the listener is a process of its runtime (kernel fact 11): docker-proxy and its like are accepted by
    name. Where the listener is hidden, or the runtime forwards packets without one, the check is relaxed and the note
    says so.
    """
    entries = listeners_on(port, host)
    strangers = _left_by(family(pid), entries)
    if entries and not strangers:
        return Verdict(ours=True, listeners=entries)
    owner = _one_of(strangers)
    if not container:
        return Verdict(False, owner, _not_ours(port, owner) if owner else "")
    if owner is None:
        note = f"port {port} is forwarded to a container without a listener; its owner is unchecked"
        return Verdict(True, None, note)
    told = f"port {port} is answered by {describe_owner(owner)}"
    if owner.name is None:
        return Verdict(True, owner, f"{told}; taken for the container runtime", entries)
    if is_runtime(owner.name):
        return Verdict(
            True, owner, f"port {port} is answered by the container runtime, {describe_owner(owner)}", entries
        )
    return Verdict(False, owner, f"{told}, which is no container runtime")
