"""How does one model's server start, print, end, and how is it ended?

A `Child` is the leader of its own process group. Its end is seen at once (pidfd), and tied to nothing else: neither
to a pipe that a grandchild keeps open nor to a health poll. When the leader has ended, what is left of its group is
killed, so that its port and memory are free when `exited` is set.

Does not decide when to start or stop, and does not know what a model is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import psutil

from claracore.supervisor import posix
from claracore.supervisor.output import LineSplitter
from claracore.supervisor.program import SpawnFailed, spawn_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

READ_BYTES = 16_384
"""Read per wake-up of the loop: a child that floods its output gets its share of the loop, not all of it."""

LAST_WORDS_BYTES = 1_048_576
"""Most that is read after the leader's end: a pipe's largest capacity, and a bound if somebody else still writes."""

REAP_SECONDS = 1.0
"""How long to wait for the end of a killed cmdStop; only one that the kernel cannot kill takes that long."""

STDIN_MARK = "CLARACORE_STDIN"
"""Set to `held` in every child's environment: its stdin is a pipe that closes when ClaraCore ends, however it ends."""


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
    """One process of ours, in its own process group; make it with `spawn`.

    `pid`, `start_time` (seconds since the epoch, as psutil's `create_time`), `exited` (a future that never fails).
    """

    def __init__(
        self, started: posix.Started, on_line: Callable[[str], None], on_stdout: Callable[[str], None] | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = started.process
        self._on_line = on_line
        self.pid = started.process.pid
        self.start_time = psutil.Process(self.pid).create_time()
        self.exited: asyncio.Future[Exit] = self._loop.create_future()
        self._pipes = [_Pipe(started.output_fd, on_line)]
        if started.stdout_fd is not None and on_stdout is not None:
            self._pipes.append(_Pipe(started.stdout_fd, on_stdout))
        self._stop_watching = posix.watch_exit(self.pid, self._ended)

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
        about 0.5 ms. Raises SpawnFailed, which names the command.
        """
        stdout_apart = on_stdout is not None
        started = posix.start(argv, env={**env, STDIN_MARK: "held"}, cwd=cwd, stdout_apart=stdout_apart)
        child = cls(started, on_line, on_stdout)
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

    def send(self, number: signal.Signals) -> None:
        """Signal the whole group; harmless after its end."""
        if not self.exited.done():
            posix.signal_group(self.pid, number)

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
        Returns how it ended, at once if it already has. A cmdStop that cannot run or fails is followed by SIGTERM.
        Only a process that the kernel cannot kill (uninterruptible I/O) makes this wait longer than the grace.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                asked = bool(stop_argv) and await self._ask_to_stop(stop_argv, env or {})
                told = self._write(exit_line)
                if not asked and not (told and reads_stdin):
                    self.send(signal.SIGTERM)
                return await asyncio.shield(self.exited)
        self.send(signal.SIGKILL)
        return await asyncio.shield(self.exited)

    def _write(self, line: bytes) -> bool:
        """Put a line into the child's stdin, which has room for it: nothing else is ever written there."""
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
        try:
            helper = await Child.spawn(argv, env=env, on_line=self._on_line)
        except SpawnFailed as error:
            self._on_line(f"cmdStop: {error}")
            return False
        try:
            await asyncio.wait({helper.exited, self.exited}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            helper.send(signal.SIGKILL)
            await asyncio.wait({helper.exited}, timeout=REAP_SECONDS)
        if self.exited.done() or (helper.exited.done() and helper.exited.result().code == 0):
            return True
        self._on_line(f"cmdStop {argv[0]!r} failed with {helper.exited.result()}; sending SIGTERM")
        return False

    def _ended(self) -> None:
        """End the group of the leader, which is a zombie now, take its last words, reap it."""
        self._stop_watching()
        # Before reaping: as long as the zombie exists nobody else can get its process group id.
        posix.signal_group(self.pid, signal.SIGKILL)
        try:
            for pipe in self._pipes:
                pipe.take_last_words()
        finally:
            for pipe in self._pipes:
                pipe.close()
            if self._process.stdin is not None:
                self._process.stdin.close()
            how = Exit.from_returncode(self._process.wait())
            if not self.exited.done():  # a caller's cancelled await may have cancelled it
                self.exited.set_result(how)


class _Pipe:
    """The reading end of a pipe that a child writes lines to; read in the loop until its end."""

    def __init__(self, fd: int, on_line: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._on_line = on_line
        self._splitter = LineSplitter()
        self._open = True
        self._loop.add_reader(fd, self._read)

    def _read(self) -> None:
        if self._read_some() == b"":
            self.close()

    def _read_some(self) -> bytes | None:
        """Hand on what the pipe holds, at most READ_BYTES; b"" at its end, None when it holds nothing now."""
        try:
            chunk = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return None
        for line in self._splitter.feed(chunk):
            self._on_line(line)
        return chunk

    def take_last_words(self) -> None:
        """Hand on what is left when the child has ended."""
        for _ in range(LAST_WORDS_BYTES // READ_BYTES):
            if not (self._open and self._read_some()):
                break
        for line in self._splitter.flush():
            self._on_line(line)

    def close(self) -> None:
        """Read no more."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._fd)
            os.close(self._fd)


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
