"""Starting, watching and ending real processes (supervisor/child.py)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from claracore.host.supervisor import posix
from claracore.host.supervisor.child import Child, Exit
from claracore.host.supervisor.pipe import READ_BYTES
from claracore.host.supervisor.program import SpawnFailed
from fakes import command
from fakes.running import LOOPS, fake, line_with, python, running

if TYPE_CHECKING:
    from fakes.running import Run

pytestmark = [
    pytest.mark.parametrize("run", LOOPS),
    pytest.mark.skipif(os.name == "nt", reason="POSIX processes"),
]

STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); signal.pause()"
PATIENT = "import signal; print('up'); signal.pause()"


def exits_at(number: signal.Signals, code: int) -> str:
    """A program that exits with `code` at a signal, also at one that comes just before it waits."""
    return (
        f"import signal,sys; mask={{{int(number)}}}; signal.pthread_sigmask(signal.SIG_BLOCK, mask); print('up');"
        f"signal.sigwait(mask); sys.exit({code})"
    )


async def gone(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    ended = asyncio.Event()
    posix.watch_exit(pid, ended.set)
    await ended.wait()


def test_output_and_exit_code(run: Run) -> None:
    async def story() -> None:
        async with running("sh", "-c", "echo out; echo err >&2; printf last; exit 7") as (child, output):
            assert await child.exited == Exit(7, None)
            assert output.tail(9) == ("out", "err", "last")

    run(story())


def test_a_child_is_alone_in_its_session_and_inherits_nothing(run: Run) -> None:
    code = (
        "import os,json; print(json.dumps("
        "[os.getsid(0)==os.getpid(), len(os.listdir('/proc/self/fd')), dict(os.environ)]))"
    )

    async def story() -> None:
        ours = os.pipe()
        os.set_inheritable(ours[1], True)
        output: list[str] = []
        child = await Child.spawn(python(code), env={"A": "1"}, on_line=output.append)
        assert await child.exited == Exit(0, None)
        leads, open_files, env = json.loads(output[0])
        assert leads
        assert open_files == 4  # the standard three and the listing itself
        assert {key: env[key] for key in env if key != "LC_CTYPE"} == {"A": "1", "CLARACORE_STDIN": "held"}
        for fd in ours:
            os.close(fd)

    run(story())


def test_the_environment_of_the_child_cannot_hurt_the_launcher(run: Run) -> None:
    env = {"PYTHONHOME": "/nowhere", "LD_LIBRARY_PATH": "/nowhere", "PATH": os.environ["PATH"], "BIG": "x" * 100_000}

    async def story() -> None:
        async with running("sh", "-c", "echo $PYTHONHOME $LD_LIBRARY_PATH ${#BIG}", env=env) as (child, output):
            await child.exited
            assert output.tail(1) == ("/nowhere /nowhere 100000",)

    run(story())


def test_signals_that_python_ignores_are_not_ignored_in_the_child(run: Run) -> None:
    async def story() -> None:
        async with running("sh", "-c", "grep SigIgn /proc/self/status") as (child, output):
            await child.exited
            ignored = int(output.tail(1)[0].split()[1], 16)
            # Other signals may be ignored by whoever started us; that is theirs to decide.
            for python in (signal.SIGPIPE, signal.SIGXFSZ):
                assert not ignored >> (python - 1) & 1, python

    run(story())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "No such file"),
        ("not-executable", r"Permission denied.*chmod \+x"),
        ("not-a-program", "Exec format error"),
        ("not-executable/below", "Not a directory"),
        (".", "it is a folder"),
        ("bad-interpreter", "No such file.*interpreter in its first line"),
        ("dangling", r"No such file.*it is a link to nowhere, which does not exist"),
        ("circle", "Too many levels of symbolic links.*circle"),
        ("busy", "Text file busy.*somebody is writing to it"),
        ("pipe", "Permission denied.*it is no file"),
        ("x" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_started_is_named_with_the_way_out(run: Run, tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "not-executable").write_text("#!/bin/sh\n")
    (tmp_path / "not-a-program").write_bytes(b"\x01\x02\x03")
    (tmp_path / "bad-interpreter").write_text("#!/nowhere/sh\n")
    (tmp_path / "not-a-program").chmod(0o755)
    (tmp_path / "bad-interpreter").chmod(0o755)
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe", 0o755)
    shutil.copy(str(shutil.which("true")), tmp_path / "busy")
    path = f"{tmp_path}/{name}"

    async def story() -> None:
        with pytest.raises(SpawnFailed, match=reason) as caught:
            await Child.spawn([path], env=dict(os.environ), on_line=print)
        assert path in caught.value.message

    with (tmp_path / "busy").open("ab"):
        run(story())
    assert psutil.Process().children() == []


def test_a_bare_name_is_looked_up_in_the_childs_own_path(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho found\n")
    (tmp_path / "tool").chmod(0o755)

    async def story() -> None:
        with pytest.raises(SpawnFailed, match="not found on PATH"):
            await Child.spawn(["tool"], env=dict(os.environ), on_line=print)
        async with running("tool", env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}) as (child, output):
            await child.exited
            assert output.tail(1) == ("found",)

    run(story())


def test_limits_of_the_system_are_clear_errors_and_leak_nothing(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(SpawnFailed, match="cannot start 'true': Argument list too long"):
            await Child.spawn(["true", "x" * 200_000], env=dict(os.environ), on_line=print)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        before = psutil.Process().num_fds()
        for more in range(12):
            resource.setrlimit(resource.RLIMIT_NOFILE, (before + more, hard))
            try:
                with contextlib.suppress(SpawnFailed):
                    child = await Child.spawn(["true"], env=dict(os.environ), on_line=print)
                    await child.exited
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert psutil.Process().num_fds() == before

    run(story())
    assert psutil.Process().children() == []


def test_a_missing_working_folder_and_a_nul_byte_are_clear_errors(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(SpawnFailed, match="working folder '/nowhere' does not exist"):
            await Child.spawn(["sh"], env={}, on_line=print, cwd="/nowhere")
        with pytest.raises(SpawnFailed, match="cannot start 'sh': embedded null byte"):
            await Child.spawn(["sh", "a\0b"], env=dict(os.environ), on_line=print)
        with pytest.raises(SpawnFailed, match="cannot start 'sh': embedded null byte in its environment"):
            await Child.spawn(["sh"], env={**os.environ, "A": "b\0c"}, on_line=print)

    run(story())


def test_stop_asks_politely_first(run: Run) -> None:
    async def story() -> None:
        async with running(*python(exits_at(signal.SIGTERM, 5))) as (child, output):
            await line_with(output, "up")
            assert await child.stop(30) == Exit(5, None)
            assert await child.stop(30) == Exit(5, None)

    run(story())


def test_stop_kills_what_does_not_listen(run: Run) -> None:
    async def story() -> None:
        async with running(*python(STUBBORN)) as (child, output):
            await line_with(output, "up")
            assert await child.stop(0.05) == Exit(None, signal.SIGKILL)

    run(story())


def test_a_cancelled_stop_leaves_the_child_watchable(run: Run) -> None:
    async def story() -> None:
        async with running(*python(STUBBORN)) as (child, output):
            await line_with(output, "up")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(child.stop(60), 0.05)
            assert await child.stop(0) == Exit(None, signal.SIGKILL)

    run(story())


def test_the_group_ends_with_its_leader(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with fake("--grandchild", f"{tmp_path}/pid") as (child, _, _):
            relative = int((tmp_path / "pid").read_text())
            assert await child.stop(30) == Exit(0, None)
            await gone(relative)

    run(story())


def test_a_grandchild_that_keeps_the_pipe_open_hangs_nothing(run: Run, tmp_path: Path) -> None:
    """Nothing tells whose it is when its parent is dead: here we adopt nobody, and there is no mark."""

    async def story() -> None:
        async with fake("--escaped-grandchild", f"{tmp_path}/pid") as (child, _, _):
            relative = int((tmp_path / "pid").read_text())
            try:
                os.kill(child.pid, signal.SIGKILL)
                assert await child.exited == Exit(None, signal.SIGKILL)
                assert psutil.Process(relative).status() != psutil.STATUS_ZOMBIE
            finally:
                os.kill(relative, signal.SIGKILL)

    run(story())


def test_a_grandchild_in_another_session_ends_with_a_leader_that_is_stopped(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with fake("--escaped-grandchild", f"{tmp_path}/pid") as (child, _, _):
            relative = int((tmp_path / "pid").read_text())
            assert await child.stop(30) == Exit(0, None)
            await gone(relative)

    run(story())


def test_a_flood_stalls_neither_child_nor_loop(run: Run) -> None:
    async def story() -> None:
        async with fake("--flood-forever") as (child, output, _):
            line = await line_with(output, "flood")
            share = 2 * (READ_BYTES // len(line) + 1)  # one reading in each turn; uvloop may have begun another
            before = len(output.tail(1_000))
            while (now := len(output.tail(1_000))) < 900:
                assert now - before <= share
                before = now
                await asyncio.sleep(0)
            assert await child.stop(30) == Exit(0, None)

    run(story())


def test_all_of_a_flood_before_the_end_is_heard(run: Run) -> None:
    async def story() -> None:
        heard: list[str] = []
        child = await Child.spawn(
            command("--flood", "3000", "--crash", "start"), env=dict(os.environ), on_line=heard.append
        )
        assert await child.exited == Exit(3, None)
        assert [int(line[:6]) for line in heard] == list(range(3000))

    run(story())


def test_no_zombie_stays(run: Run) -> None:
    async def story() -> None:
        for _ in range(5):
            async with running("true") as (child, _):
                assert await child.exited == Exit(0, None)
                assert not psutil.pid_exists(child.pid)

    run(story())


def test_cmd_stop_replaces_the_signal(run: Run) -> None:
    async def story() -> None:
        async with running(*python(exits_at(signal.SIGUSR1, 9))) as (child, output):
            await line_with(output, "up")
            stop = ["sh", "-c", f'echo "stopping $WHO"; kill -USR1 {child.pid}']
            assert await child.stop(30, stop_argv=stop, env={**os.environ, "WHO": "qwen"}) == Exit(9, None)
            assert "stopping qwen" in output.tail(9)

    run(story())


@pytest.mark.parametrize("stop", [["false"], ["/nowhere/stop"]])
def test_a_cmd_stop_that_fails_is_followed_by_the_signal(run: Run, stop: list[str]) -> None:
    async def story() -> None:
        async with running(*python(PATIENT)) as (child, output):
            await line_with(output, "up")
            assert await child.stop(30, stop_argv=stop, env=dict(os.environ)) == Exit(None, signal.SIGTERM)
            assert "cmdStop" in output.tail(1)[0]

    run(story())


def test_a_cmd_stop_that_hangs_is_bounded_and_does_not_stay(run: Run) -> None:
    async def story() -> None:
        async with running(*python(PATIENT)) as (child, output):
            await line_with(output, "up")
            stop = ["sh", "-c", "echo $$; exec sleep 60"]
            assert await child.stop(0.3, stop_argv=stop, env=dict(os.environ)) == Exit(None, signal.SIGKILL)
            helper = output.tail(1)[0]
            if helper.isdigit() and psutil.pid_exists(int(helper)):
                await gone(int(helper))

    run(story())


def test_exit_tells_how(run: Run) -> None:
    async def story() -> None:
        async with running("sh", "-c", "kill -ILL $$") as (child, _):
            assert "SIGILL (this build uses instructions" in str(await child.exited)
        async with running("sh", "-c", "exit 3") as (child, _):
            assert str(await child.exited) == "exit code 3"

    run(story())


def test_start_time_is_that_of_psutil(run: Run) -> None:
    async def story() -> None:
        async with running(*python(PATIENT)) as (child, _):
            assert child.start_time == psutil.Process(child.pid).create_time()

    run(story())


def test_without_pidfd_the_exit_is_seen_as_well(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_pid: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", forbidden)

    async def story() -> None:
        async with running("sh", "-c", "echo bye; exit 4") as (child, output):
            assert await child.exited == Exit(4, None)
            assert output.tail(1) == ("bye",)

    run(story())


PARENT = """
import asyncio, os, sys
from claracore.host.supervisor.child import Child
async def main():
    child = await Child.spawn([{python!r}, "-c", "import signal; print('up'); signal.pause()"], env=dict(os.environ),
                              on_line=lambda line: print(line, child.pid, flush=True))
    await child.exited
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG")
def test_killing_the_parent_kills_the_child(run: Run) -> None:
    async def story() -> None:
        code = PARENT.format(python=sys.executable)
        parent = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE)  # noqa: ASYNC220 - waited for
        assert parent.stdout is not None
        line = await asyncio.to_thread(parent.stdout.readline)
        orphan = int(line.split()[1])
        parent.kill()
        await gone(orphan)
        parent.wait()
        parent.stdout.close()

    run(story())
