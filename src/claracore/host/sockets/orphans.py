"""How is what a dead ClaraCore left behind ended, all of it, and nothing else?

The kernel ends the leaders of our children with us; what they have started lives on. Each of a model's processes has in
the environment it was started with the mark of its run: the instance's secret token and a number (`TOKEN.7`). An orphan
is a process that carries the token of a dead instance, wherever it has gone and whoever is dead in between; so are what
descends from it, and who shares a session with it that was a child of ours (a program may have cleared its
environment), or prints to its pipe there. Where nothing can be read, nothing is done.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from claracore.host.sockets.kernel import ancestors, family, pids, process_token
from claracore.host.sockets.processes import FORCE, Process, seen, send, session_of, wait

logger = logging.getLogger("claracore.ports")

GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Orphan:
    """A process of an instance that died; `start` in the unit of `kernel.process_start`, `token` its run's mark."""

    pid: int
    start: float
    model: str
    token: str
    pipe: int = 0
    """The inode of the pipe that it was given to print to; 0 when not known."""

    def __str__(self) -> str:
        return f"pid {self.pid}{f', model {self.model}' if self.model else ''}"


def instance_of(mark: str | None) -> str:
    """Return the token of the instance to which a run's mark belongs; "" for none."""
    return (mark or "").partition(".")[0]


def carriers(mark: str) -> list[int]:
    """Return the processes that carry the mark of a run, or of any run where it is an instance's token.

    Looks at all processes (~10 ms); on macOS it sees those of this user that the system does not protect.
    """
    return [pid for pid in pids() if (found := process_token(pid)) and mark in {found, instance_of(found)}]


def end_orphans(
    recorded: Sequence[Orphan], kin: Sequence[Process] = (), *, token: str = "", grace_seconds: float = GRACE_SECONDS
) -> list[Orphan]:
    """End what dead instances left behind, and return it: what was `recorded`, and what carries a `token` of theirs.

    `kin` was seen to come of theirs when it was alive, and needs no token; the start time tells that it is the same.

    SIGTERM first (a `docker run` client passes it on), SIGKILL after a grace that all share.
    """
    tokens = {instance_of(orphan.token) for orphan in recorded} | {token} - {""}
    deadline = time.monotonic() + grace_seconds
    tried: list[Orphan] = []
    while victims := [orphan for orphan in _left_behind(tokens, recorded, kin) if orphan not in tried]:
        # A script that starts a server again and again may have started one meanwhile: that has no grace.
        number = FORCE if tried else signal.SIGTERM
        tried += victims
        for victim in victims:
            send(_process(victim), number)
        for victim in victims:
            if not wait(_process(victim), deadline - time.monotonic()):
                send(_process(victim), FORCE)
        give_up = time.monotonic() + GRACE_SECONDS
        for victim in victims:
            wait(_process(victim), give_up - time.monotonic())
    for victim in (victim for victim in tried if _process(victim).alive):
        logger.warning("could not end what a dead ClaraCore left behind, end it by hand: %s", _process(victim))
    return [victim for victim in tried if not _process(victim).alive]


def _left_behind(tokens: set[str], recorded: Sequence[Orphan], kin: Sequence[Process]) -> list[Orphan]:
    """Return what carries one of the tokens, its descendants, and its companions in sessions of the recorded."""
    models = {orphan.token: orphan.model for orphan in recorded}
    found = {member.pid: Orphan(member.pid, member.start, "", "") for member in kin if member.alive}
    for pid in pids():
        mark = process_token(pid)
        if mark and instance_of(mark) in tokens:
            for member in family(pid):
                _add(found, member, models.get(mark, ""), mark)
    # A session's number is not given away while it has members: one that is known to be ours is ours as a whole.
    for orphan in recorded:
        for pid in _printers(orphan):
            for member in family(pid):
                _add(found, member, orphan.model, orphan.token)
    leaders = found.keys() | {orphan.pid for orphan in recorded}
    sessions = {session: orphan for orphan in found.values() if (session := session_of(orphan.pid)) in leaders}
    for pid in pids() if sessions else ():
        companion = sessions.get(session_of(pid))
        if companion is not None:
            _add(found, pid, companion.model, companion.token)
    for pid in _ourselves():
        found.pop(pid, None)
    return list(found.values())


def _printers(leader: Orphan) -> list[int]:
    """Return what is in the session that a child of ours has led and prints to the pipe that it was given.

    For who has cleared the environment. The number of a session says little when its leader is dead; both together say
    all: a pipe has its inode for as long as anybody has it open.
    """
    if sys.platform != "linux" or not leader.pipe:
        return []
    return [pid for pid in pids() if session_of(pid) == leader.pid and _prints_to(pid, leader.pipe)]


def _prints_to(pid: int, pipe: int) -> bool:
    for number in (1, 2):
        with suppress(OSError):
            if Path(f"/proc/{pid}/fd/{number}").readlink() == Path(f"pipe:[{pipe}]"):
                return True
    return False


def _add(found: dict[int, Orphan], pid: int, model: str, mark: str) -> None:
    process = seen(pid)
    if process is not None:
        found.setdefault(pid, Orphan(pid, process.start, model, mark))


def _process(orphan: Orphan) -> Process:
    return Process(orphan.pid, orphan.start)


def _ourselves() -> Iterator[int]:
    """Yield our own pid and our ancestors': ClaraCore may have been started by what a model's command has started."""
    yield os.getpid()
    yield from ancestors(os.getpid())
