"""Nothing is left behind by SIGKILL of ClaraCore, by an unload, by its end; what cannot be ended blocks nothing."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from claracore.host.sockets.kernel import sockets_on
from e2e.instance import WAIT_SECONDS, Instance, configured, fake, gone, instance
from e2e.test_ports_killed import ours
from fakes import command
from fakes.others import OURSELVES, SOMEBODY, as_ourselves, server_of_another
from fakes.ports import free_run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_CHILD_SUBREAPER")

FORKING = """
import os, subprocess, sys
subprocess.Popen(sys.argv[1:], start_new_session=len(sys.argv) % 2 == 0)
os.wait()
"""

WRAPPERS = {
    "a shell that goes on": 'sh -c "{engine}; true"',
    "a script that does not exec": "{script}",
    "a server that forks": "{python} -I -S {forking} {engine}",
    "another session that is waited for": "setsid -w {engine}",
    "a daemon beside it": 'sh -c "(setsid sleep 1000 &) ; {engine}; true"',
    "a script that starts it again": 'sh -c "while :; do {engine}; sleep 0.05; done"',
    "without its environment": 'sh -c "env -i {engine} & wait"',
}


def wrapped(folder: Path, wrapper: str, mark: str) -> str:
    """Return a `cmd` that starts a fake server in a roundabout way."""
    words = " ".join(command("--port", "${PORT}", "-m", mark))
    script = folder / "run.sh"
    script.write_text(f"#!/bin/sh\n{' '.join(command('--port', '$1', '-m', mark))}\necho it ended\n")
    script.chmod(0o755)
    forking = folder / "forking.py"
    forking.write_text(FORKING)
    return wrapper.format(engine=words, script=f"{script} ${{PORT}}", python=sys.executable, forking=forking)


def roundabout(folder: Path, ports: range, mark: str) -> str:
    """Return a configuration with a model for each wrapper."""
    lines = [f"startPort: {ports.start}", "unloadTimeout: 2", "models:"]
    for number, wrapper in enumerate(WRAPPERS.values()):
        place = folder / str(number)
        place.mkdir()
        lines.append(f"  m{number}: {{cmd: '{wrapped(place, wrapper, mark)}'}}")
    return "\n".join(lines) + "\n"


def test_after_sigkill_the_next_start_ends_what_is_left_and_has_the_same_ports(tmp_path: Path) -> None:
    ports = free_run(len(WRAPPERS) + 1)
    mark = f"mark-of-{tmp_path.name}-{os.getpid()}"
    models = [f"m{number}" for number in range(len(WRAPPERS))]
    text = roundabout(tmp_path, ports, mark) + f"groups:\n  all: {{swap: false, members: [{', '.join(models)}]}}\n"
    config = str(configured(tmp_path, text))
    left: list[psutil.Process] = []
    for _ in range(2):
        with instance(tmp_path, "--config", config) as running:
            assert gone(left), left
            for model, name in zip(models, WRAPPERS, strict=True):
                assert running.chat(model).status == 200, name
            places = {model: row["port"] for model, row in running.running().items()}
            assert places == dict(zip(models, ports, strict=False))
            left = ours(mark)
            assert len(left) >= len(WRAPPERS)
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()
    with instance(tmp_path, "--config", config) as last:
        assert gone(left), left
        assert not [port for port in ports if sockets_on(port)]
        assert last.end() == 0


def runs(process: psutil.Process) -> bool:
    """Whether it is there and not ended: who has ended has nothing any more, also before it is waited for."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_swaps_an_unload_and_the_end_leave_nothing(tmp_path: Path) -> None:
    ports = free_run(len(WRAPPERS) + 1)
    mark = f"mark-of-{tmp_path.name}-{os.getpid()}"
    config = configured(tmp_path, roundabout(tmp_path, ports, mark))
    with instance(tmp_path, "--config", str(config)) as running:
        for number, name in enumerate([*WRAPPERS, "the first again"]):
            before = ours(mark)
            assert running.chat(f"m{number % len(WRAPPERS)}").status == 200, name
            # Not waited for: who is served next may have their memory and their port.
            assert not [process for process in before if runs(process)], name
        before = ours(mark)
        assert running.ask("POST", "/api/models/unload/m0").status == 200
        assert not [process for process in before if runs(process)]
        for number, name in enumerate(WRAPPERS):
            assert running.chat(f"m{number}").status == 200, name
        before = ours(mark)
        assert running.end() == 0
        assert not [process for process in before if runs(process)]
        assert ours(mark) == []


