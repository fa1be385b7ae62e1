"""Which processes count as our child's, and which as a container runtime's?

The child's are its descendants, also those that came to us when they lost their parent, and whoever is still in its
group or session. Of those that run as another user, or with rights that we have not, the kernel shows us what they are
called and as whom they act, but not which sockets they have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import PurePath

import psutil

from claracore.core.ports.containers import Container, client_of, is_runtime
from claracore.host.sockets.bound import BoundSocket
from claracore.host.sockets.guardians import parents
from claracore.host.sockets.kernel import children, family, hides, holder_pid, led_by, owned_by, process_token, user_of

ROOT = 0
"""As whom the daemons of Docker and containerd run, unless they are rootless: then they are ours, and seen."""


def kin(pid: int) -> Iterator[int]:
    """Yield the process and its descendants, then (~10 ms) who else is in its group or session, or came to us."""
    seen: set[int] = set()
    for member in family(pid):
        seen.add(member)
        yield member
    for stray in (*led_by(pid), *_adopted_of(pid)):
        for member in family(stray):
            if member not in seen:
                seen.add(member)
                yield member


def _adopted_of(pid: int) -> list[int]:
    """Return our own children that descend from the process, say a daemon: they carry its mark."""
    mark = process_token(pid)
    if not mark:
        return []
    ours = (child for parent in parents() for child in children(parent))
    return [child for child in ours if child != pid and process_token(child) == mark]


def left_by(members: Iterable[int], entries: frozenset[BoundSocket]) -> frozenset[BoundSocket]:
    """Return those of the sockets that none of the processes has open, as far as we may see."""
    for member in members:
        if not entries:
            break
        entries -= owned_by(member, entries)
    return entries


def hidden_in(members: Iterable[int], entries: frozenset[BoundSocket]) -> frozenset[BoundSocket]:
    """Return those of the sockets that may be one of the processes', which hides it from us.

    A socket says whose it is: it must be that of the user as whom the hidden process acts, and nobody whom we see may
    have it.
    """
    users = {user_of(member) for member in members if hides(member)} - {None}
    return frozenset(entry for entry in entries if entry.uid in users and holder_pid(entry) is None)


def client_among(members: Iterable[int]) -> Container | None:
    """Return the container that one of the processes is the client of (`docker run ...`); None when none is one."""
    for member in members:
        with suppress(psutil.Error):
            process = psutil.Process(member)
            found = client_of(process.name(), process.cmdline())
            if found is not None:
                return found
    return None


def of_a_runtime(entry: BoundSocket) -> bool:
    """Whether a container runtime has the socket, or a process in one of its containers.

    The latter listens itself when its container has the host's network. A listener of root's that we may not look into
    is taken for the runtime's.
    """
    pid = holder_pid(entry)
    if pid is None:
        return entry.uid == ROOT
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return any(is_runtime(_called(each)) for each in (process, *process.parents()))
    return False


def _called(process: psutil.Process) -> str:
    """Return the name of a process; one that has started itself once more, by /proc/self/exe, says it in its words."""
    name = process.name()
    words = process.cmdline() if name == "exe" else []
    return PurePath(words[0]).name if words else name


def user_behind(entry: BoundSocket) -> int | None:
    """Return the id of the user whose socket it is; None where that cannot be seen."""
    return entry.uid if entry.uid is not None or entry.pid is None else user_of(entry.pid)
