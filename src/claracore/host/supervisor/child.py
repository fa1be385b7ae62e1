"""How does one model's server start, print, end, and how is it ended?

A `Child` is the leader of its own session. Its end is seen at once (pidfd), and tied to nothing else: neither to a
pipe that a grandchild keeps open nor to a health poll. When the leader has ended, what is left of its group and what
has come of it elsewhere (`kin.py`) is killed; `stop` returns when all of that is gone: port and memory are free then.

What cannot be ended (another user's process, one that hangs in the kernel) is given up after a while: nothing waits for
ever.

Does not decide when to start or stop, and does not know what a model is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import psutil

from claracore.host.sockets.processes import FORCE, Process, send
from claracore.host.supervisor import kin, posix
from claracore.host.supervisor.adopted import AdoptedProcess, OpenFiles
from claracore.host.supervisor.pipe import Pipe
from claracore.host.supervisor.program import SpawnFailed, spawn_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from claracore.host.supervisor.adopted import Adoption

REAP_SECONDS = 1.0
"""How long to wait for the end of a killed cmdStop; only one that the kernel cannot kill takes that long."""

KILL_SECONDS = 30.0
"""How long to wait for the end of what was killed: the kernel may have 100 GB to free, or be stuck in a device."""

HURRIED_SECONDS = 2.0
"""The same when there is no more time."""

STDIN_MARK = "CLARACORE_STDIN"
"""Set to `held` in every child's environment: its stdin is a pipe that closes when ClaraCore ends, however it ends."""


class StillRuns(Exception):
    """What could not be ended and was given up: `refused` are those that we may not signal, `stuck` the others."""

    def __init__(self, refused: Sequence[Process], stuck: Sequence[Process]) -> None:
        self.refused = tuple(refused)
        self.stuck = tuple(stuck)
        reasons = []
        if refused:
            reasons.append(f"{_listed(refused)}, which this user may not signal")
        if stuck:
            reasons.append(f"{_listed(stuck)}, which does not end even when killed (it waits for a device or a disk)")
        super().__init__(" and ".join(reasons))


def _listed(processes: Sequence[Process]) -> str:
    return ", ".join(map(str, processes))


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: its exit code, or the number of the signal that killed it."""

    code: int | None
    signal: int | None

    @classmethod
    def from_returncode(cls, returncode: int) -> Self:
        """Translate subprocess's convention, in which -9 means killed by signal 9."""
        return cls(None, -returncode) if returncode < 0 else cls(returncode, None)

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit code {self.code}"
        try:
            name = signal.Signals(self.signal).name
        except ValueError:
            name = f"signal {self.signal}"
        return f"killed by {name}{SIGNAL_HINTS.get(name, '')}"


SIGNAL_HINTS = {
    "SIGILL": " (this build uses instructions that this CPU does not have)",
    "SIGKILL": " (often the kernel, out of memory)",
    "SIGSEGV": " (a crash inside the engine)",
    "SIGABRT": " (the engine gave up; its last lines say why)",
}