# --- what cannot be ended ---------------------------------------------------------------------------------------------


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A folder for a ClaraCore that is not root, and a server of somebody else that it can start and not end."""
    server = server_of_another(tmp_path)
    # access(2) knows no capabilities, and pytest's own folders are root's alone.
    with tempfile.TemporaryDirectory(prefix="claracore-others-") as name:
        os.chown(name, OURSELVES, OURSELVES)
        yield Path(name), server


def others(server: Path) -> list[psutil.Process]:
    """Return the processes that are this very server, whoever their parent is."""
    return ours(str(server))


@contextlib.contextmanager
def unsignalled(folder: Path, server: Path, model: str) -> Iterator[tuple[Instance, range]]:
    """Run a ClaraCore without rights, with a model `a` that it cannot end and a model `b` that it can."""
    ports = free_run(8)
    text = f"startPort: {ports.start}\nhealthCheckTimeout: 15\nmodels:\n  a: {{{model}}}\n  b: {{cmd: '{fake()}'}}\n"
    with instance(folder, "--config", str(configured(folder, text)), run_by=as_ourselves()) as running:
        try:
            yield running, ports
        finally:
            for process in others(server):
                process.kill()


@pytest.mark.parametrize("words", ["{server} ${{PORT}}", 'sh -c "{server} ${{PORT}}; true"'])
def test_a_server_of_another_user_is_given_up_and_blocks_only_its_port(
    unprivileged: tuple[Path, Path], words: str
) -> None:
    folder, server = unprivileged
    model = f"cmd: '{words.format(server=server)}', unloadTimeout: 1"
    with unsignalled(folder, server, model) as (running, ports):
        running.chat("a")
        assert running.chat("b").status == 200
        line = running.line("model a: could not end pid")
        assert f"user {SOMEBODY}" in line
        assert "cmdStop: sudo kill ${PID}" in line
        taken = {port for port in ports if any(entry.uid == SOMEBODY for entry in sockets_on(port))}
        assert taken
        assert running.running()["b"]["port"] not in taken
        assert running.end(signal.SIGTERM) == 0
        assert others(server)


def test_a_second_signal_does_not_wait_for_a_server_of_another_user(unprivileged: tuple[Path, Path]) -> None:
    folder, server = unprivileged
    with unsignalled(folder, server, f"cmd: '{server} ${{PORT}}', unloadTimeout: 3600") as (running, _):
        asking = threading.Thread(target=ask, args=(running, "a"))
        asking.start()
        while not others(server):
            pass  # each turn asks the kernel
        running.process.send_signal(signal.SIGTERM)
        running.line("ending")
        assert running.end(signal.SIGTERM) == 0
        asking.join()


def ask(running: Instance, model: str) -> None:
    """Ask and take whatever comes of it."""
    try:
        running.chat(model)
    except OSError:
        return


# --- signals ----------------------------------------------------------------------------------------------------------

ALLOWED = {0, -signal.SIGINT, -signal.SIGTERM}


BOTH = [signal.SIGINT, signal.SIGTERM]


def storm(process: subprocess.Popen[str], numbers: Sequence[signal.Signals], seed: str) -> int:
    """Send these signals without pause until the process has ended; return how."""
    chance = random.Random(seed)
    while process.poll() is None:
        process.send_signal(chance.choice(numbers))
    return process.returncode


STARTING = """
import sys
class Told:
    def find_spec(self, name, path=None, target=None):
        if name in wanted:
            print("importing", name, flush=True)
wanted = set(sys.argv.pop(1).split(","))
from claracore.cli import main
sys.meta_path.insert(0, Told())
main()
"""
"""Says when it comes to import a module."""

MOMENTS = ["claracore.cli.root", "argparse", "psutil", "claracore.app", "fastapi", "claracore.host.engines.find"]


@pytest.mark.parametrize("numbers", [[signal.SIGINT], BOTH])
@pytest.mark.parametrize("module", MOMENTS)
def test_a_storm_of_signals_while_it_starts_is_no_traceback(
    tmp_path: Path, module: str, numbers: list[signal.Signals]
) -> None:
    argv = ["--listen", "127.0.0.1:0", "--config", str(configured(tmp_path, "models: {}\n"))]
    process = subprocess.Popen(
        [sys.executable, "-c", STARTING, module, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    with process:
        assert process.stdout is not None
        assert any(line.startswith("importing") for line in process.stdout)  # the server may have said that it serves
        assert storm(process, numbers, module) in ALLOWED
        rest = process.stdout.read()
    assert "Traceback" not in rest
    assert "KeyboardInterrupt" not in rest


@pytest.mark.parametrize("moment", ["starting", "ready", "ending"])
def test_a_storm_of_signals_at_work_ends_it_well(tmp_path: Path, moment: str) -> None:
    mark = f"mark-of-{tmp_path.name}-{os.getpid()}"
    cmd = wrapped(tmp_path, WRAPPERS["a daemon beside it"], mark)
    text = f"startPort: {free_run(2).start}\nhooks: {{on_startup: {{preload: [a]}}}}\nmodels:\n  a: {{cmd: '{cmd}'}}\n"
    with instance(tmp_path, "--config", str(configured(tmp_path, text))) as running:
        running.line("model a: starting" if moment == "starting" else "model a: ready")
        if moment == "ending":
            running.process.send_signal(signal.SIGTERM)
            running.line("ending")
        assert storm(running.process, BOTH, moment) == 0
        running._reader.join(WAIT_SECONDS)
        text = "\n".join(running.lines)
        assert "Traceback" not in text, text
        assert "KeyboardInterrupt" not in text, text
    assert gone(ours(mark))


def test_what_dead_instances_left_in_the_state_directory_is_swept(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    dead.wait()
    state = tmp_path / "state" / "claracore"
    state.mkdir(parents=True)
    left = [state / f"ports.{dead.pid}", state / f"keys.{dead.pid}.tmp"]
    for path in left:
        path.write_text("unfinished")
    with instance(tmp_path, "--config", str(configured(tmp_path, "models: {}\n"))) as running:
        assert not [path for path in left if path.exists()]
        assert running.end() == 0
