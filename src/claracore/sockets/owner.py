"""Who has this port, and is it ours?

Two questions with different prices. `belongs_to` is asked before a model is served and looks only at the port and at
our child: well under a millisecond. `owner_of` is asked when something is wrong and may search all processes.
"""

from __future__ import annotations

import time
from contextlib import suppress

import psutil

from claracore.ports.holder import Owner, program_name
from claracore.sockets.bound import BoundSocket, Stage
from claracore.sockets.kernel import family, holder_pid, owned_by, sockets_on, user_name


def belongs_to(port: int, pid: int, *, host: str = "127.0.0.1") -> bool:
    """Whether every socket that may answer on host:port belongs to the process or a descendant of it (P8).

    Every one, because SO_REUSEPORT lets a stranger of the same user join and get a share of the connections. False
    when nobody listens and when we may not see whose socket it is.
    """
    open_sockets = {entry for entry in sockets_on(port) if entry.reached_by(host)}
    if not open_sockets:
        return False
    for member in family(pid):
        open_sockets -= owned_by(member, open_sockets)
        if not open_sockets:
            return True
    return False


def owner_of(port: int, *, host: str = "127.0.0.1", ignore_pid: int | None = None) -> Owner | None:
    """Return who keeps host:port from being bound, listeners before silent sockets; None when nobody does.

    `ignore_pid` is left out: pass our own pid to learn who else is there. TIME_WAIT has no owner.
    """
    entries = [entry for entry in sockets_on(port, silent=True) if _in_the_way(entry, host)]
    entries.sort(key=lambda entry: entry.stage is not Stage.LISTENING)
    for entry in entries:
        pid = holder_pid(entry)
        if pid is None or pid != ignore_pid:
            return _describe(pid, entry, entries)
    return None


def _in_the_way(entry: BoundSocket, host: str) -> bool:
    """Whether the socket keeps host:port from being bound: a wildcard on either side is enough (kernel fact 5)."""
    if entry.stage is Stage.TIME_WAIT:
        return False
    if host == "0.0.0.0":  # noqa: S104 - compared, not bound
        return ":" not in entry.address or entry.address.startswith("::ffff:") or entry.reached_by("127.0.0.1")
    if host == "::":
        return True
    return entry.reached_by(host)


def _describe(pid: int | None, entry: BoundSocket, entries: list[BoundSocket]) -> Owner:
    listening = entry.stage is Stage.LISTENING
    if pid is None:
        return Owner(None, user=user_name(entry.uid), addresses=(str(entry),), listening=listening)
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
