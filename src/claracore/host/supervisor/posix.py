"""How does a POSIX system start a process, watch it and signal its group?

The operating system's side of `child.py`; no asyncio tasks, no policy.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from claracore.host.supervisor.program import SpawnFailed, find_program, folder_failed, spawn_failed

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping, Sequence

LAUNCHER = Path(__file__).with_name("launch.py")


class Spawned(Protocol):
    """What is asked of a process that we have started (`subprocess.Popen` is one) or taken over."""

    @property
    def pid(self) -> int:
        """Its id."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """Where it reads, None for nowhere."""

    def wait(self) -> int:
        """Let go of it, which is a zombie, and return how it ended: an exit code, or a signal's number, negative."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that exists; `error_fd` reports a failing exec (see launch.py), None where exec has succeeded."""

    process: Spawned
    output_fd: int
    stdout_fd: int | None
    """Where stdout comes, if not with stderr in `output_fd`."""
    error_fd: int | None


def start(argv: Sequence[str], *, env: Mapping[str, str], cwd: str | None, stdout_apart: bool = False) -> Started:
    """Start `argv` as the leader of a new session, with pipes for stdin and for stdout plus stderr; raise SpawnFailed.

    With `stdout_apart`, stdout has a pipe of its own.

    On Linux it must be called in a thread that lives as long as this process: PR_SET_PDEATHSIG fires at the death of
    the *thread* that started the child (prctl(2)).
    """
    launched = sys.platform == "linux" and bool(sys.executable)
    try:
        program = find_program(argv[0], env, cwd)
        if launched:
            return _launch(argv, program, env, cwd, stdout_apart=stdout_apart)
        return _start(argv, program, env, cwd, stdout_apart=stdout_apart)
    except ValueError as error:  # a NUL byte
        raise SpawnFailed(f"cannot start {argv[0]!r}: {error}") from error
    except OSError as error:
        number = error.errno or errno.EIO
        if cwd is not None and error.filename == cwd:
            raise folder_failed(argv[0], number, cwd) from error
        raise spawn_failed(argv[0], number, cwd) from error


def _launch(
    argv: Sequence[str], program: str, env: Mapping[str, str], cwd: str | None, *, stdout_apart: bool
) -> Started:
    """Start by way of launch.py, in our own environment; the child's is in a file."""
    with contextlib.ExitStack() as child_ends, contextlib.ExitStack() as on_failure:
        env_fd = _environment_file(env)
        child_ends.callback(os.close, env_fd)
        error_fd, child_error_fd = os.pipe()
        child_ends.callback(os.close, child_error_fd)
        on_failure.callback(os.close, error_fd)
        fds = (env_fd, child_error_fd)
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *map(str, fds), program]
        started = _start(
            [*launcher, *argv],
            sys.executable,
            None,
            cwd,
            stdout_apart=stdout_apart,
            error_fd=error_fd,
            pass_fds=fds,
        )
        on_failure.pop_all()
        return started


def _environment_file(env: Mapping[str, str]) -> int:
    """Write an environment to a file in memory, as launch.py reads it."""
    entries = [f"{name}={value}" for name, value in env.items()]
    if any("\0" in entry for entry in entries):
        raise ValueError("embedded null byte in its environment")
    fd = os.memfd_create("environment")
    with open(fd, "wb", closefd=False) as file:
        file.writelines(os.fsencode(entry) + b"\0" for entry in entries)
    return fd


def _start(
    argv: Sequence[str],
    program: str,
    env: Mapping[str, str] | None,
    cwd: str | None,
    *,
    stdout_apart: bool,
    error_fd: int | None = None,
    pass_fds: tuple[int, ...] = (),
) -> Started:
    with contextlib.ExitStack() as child_ends, contextlib.ExitStack() as on_failure:

        def pipe() -> tuple[int, int]:
            ours, childs = os.pipe()
            on_failure.callback(os.close, ours)
            child_ends.callback(os.close, childs)
            os.set_blocking(ours, False)
            return ours, childs

        output_fd, child_output = pipe()
        stdout_fd, child_stdout = pipe() if stdout_apart else (None, child_output)
        process = subprocess.Popen(
            argv,
            executable=program,
            env=env,
            cwd=cwd,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=child_stdout,
            stderr=child_output,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        on_failure.pop_all()
    return Started(process, output_fd, stdout_fd, error_fd)


def watch_exit(
    pid: int, ended: Callable[[], None], has_ended: Callable[[int], bool] | None = None
) -> Callable[[], None]:
    """Call `ended` in the running loop as soon as the process is a zombie or gone; return what stops the watching.

    `has_ended` tells whether it is; None for our own child, of which the kernel tells.
    """
    loop = asyncio.get_running_loop()
    try:
        pidfd = os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, before 5.3, or a sandbox that forbids it
        return _watch_exit_in_thread(pid, ended, loop)

    def on_readable() -> None:
        # Believed only when the kernel confirms it: a false alarm of the event loop would kill a healthy server.
        if (has_ended or _has_ended)(pid):
            ended()

    loop.add_reader(pidfd, on_readable)

    def stop() -> None:
        loop.remove_reader(pidfd)
        os.close(pidfd)

    return stop


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def _watch_exit_in_thread(pid: int, ended: Callable[[], None], loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    def wait() -> None:
        _wait_for_end(pid)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            loop.call_soon_threadsafe(ended)

    threading.Thread(target=wait, name=f"exit-of-{pid}", daemon=True).start()
    return lambda: None


def _wait_for_end(pid: int) -> None:
    """Wait until the process has ended, but leave the zombie: it keeps its group's id from being used again."""
    if sys.platform == "darwin":
        with contextlib.closing(select.kqueue()) as queue:
            end = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            queue.control([end], 1)
    else:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal every process in the group that `pid` leads; harmless when none is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
