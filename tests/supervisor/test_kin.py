"""What comes of a model's command ends with it, wherever it has gone; what cannot be ended is given up (kin.py)."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from claracore.host.logs.output import OutputRing
from claracore.host.sockets.kernel import process_start
from claracore.host.supervisor import child as child_module
from claracore.host.supervisor import kin, posix
from claracore.host.supervisor.child import Child, Exit, StillRuns
from fakes.others import SOMEBODY, as_ourselves, server_of_another
from fakes.running import LOOPS, line_with, python, running

if TYPE_CHECKING:
    from fakes.running import Run

pytestmark = [
    pytest.mark.parametrize("run", LOOPS),
    pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_CHILD_SUBREAPER"),
]

MARK = {kin.MARK: "test-of-kin.1"}


DEAF = """
import signal
signal.signal(signal.SIGTERM, lambda *_: print('asked'))
print('up')
while True: signal.pause()
"""


async def pid_from(output: OutputRing, name: str) -> int:
    """Wait for a line `NAME PID`."""
    return int((await line_with(output, f"{name} ")).split()[1])


async def nothing_adopted() -> None:
    """Wait until all that came to us is reaped; each turn asks the kernel, SIGCHLD does the rest."""
    while kin.adopted():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)


def lives(pid: int) -> bool:
    return process_start(pid) is not None


SCRIPTS = {
    "does not exec": "sleep 1000 & echo engine $!; wait",
    "another session": "setsid sh -c 'echo engine $$; exec sleep 1000'; true",
    "waits for another session": "exec setsid -w sh -c 'echo engine $$; exec sleep 1000'",
    "a daemon": "(setsid sh -c 'echo engine $$; exec sleep 1000' &) ; exec sleep 1000",
    "a daemon without environment": "setsid env -i sh -c 'echo engine $$; exec sleep 1000' & wait",
    "a daemon's child": "(setsid sh -c 'sleep 1000 & echo engine $!; wait' &) ; exec sleep 1000",
    "deaf": "setsid sh -c 'trap \"\" TERM HUP; echo engine $$; while :; do sleep 1000; done' & wait",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_what_a_command_has_started_ends_with_it(run: Run, script: str) -> None:
    async def story() -> None:
        with kin.adopting():
            async with running("sh", "-c", script, env=MARK) as (child, output):
                engine = await pid_from(output, "engine")
                await child.stop(30)
                assert not lives(engine)
                assert kin.adopted() == []

    run(story())
    assert psutil.Process().children(recursive=True) == []


@pytest.mark.parametrize("script", [SCRIPTS["another session"], SCRIPTS["a daemon"], SCRIPTS["a daemon's child"]])
def test_what_a_command_has_started_ends_when_its_leader_dies(run: Run, script: str) -> None:
    async def story() -> None:
        with kin.adopting():
            async with running("sh", "-c", script, env=MARK) as (child, output):
                engine = await pid_from(output, "engine")
                os.kill(child.pid, signal.SIGKILL)
                assert await child.exited == Exit(None, signal.SIGKILL)
                assert await child.stop(30) == Exit(None, signal.SIGKILL)
                assert not lives(engine)

    run(story())
    assert psutil.Process().children(recursive=True) == []


def test_a_server_that_becomes_a_daemon_ends_too_although_its_leader_ended_well(run: Run) -> None:
    async def story() -> None:
        with kin.adopting():
            async with running("sh", "-c", "setsid sh -c 'echo engine $$; exec sleep 1000' &", env=MARK) as (child, _):
                assert await child.exited == Exit(0, None)
                assert await child.stop(30) == Exit(0, None)
                assert kin.adopted() == []

    run(story())
    assert psutil.Process().children(recursive=True) == []


def test_one_models_end_is_not_anothers(run: Run) -> None:
    async def story() -> None:
        with kin.adopting():
            script = ("sh", "-c", SCRIPTS["a daemon"])
            async with (
                running(*script, env=MARK) as (first, its),
                running(*script, env={kin.MARK: "test-of-kin.10"}) as (second, others),
            ):
                engine, other = await pid_from(its, "engine"), await pid_from(others, "engine")
                await first.stop(30)
                assert not lives(engine)
                assert lives(other)
                await second.stop(30)
                assert not lives(other)

    run(story())


def test_a_cmd_stop_does_not_take_the_server_along(run: Run, tmp_path: Path) -> None:
    """The end of the helper is not the end of the run whose environment it was given."""
    program = tmp_path / "deaf.py"
    program.write_text(DEAF)

    async def story() -> None:
        with kin.adopting():
            script = f"(setsid sh -c 'echo engine $$; exec {sys.executable} -u {program}' &) ; exec sleep 1000"
            async with running("sh", "-c", script, env=MARK) as (child, output):
                engine = await pid_from(output, "engine")
                await line_with(output, "up")
                asking = child._ask_to_stop(["true"], {**os.environ, **MARK})
                assert await asking
                os.kill(engine, signal.SIGTERM)
                await line_with(output, "asked")
                await child.stop(30)
                assert not lives(engine)

    run(story())


def test_what_comes_to_us_is_reaped_and_what_others_wait_for_is_not(run: Run) -> None:
    async def story() -> None:
        with kin.adopting():
            async with running(
                "sh", "-c", "read a; (setsid sh -c 'exit 3' &) ; read b; echo done; read c", env=MARK
            ) as (
                child,
                output,
            ):
                waited = [subprocess.Popen(["sh", "-c", f"exit {code}"]) for code in range(20)]  # noqa: ASYNC220
                child.write(b"a\n")
                child.write(b"b\n")
                await line_with(output, "done")
                await nothing_adopted()
                assert [process.wait() for process in waited] == list(range(20))
                child.write(b"c\n")
                assert await child.exited == Exit(0, None)

    run(story())


def test_zombies_are_reaped_while_the_model_runs(run: Run) -> None:
    """A script whose daemons come and go must not fill the table of processes."""

    async def story() -> None:
        with kin.adopting():
            script = "for i in 1 2 3 4 5; do (setsid true &) ; done; echo up; exec sleep 1000"
            async with running("sh", "-c", script, env=MARK) as (_, output):
                await line_with(output, "up")
                await nothing_adopted()
                (script_itself,) = psutil.Process().children()
                assert script_itself.status() != psutil.STATUS_ZOMBIE

    run(story())


# --- what may not be signalled ----------------------------------------------------------------------------------------

STOPPED = """
import asyncio, os, sys
from claracore.host.supervisor import kin
from claracore.host.supervisor.child import Child, StillRuns

