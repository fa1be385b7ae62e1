"""How is a process ended that a dead ClaraCore left behind, and nothing else?

Proof needs three things at once: the pid, the start time written down when it was started, and the dead instance's
secret token in the environment it was started with. Where any of them does not fit, or cannot be read, nothing is done.
On Linux a process is held by a pidfd while it is examined, so its pid cannot pass to another one in between.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from claracore.sockets.kernel import process_start, process_token

GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Orphan:
    """A child of an instance that died; `start` in the unit of `kernel.process_start`."""

    pid: int
    start: float
    model: str
    token: str


def end_orphans(suspects: Sequence[Orphan], *, grace_seconds: float = GRACE_SECONDS) -> list[Orphan]:
    """End those that are proven orphans, and what is left of their process groups; return them.

    SIGTERM first (a `docker run` client passes it on), SIGKILL after a grace that all share.
    """
    proven = [suspect for suspect in suspects if is_orphan(suspect)]
    victims = [*proven, *(follower for orphan in proven for follower in _followers(orphan))]
    deadline = time.monotonic() + grace_seconds
    for victim in victims:
        _signal(victim, signal.SIGTERM)
    for victim in victims:
        if not _wait(victim, deadline - time.monotonic()):
            _signal(victim, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
            _wait(victim, GRACE_SECONDS)
    return proven


def is_orphan(suspect: Orphan) -> bool:
    """Whether the process with this pid is the one that was written down: same start, same token."""
    return process_start(suspect.pid) == suspect.start and process_token(suspect.pid) == suspect.token


def _followers(leader: Orphan) -> list[Orphan]:
    """Return the other members of the leader's process group that carry the same token."""
    if sys.platform == "win32":
        return []
    followers = []
    for pid in psutil.pids():
        with suppress(OSError):
            if pid == leader.pid or os.getpgid(pid) != leader.pid or process_token(pid) != leader.token:
                continue
            start = process_start(pid)
            if start is not None:
                followers.append(Orphan(pid, start, leader.model, leader.token))
    return followers


def _signal(victim: Orphan, number: signal.Signals) -> None:
    """Send a signal to exactly the process that was examined."""
    with suppress(OSError):
        if sys.platform == "linux":
            descriptor = os.pidfd_open(victim.pid)
            try:
                if is_orphan(victim):
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)
        elif is_orphan(victim):
            os.kill(victim.pid, number)


def _wait(victim: Orphan, seconds: float) -> bool:
    """Wait until the process has ended; False when it has not in time."""
    seconds = max(0.0, seconds)
    if sys.platform != "linux":
        with suppress(psutil.Error):
            if process_start(victim.pid) == victim.start:
                _, alive = psutil.wait_procs([psutil.Process(victim.pid)], timeout=seconds)
                return not alive
        return True
    try:
        descriptor = os.pidfd_open(victim.pid)
    except OSError:
        return True
    try:
        if process_start(victim.pid) != victim.start:
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)
