"""Who has this port, and is it ours?

Two questions with different prices. `verify` is asked before a model is served; where our child listens it looks only
at the port and at the child: well under a millisecond. `owner_of` is asked when something is wrong and may search all
processes.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

import psutil

from claracore.core.ports.containers import Container, is_runtime
from claracore.core.ports.holder import Owner, Whose, program_name
from claracore.host.sockets.bound import BoundSocket, Reuse, Stage
from claracore.host.sockets.kernel import family, holder_pid, owned_by, reuse_of, sockets_on, user_name
from claracore.host.sockets.kinship import client_among, hidden_in, kin, left_by, of_a_runtime

FORWARDED_SECONDS = 0.2


def listeners_on(port: int, host: str) -> frozenset[BoundSocket]:
    """Return the listening sockets at which a connection to host:port may arrive."""
    return frozenset(entry for entry in sockets_on(port) if entry.reached_by(host))


def is_open_in(pid: int, inode: int) -> bool:
    """Whether the process or one of its `kin` has the socket with this inode open."""
    return not left_by(kin(pid), frozenset({BoundSocket("", 0, Stage.BOUND, inode)}))


def binds_with(port: int, pid: int, *, host: str = "127.0.0.1") -> Reuse | None:
    """Return with which options the process or a descendant of it binds host:port; None when nobody listens there.

    NONE where it cannot be seen. Of several sockets, those options that all have. SO_REUSEPORT of another user does not
    count: the kernel lets nobody join us by it.
    """
    members, found = list(family(pid)), None
    for entry in (entry for entry in sockets_on(port) if entry.reached_by(host)):
        seen = (reuse_of(member, entry) for member in members)
        reuse = next((reuse for reuse in seen if reuse is not None), Reuse.NONE)
        if entry.uid != os.geteuid():
            reuse &= ~Reuse.PORT
        found = reuse if found is None else found & reuse
    return found


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


def holder_in_words(port: int, *, host: str, ignore_pid: int | None = None) -> str | None:
    """Return who keeps host:port from being bound, as of now, in words; None when nobody does (see `owner_of`)."""
    owner = owner_of(port, host=host, ignore_pid=ignore_pid)
    return describe_owner(owner) if owner is not None else None


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


class Grounds(Enum):
    """Why a listener is accepted."""

    CHILD = "it is our child or one of its kin"
    USER = "its user is the one as whom a process of the command runs, which hides its sockets"
    EXTERNAL = "it was there before the command, which does not name the port"
    RUNTIME = "it is a container runtime's, and the command runs a container"
    FORWARDED = "nobody listens, but connections are forwarded to a container"
    ANY = "the configuration accepts whoever is there"


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whether requests may be sent to a port: `ours`, on which grounds, and what to tell people about it.

    `listeners` are the sockets that were judged and accepted, all those at which a connection may arrive; empty when
    the port is not ours and for a container to which the kernel forwards packets without a listener. `container` is
    what is known of the container that answers, if one does.
    """

    ours: bool
    owner: Owner | None = None
    note: str = ""
    listeners: frozenset[BoundSocket] = frozenset()
    grounds: Grounds | None = None
    container: Container | None = None


def verify(
    port: int,
    pid: int,
    *,
    host: str = "127.0.0.1",
    whose: Whose = "child",
    external: frozenset[BoundSocket] = frozenset(),
) -> Ownership:
    """Decide whether the server on host:port is the one that we started, naming the stranger if it is not.

    May be asked at any time, also long after the start: it looks at what is there now and remembers nothing. `external`
    are the listeners that were there before, of a server that somebody else runs and that is meant. With `whose`
    "child" a container runtime is accepted when a descendant is a container's client, because the runtime binds the
    ports of a container; with "runtime" it is in any case. Every listener must be accepted: SO_REUSEPORT lets a
    stranger of the same user join and get a share of the connections.
    """
    entries = listeners_on(port, host)
    strangers = left_by(family(pid), entries)
    if entries and not strangers:
        return Ownership(True, listeners=entries, grounds=Grounds.CHILD)
    client = client_among(family(pid))
    runs_container = whose == "runtime" or client is not None
    if not entries:
        if (runs_container or whose == "any") and _is_forwarded(port, host):
            note = f"port {port} is forwarded to a container without a listener; its owner is unchecked"
            return Ownership(True, None, note, grounds=Grounds.FORWARDED, container=client)
        return Ownership(ours=False)
    grounds, strangers = _judge(strangers, pid, external, whose, runs_container=runs_container)
    if not strangers:
        owner = _one_of(entries)
        note = f"port {port} is answered by {_named(owner)}{WORDS[grounds]}" if owner and grounds in WORDS else ""
        return Ownership(True, owner, note, entries, grounds, client if grounds is Grounds.RUNTIME else None)
    owner = _one_of(strangers)
    return Ownership(False, owner, _not_ours(port, owner, whose) if owner else "")


WORDS = {
    Grounds.USER: ", as whose user a process of the command runs",
    Grounds.EXTERNAL: ", which was there before the command was started: an external server",
    Grounds.RUNTIME: ", for the container that the command runs",
    Grounds.ANY: "; accepted unchecked, because of `owner: any`",
}


def _judge(
    strangers: frozenset[BoundSocket],
    pid: int,
    external: frozenset[BoundSocket],
    whose: Whose,
    *,
    runs_container: bool,
) -> tuple[Grounds, frozenset[BoundSocket]]:
    """Return who of those that are no descendants' is not accepted either, and the weakest grounds for the others."""
    members = list(kin(pid))
    tests: dict[Grounds, Callable[[frozenset[BoundSocket]], frozenset[BoundSocket]]] = {
        Grounds.EXTERNAL: external.intersection,
        Grounds.USER: lambda left: hidden_in(members, left),
    }
    if runs_container:
        tests[Grounds.RUNTIME] = lambda left: frozenset(filter(of_a_runtime, left))
    if whose == "any":
        tests[Grounds.ANY] = lambda left: left
    grounds, left = Grounds.CHILD, left_by(members, strangers)
    for name, accepted_of in tests.items():
        if left and (accepted := accepted_of(left)):
            grounds, left = name, left - accepted
    return grounds, left


def _is_forwarded(port: int, host: str) -> bool:
    """Whether a connection is taken although nobody listens; that to a port of our own is not (TCP connects itself)."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(FORWARDED_SECONDS)
        return probe.connect_ex((host, port)) == 0 and probe.getsockname() != probe.getpeername()


def _named(owner: Owner) -> str:
    runtime = owner.name is not None and is_runtime(owner.name)
    return f"the container runtime, {describe_owner(owner)}" if runtime else describe_owner(owner)


def _not_ours(port: int, owner: Owner, whose: Whose) -> str:
    answer = f"port {port} is answered by {_named(owner)}"
    if owner.name is None:
        return f"{answer}; if that is the model's server, write `owner: any`"
    if is_runtime(owner.name) and whose == "child":
        return (
            f"{answer}, and no process of the command is a container's client; if it is meant, write `owner: runtime`"
        )
    return f"{answer}, which is no container runtime" if whose == "runtime" else answer
