"""Which processes have come of a model's command, wherever they have gone, and who reaps those that come to us?

A program may start others in sessions of their own (`setsid`, a daemon) and end: its process group is not all of it. On
Linux we are a child subreaper (prctl(2)): whoever loses its parent becomes our child, so that all that ever came of a
command is below us until it is reaped. Whose it is tells the mark in its environment, or the leader's session.
Elsewhere it is looked for by its mark alone, among all processes that we may read.

An adopted process that has ended is a zombie until we reap it. Nobody else waits for it: what subprocess starts without
a session of its own stays in ours, and the leaders of the sessions that we have started are known.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

from claracore.host.sockets.guardians import parents
from claracore.host.sockets.kernel import children, family, process_token
from claracore.host.sockets.orphans import carriers
from claracore.host.sockets.processes import NO_SESSION, Process, seen, session_of, wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

MARK = "CLARACORE_TOKEN"
"""In the environment of each process that comes of a model's command."""

_PR_SET_CHILD_SUBREAPER = 36

_leaders: set[int] = set()
"""Our own children that lead sessions, from their start until they are reaped, whoever waits for them."""


def note_leader(pid: int) -> None:
    """Note that we have started a child that leads a session of its own and is waited for."""
    _leaders.add(pid)


def forget_leader(pid: int) -> None:
    """Note that such a child was reaped."""
    _leaders.discard(pid)


def members(leader: int, mark: str, *, leader_is_there: bool) -> list[Process]:
    """Return what lives of a run: its leader (while it is not reaped), their descendants, and those that came to us.

    0.1 ms on Linux, where only our own children are looked at; elsewhere all processes are.
    """
    found: dict[int, None] = dict.fromkeys(family(leader) if leader_is_there else ())
    if sys.platform == "linux":
        strays: Iterable[int] = (pid for pid in adopted() if _is_of(pid, leader, mark))
    else:
        strays = carriers(mark) if mark else ()
    for stray in strays:
        found.update(dict.fromkeys(family(stray)))
    return [process for pid in found if (process := seen(pid)) is not None]


def adopted() -> list[int]:
    """Return our children that somebody else has started; they may be zombies."""
    ours = {os.getsid(0), NO_SESSION}
    theirs = (pid for parent in parents() for pid in children(parent))
    return [pid for pid in theirs if pid not in _leaders and session_of(pid) not in ours]


def reap() -> None:
    """Let go of those that have ended among the processes that came to us."""
    for pid in adopted():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


async def ended(processes: Iterable[Process], seconds: float) -> None:
    """Return when all of them have ended, or the time is up."""
    waiting = [asyncio.ensure_future(_ended(process, seconds)) for process in processes]
    if not waiting:
        return
    try:
        await asyncio.wait(waiting, timeout=seconds)
    finally:
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
    reap()


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Have what loses its parent come to us for the length of a block, and reap it when it ends (Linux).

    SIGCHLD tells that something has ended. Call it in the main thread while the loop runs.
    """
    if sys.platform != "linux" or not _be_subreaper(wanted=True):
        yield
        return
    loop = asyncio.get_running_loop()

    def heard(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(reap)

    # Not by the loop's own add_signal_handler, which uvloop keeps for itself.
    former = signal.signal(signal.SIGCHLD, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, former)
        _be_subreaper(wanted=False)
        reap()


def _be_subreaper(*, wanted: bool) -> bool:
    try:
        return int(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)) == 0
    except (OSError, AttributeError):  # another C library
        return False


def _is_of(pid: int, leader: int, mark: str) -> bool:
    return session_of(pid) == leader or bool(mark and process_token(pid) == mark)


async def _ended(process: Process, seconds: float) -> None:
    if sys.platform != "linux":
        await asyncio.to_thread(wait, process, seconds)
        return
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        return
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def on_readable() -> None:
        if not (process.alive or ready.done()):
            ready.set_result(None)

    try:
        loop.add_reader(pidfd, on_readable)
        if process.alive:
            await ready
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
