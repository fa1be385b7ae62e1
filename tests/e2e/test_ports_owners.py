"""Whose server may answer: one of another user, one in a container, one that was there before; and whose may not."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from claracore.host.sockets.kernel import sockets_on
from e2e.instance import Answer, Instance, configured, instance
from e2e.ports import container_runtime
from fakes import SCRIPT
from fakes.ports import free_port
from sockets.helpers import readline

USER, OTHER = 61234, 61235
"""Users without an entry in /etc/passwd: ClaraCore runs as the one, a server as the other."""

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can start processes of other users")


IMPORTS = os.pathsep.join(sys.path)


@functools.cache
def everybodys_python() -> str:
    """Return a Python that every user may run and that can import what this one can."""
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        with contextlib.suppress(OSError):
            trial = [python, "-c", "import claracore.app"]
            env = {**os.environ, "PYTHONPATH": IMPORTS}
            if (
                subprocess.run(trial, user=USER, extra_groups=[], env=env, capture_output=True, check=False).returncode
                == 0
            ):
                return python
    pytest.skip("there is no Python that other users may run")


def server(port: int, python: str = sys.executable) -> str:
    """Return the command line of a fake model server for a shell."""
    return f"{python} -E -S {SCRIPT} --port {port}"


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def said(running: Instance, level: str) -> list[str]:
    return [line for line in running.lines if level in line]


def pid_of(answer: Answer) -> int:
    assert answer.status == 200, answer.body
    return int(answer.json["echo"]["pid"])


@contextlib.contextmanager
def serving(port: int, *flags: str, program: str = "", user: int | None = None) -> Iterator[psutil.Process]:
    """Run a fake model server that is none of ClaraCore's."""
    process = subprocess.Popen(
        [
            program or (sys.executable if user is None else everybodys_python()),
            "-E",
            "-S",
            str(SCRIPT),
            "--port",
            str(port),
            *flags,
        ],
        stdout=subprocess.PIPE,
        text=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    try:
        if "--listen-file" not in flags:
            assert "listening" in readline(process)
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def public() -> Iterator[Path]:
    """Return a folder that every user may enter and that belongs to USER."""
    folder = Path(tempfile.mkdtemp(prefix="claracore-owners-"))
    folder.chmod(0o755)
    os.chown(folder, USER, USER)
    (folder / "home").mkdir()
    os.chown(folder / "home", USER, USER)
    yield folder
    shutil.rmtree(folder)


HELPER = """
#include <stdio.h>
#include <unistd.h>
int main(int count, char **words) {
    if (count > 1 && !setgid(UID) && !setuid(UID)) execvp(words[1], words + 1);
    perror(words[0]);
    return 1;
}
"""


def helper(folder: Path) -> Path:
    """Compile a program that belongs to root, may be run by all, and runs another as OTHER: what sudo -u does."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    source, program = folder / "as_other.c", folder / "as_other"
    source.write_text(HELPER.replace("UID", str(OTHER)))
    subprocess.run([compiler, "-o", str(program), str(source)], check=True)
    os.chown(program, 0, 0)
    program.chmod(0o4755)
    seen = subprocess.run([program, "id", "-u"], user=USER, capture_output=True, text=True, check=False)
    if seen.stdout.strip() != str(OTHER):
        pytest.skip(f"programs may not change their user in {folder}: {seen.stderr}")
    return program


def as_user(folder: Path, *argv: str) -> contextlib.AbstractContextManager[Instance]:
    env = {"HOME": str(folder / "home"), "PYTHONPATH": IMPORTS}
    return instance(folder, *argv, env=env, user=USER, python=everybodys_python())


@as_root
@pytest.mark.parametrize("words", ["{helper} {server}", 'sh -c "{helper} {server}; true"'])
def test_a_server_of_another_user_is_ours_when_it_descends_from_our_command(public: Path, words: str) -> None:
    port = free_port()
    cmd = words.format(helper=helper(public), server=server(port, everybodys_python()).replace(str(port), "${PORT}"))
    config = configured(public, f"startPort: {port}\nmodels:\n  a:\n    cmd: '{cmd}'\n")
    with as_user(public, "--config", str(config)) as running:
        pid = pid_of(running.chat("a"))
        assert psutil.Process(pid).uids().effective == OTHER
        assert psutil.Process(pid) in running.children()
        assert running.running()["a"]["port"] == port
        assert not said(running, "WARNING")
        psutil.Process(pid).kill()  # what ClaraCore itself may not


@as_root
def test_a_server_of_another_user_that_nothing_of_ours_has_started_is_none(public: Path) -> None:
    port = free_port()
    late = public / "listen"
    cmd = script(public / "run.sh", f"touch {late}\nexec sleep 1000")
    config = configured(public, f"models:\n  a: {{cmd: {cmd}, proxy: 'http://127.0.0.1:{port}'}}\n")
    with serving(port, "--listen-file", str(late), user=OTHER), as_user(public, "--config", str(config)) as running:
        answer = running.chat("a")
        assert answer.status == 502
        assert "owner: any" in answer.message
        assert str(OTHER) in answer.message


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Path]:
    """Return the client of a container runtime."""
    with container_runtime(tmp_path) as client:
        yield client


def free_again(port: int) -> None:
    while sockets_on(port):
        pass  # each turn asks the kernel: it ends when the container's proxy has


def test_a_script_that_becomes_a_containers_client_is_served_by_the_runtime(tmp_path: Path, docker: Path) -> None:
    port = free_port()
    run = script(tmp_path / "run.sh", f"exec {docker} run --rm --name own -p $1:8080 image")
    config = configured(tmp_path, f"startPort: {port}\nmodels:\n  a: {{cmd: '{run} ${{PORT}}'}}\n")
    with instance(tmp_path, "--config", str(config)) as running:
        for _ in range(2):
            assert psutil.Process(pid_of(running.chat("a"))) not in running.children()
            assert running.running()["a"]["port"] == port
            assert running.ask("POST", "/api/models/unload/a").status == 200
            free_again(port)
        assert len(said(running, "answered by the container runtime, docker-proxy")) == 1
        assert not said(running, "WARNING")


def test_a_container_that_outlives_its_client_is_named_with_the_way_to_stop_it(tmp_path: Path, docker: Path) -> None:
    port = free_port()
    run = script(tmp_path / "run.sh", f"{docker} run --rm --name own -p $1:8080 image; true")
    config = configured(tmp_path, f"startPort: {port}\nmodels:\n  a: {{cmd: '{run} ${{PORT}}', unloadTimeout: 0.01}}\n")
    with instance(tmp_path, "--config", str(config)) as running:
        pid_of(running.chat("a"))
        assert not said(running, "WARNING")
        (client,) = (its for its in running.children() if its.name() == "docker")
        client.kill()
        assert f"`cmdStop: {docker.name} stop own`" in running.line(f"its container still listens on port {port}")


@as_root
@pytest.mark.parametrize(("client", "status"), [("docker", 200), ("backup", 502)])
def test_a_hidden_listener_of_roots_is_the_runtimes_only_for_a_containers_client(
    public: Path, client: str, status: int
) -> None:
    port = free_port()
    late = public / "listen"
    cmd = script(
        public / "run.sh", f"exec {script(public / client, f'touch {late}; while :; do sleep 0.1; done')} start own"
    )
    config = configured(public, f"models:\n  a: {{cmd: {cmd}, proxy: 'http://127.0.0.1:{port}'}}\n")
    with serving(port, "--listen-file", str(late)), as_user(public, "--config", str(config)) as running:
        answer = running.chat("a")
        assert answer.status == status, answer.body
        if status == 200:
            running.line("for the container that the command runs")


def test_a_runtime_nobody_asked_for_is_refused_unless_the_model_says_so(tmp_path: Path) -> None:
    port = free_port()
    late = tmp_path / "listen"
    (tmp_path / "docker-proxy").symlink_to(sys.executable)
    cmd = script(tmp_path / "run.sh", f"touch {late}; exec sleep 1000")
    row = f"cmd: {cmd}, proxy: 'http://127.0.0.1:{port}'"
    config = configured(tmp_path, f"models:\n  a: {{{row}}}\n  b: {{{row}, owner: runtime}}\n")
    proxy = str(tmp_path / "docker-proxy")
    with instance(tmp_path, "--config", str(config)) as running:
        with serving(port, "--listen-file", str(late), program=proxy):
            answer = running.chat("a")
            assert answer.status == 502
            assert "`owner: runtime`" in answer.message
        late.unlink()
        with serving(port, "--listen-file", str(late), program=proxy) as container:
            assert pid_of(running.chat("b")) == container.pid


def test_a_server_that_was_there_before_the_command_is_served_and_named(tmp_path: Path) -> None:
    port = free_port()
    config = configured(tmp_path, f"models:\n  a: {{cmd: sleep 1000, proxy: 'http://127.0.0.1:{port}'}}\n")
    with serving(port) as external, instance(tmp_path, "--config", str(config)) as running:
        assert pid_of(running.chat("a")) == external.pid
        line = running.line("an external server")
        assert f"(pid {external.pid}, " in line
        assert not said(running, "WARNING")
        assert running.ask("POST", "/api/models/unload/a").status == 200
        assert pid_of(running.chat("a")) == external.pid  # and nobody has ended it


def test_a_descendant_on_a_port_that_the_command_does_not_name_is_ours(tmp_path: Path) -> None:
    port = free_port()
    cmd = script(tmp_path / "run.sh", server(port))
    config = configured(tmp_path, f"models:\n  a: {{cmd: {cmd}, proxy: 'http://127.0.0.1:{port}'}}\n")
    with instance(tmp_path, "--config", str(config)) as running:
        assert psutil.Process(pid_of(running.chat("a"))) in running.children()
        assert "external" not in "\n".join(running.lines)
        assert running.end() == 0


def test_a_server_that_comes_after_the_command_is_a_stranger(tmp_path: Path) -> None:
    port = free_port()
    late = tmp_path / "listen"
    cmd = script(tmp_path / "run.sh", f"touch {late}; exec sleep 1000")
    config = configured(tmp_path, f"models:\n  a: {{cmd: {cmd}, proxy: 'http://127.0.0.1:{port}'}}\n")
    with serving(port, "--listen-file", str(late)) as other, instance(tmp_path, "--config", str(config)) as running:
        answer = running.chat("a")
        assert answer.status == 502
        assert f"pid {other.pid}" in answer.message
        assert "start it before the model, or write `owner: any`" in answer.message


@as_root
def test_a_server_of_another_user_is_served_only_when_the_model_says_so(tmp_path: Path) -> None:
    port = free_port()
    row = f"cmd: sleep 1000, proxy: 'http://127.0.0.1:{port}'"
    config = configured(tmp_path, f"models:\n  a: {{{row}}}\n  b: {{{row}, owner: any}}\n")
    with serving(port, user=OTHER) as external, instance(tmp_path, "--config", str(config)) as running:
        answer = running.chat("a")
        assert answer.status >= 500
        assert f"(pid {external.pid}, user {OTHER}, " in answer.message
        assert "`owner: any`" in answer.message
        for _ in range(2):
            assert pid_of(running.chat("b")) == external.pid
            assert running.ask("POST", "/api/models/unload/b").status == 200
        assert len(said(running, "WARNING")) == 1
        assert "because of `owner: any`" in said(running, "WARNING")[0]


def test_two_models_with_one_port_are_one_models_problem(tmp_path: Path) -> None:
    port = free_port()
    rows = "".join(f"  {name}: {{cmd: '{server(port)}', proxy: 'http://127.0.0.1:{port}'}}\n" for name in "ab")
    config = configured(tmp_path, f"models:\n{rows}groups:\n  g: {{swap: false, members: [a, b]}}\n")
    with instance(tmp_path, "--config", str(config)) as running:
        assert f'port {port} is also used by model "a"' in said(running, "ERROR")[0]
        pid_of(running.chat("a"))
        answer = running.chat("b")
        assert answer.status >= 500
        assert f'model "b" cannot be served: port {port} is also used by model "a"' in answer.message
        pid = pid_of(running.chat("a"))
        config.write_text(f"models:\n{rows}")
        assert running.ask("POST", "/api/config/reload").status == 200
        assert pid_of(running.chat("b")) != pid  # they take turns