class Child:
    """One process of ours, in its own session; make it with `spawn`.

    `pid`, `start_time` (seconds since the epoch, as psutil's `create_time`), `pipe` (the inode of what it prints to),
    `mark` (of all that comes of it), `exited` (a future that never fails).
    """

    def __init__(
        self,
        started: posix.Started,
        on_line: Callable[[str], None],
        on_stdout: Callable[[str], None] | None,
        mark: str,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = started.process
        self._on_line = on_line
        self.mark = mark
        self._kin: set[Process] = set()
        self._hurried: asyncio.Future[None] = self._loop.create_future()
        self.pipe = os.fstat(started.output_fd).st_ino
        self.pid = started.process.pid
        kin.note_leader(self.pid)
        self.start_time = psutil.Process(self.pid).create_time()
        self.exited: asyncio.Future[Exit] = self._loop.create_future()
        self._pipes = [Pipe(started.output_fd, on_line)]
        if started.stdout_fd is not None and on_stdout is not None:
            self._pipes.append(Pipe(started.stdout_fd, on_stdout))
        self._has_ended = started.process.has_ended if isinstance(started.process, AdoptedProcess) else None
        self._stop_watching = posix.watch_exit(self.pid, self._ended, self._has_ended)

    @classmethod
    async def spawn(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        on_line: Callable[[str], None],
        on_stdout: Callable[[str], None] | None = None,
        cwd: str | None = None,
    ) -> Self:
        """Start `argv` (no shell) with exactly the environment `env`; return when the program itself runs.

        `on_line` gets each line of stdout and stderr in the loop, of stderr alone when `on_stdout` gets the others;
        they must be quick and must not raise. Call it on the event loop's own thread. The loop is busy with it for
        about 0.5 ms. By the CLARACORE_TOKEN in `env` is known what comes of it. Raises SpawnFailed, which names the
        command.
        """
        stdout_apart = on_stdout is not None
        started = posix.start(argv, env={**env, STDIN_MARK: "held"}, cwd=cwd, stdout_apart=stdout_apart)
        child = cls(started, on_line, on_stdout, env.get(kin.MARK, ""))
        if started.error_fd is not None:
            try:
                number = await _report(started.error_fd)
            except BaseException:
                child.send(signal.SIGKILL)
                raise
            if number is not None:
                await child.exited
                raise spawn_failed(argv[0], number, cwd)
        return child

    @classmethod
    def taken_over(
        cls, adoption: Adoption, on_line: Callable[[str], None], on_stdout: Callable[[str], None] | None
    ) -> Self:
        """Look after a process that runs already, and whose parent is another one."""
        files = adoption.files
        started = posix.Started(adoption.process, files.output, files.stdout, None)
        return cls(started, on_line, on_stdout, adoption.given.mark)

    def let_go(self) -> OpenFiles:
        """Look after it no more, until `take_again`: another process does."""
        self._stop_watching()
        self._stop_watching = lambda: None
        stdin = self._process.stdin.fileno() if self._process.stdin is not None else None
        return OpenFiles(stdin, *(pipe.pause() for pipe in self._pipes))

    def take_again(self) -> None:
        """Undo `let_go`."""
        for pipe in self._pipes:
            pipe.resume()
        self._stop_watching = posix.watch_exit(self.pid, self._ended, self._has_ended)

    def send(self, number: signal.Signals) -> None:
        """Signal the whole group; harmless after its end."""
        if not self.exited.done():
            posix.signal_group(self.pid, number)

    def kill(self) -> None:
        """End everything that came of it, at once; a `stop` that waits for it waits for little longer."""
        if not self._hurried.done():
            self._hurried.set_result(None)
        self._kill()

    async def stop(
        self,
        grace_seconds: float,
        *,
        stop_argv: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        exit_line: bytes = b"",
        reads_stdin: bool = False,
    ) -> Exit:
        """End the process: SIGTERM, or the bound cmdStop `stop_argv` run in `env`; after the grace SIGKILL.

        A program that ends at `exit_line` on its stdin gets that too, and no SIGTERM when it is sure to read it.
        Returns how it ended, when everything that came of it has ended too; at once if it already has. A cmdStop that
        cannot run or fails is followed by SIGTERM. Raises StillRuns after the grace for what we may not signal, and
        KILL_SECONDS later for what the kernel does not end.
        """
        until = self._loop.time() + grace_seconds
        self.look_around()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                asked = bool(stop_argv) and await self._ask_to_stop(stop_argv, env or {})
                written = self.write(exit_line)
                if not asked and not (written and reads_stdin):
                    self.send(signal.SIGTERM)
                await _first_of(self.exited, self._hurried)
        await self._until_gone(until)
        return self.exited.result()

    def look_around(self) -> frozenset[Process]:
        """Remember and return what has come of it so far: what is without a mark is known by this alone later."""
        self._kin.update(self._members())
        return frozenset(self._kin)

    async def _until_gone(self, until: float) -> None:
        """Kill what is left until nothing is; raises StillRuns for what is not gone when it should be.

        What may not be signalled has until the grace is over.
        """
        killed_at = self._loop.time()
        while (left := self._members()) or not self.exited.done():
            refused = self._kill(left)
            killed = [process for process in left if process not in refused]
            hurried = self._hurried.done()
            patience_ends = killed_at + (HURRIED_SECONDS if hurried else KILL_SECONDS)
            only_refused = bool(refused) and not killed
            remaining = (until if only_refused and not hurried else patience_ends) - self._loop.time()
            if remaining <= 0:
                raise StillRuns(refused, killed)
            await self._wait_for(killed or refused, remaining)
        kin.reap()

    async def _wait_for(self, processes: Sequence[Process], seconds: float) -> None:
        """Wait until all of them have ended (the leader, where there are none), a hurry begins, or the time is up."""
        hurry = () if self._hurried.done() else (self._hurried,)
        if not processes:
            await _first_of(self.exited, *hurry, seconds=seconds)
            return
        ends = asyncio.ensure_future(kin.ended(processes, seconds))
        try:
            await _first_of(ends, *hurry, seconds=seconds)
        finally:
            ends.cancel()
            await asyncio.wait({ends})

    def _members(self) -> list[Process]:
        """Return what lives of it and has come of it, and what was there when it was to be stopped."""
        found = kin.members(self.pid, self.mark, leader_is_there=not self.exited.done())
        return [*found, *(known for known in self._kin.difference(found) if known.alive)]

    def _kill(self, members: Sequence[Process] | None = None) -> list[Process]:
        """Kill the group and all that came of the process elsewhere; return what may not be signalled."""
        self.send(FORCE)
        return [member for member in (self._members() if members is None else members) if not send(member, FORCE)]

    def write(self, line: bytes) -> bool:
        """Put a short line into the child's stdin; False where it reads nothing any more.

        There is room for it: a model's server is told one thing at most, and who is told more reads all the time.
        """
        if not line or self._process.stdin is None or self.exited.done():
            return False
        try:
            self._process.stdin.write(line)
        except OSError:
            return False
        return True

    async def _ask_to_stop(self, argv: Sequence[str], env: Mapping[str, str]) -> bool:
        """Run cmdStop until it or the child ends; False when it could not do its work."""
        if self.exited.done():
            return True
        mark = f"{self.mark}-stop" if self.mark else ""
        try:
            helper = await Child.spawn(argv, env={**env, kin.MARK: mark}, on_line=self._on_line)
        except SpawnFailed as error:
            self._on_line(f"cmdStop: {error}")
            return False
        try:
            await _first_of(helper.exited, self.exited, self._hurried)
        finally:
            helper.send(signal.SIGKILL)
            await asyncio.wait({helper.exited}, timeout=REAP_SECONDS)
        if self.exited.done() or self._hurried.done():
            return True
        how = helper.exited.result() if helper.exited.done() else "no end"
        if isinstance(how, Exit) and how.code == 0:
            return True
        self._on_line(f"cmdStop {argv[0]!r} failed with {how}; sending SIGTERM")
        return False

    def _ended(self) -> None:
        """End what is left of the leader, which is a zombie now, take its last words, reap it."""
        self._stop_watching()
        # Before reaping: as long as the zombie exists nobody else can get its process group id.
        self._kill()
        try:
            for pipe in self._pipes:
                pipe.take_last_words()
        finally:
            for pipe in self._pipes:
                pipe.close()
            if self._process.stdin is not None:
                self._process.stdin.close()
            how = Exit.from_returncode(self._process.wait())
            kin.forget_leader(self.pid)
            if not self.exited.done():  # a caller's cancelled await may have cancelled it
                self.exited.set_result(how)


async def _first_of(*futures: asyncio.Future[Any], seconds: float | None = None) -> None:
    """Wait until one of them is done, but no longer."""
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


async def _report(error_fd: int) -> int | None:
    """Wait until the launcher has become the program (None) or has failed (the errno)."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def on_readable() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(error_fd, on_readable)
    try:
        await readable
        text = os.read(error_fd, 16)
    finally:
        loop.remove_reader(error_fd)
        os.close(error_fd)
    return int(text) if text else None