async def main():
    with kin.adopting():
        up = asyncio.get_running_loop().create_future()
        def hear(line):
            print(line, flush=True)
            if line.startswith("up") and not up.done():
                up.set_result(None)
        child = await Child.spawn(sys.argv[1:], env=dict(os.environ, CLARACORE_TOKEN="test-of-kin.1"), on_line=hear)
        await up
        try:
            print("ended by", await child.stop(0.2), flush=True)
        except StillRuns as error:
            print("gave up:", error, flush=True)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def others_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return server_of_another(tmp_path_factory.mktemp("others"))


@pytest.mark.parametrize("words", ["{server}", "sh -c '{server}; true'", "setsid -w {server}"])
def test_what_may_not_be_signalled_is_given_up_and_named(run: Run, others_server: Path, words: str) -> None:
    del run
    argv = as_ourselves(sys.executable, "-c", STOPPED, *shlex.split(words.format(server=others_server)))
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    up, gave_up = done.stdout.splitlines()
    pid = int(up.split()[1])
    try:
        assert gave_up.startswith(
            f"gave up: pid {pid} (others-server, user {SOMEBODY}), which this user may not signal"
        )
        assert lives(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_what_the_kernel_does_not_end_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hangs in a device cannot be made here: instead the one signal that ends it is kept from it."""
    monkeypatch.setattr(child_module, "KILL_SECONDS", 0.2)
    monkeypatch.setattr(child_module, "send", lambda *_: True)
    monkeypatch.setattr(posix, "signal_group", lambda *_: None)

    async def story() -> None:
        child = await Child.spawn(python("import signal; print('up'); signal.pause()"), env={}, on_line=print)
        try:
            with pytest.raises(StillRuns, match="does not end even when killed") as caught:
                await child.stop(0)
            assert [process.pid for process in caught.value.stuck] == [child.pid]
        finally:
            os.kill(child.pid, signal.SIGKILL)
            await child.exited

    run(story())


def test_a_hurry_ends_the_wait(run: Run) -> None:
    """A second signal to ClaraCore while a server has its long grace."""

    async def story() -> None:
        async with running(*python(DEAF)) as (child, output):
            await line_with(output, "up")
            stopping = asyncio.create_task(child.stop(3600))
            await line_with(output, "asked")
            child.kill()
            assert await stopping == Exit(None, signal.SIGKILL)

    run(story())
