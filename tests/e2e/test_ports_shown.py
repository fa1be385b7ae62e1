"""`claracore ports`, `ports why N`, `--json` and GET /api/ports: the plan without a server, the truth with one."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.instance import Instance, configured, fake, instance
from e2e.ports import claracore, sharing_engine
from fakes.ports import free_port, free_run
from sockets.helpers import leave_in_time_wait, stranger

USER = pwd.getpwuid(os.getuid()).pw_name


def configuration(folder: Path, ports: range) -> str:
    return f"""startPort: {ports[0]}
models:
  chat: {{cmd: '{sharing_engine(folder)} --port ${{PORT}}'}}
  code: {{cmd: '{sharing_engine(folder)} --port ${{PORT}}'}}
  tts: {{cmd: 'server --port {ports[8]}', proxy: 'http://localhost:{ports[8]}'}}
  voice: {{cmd: '{fake()}'}}
groups:
  speech: {{startPort: {ports[5]}, endPort: {ports[6]}, members: [voice]}}
"""


def test_without_a_server_the_plan_and_what_the_kernel_says(tmp_path: Path) -> None:
    ports = free_run(10)
    configured(tmp_path, configuration(tmp_path, ports))
    with stranger(ports[1]) as holder:
        shown = claracore(tmp_path, "ports", "--listen", str(ports[9]))
        data = json.loads(claracore(tmp_path, "ports", "--listen", str(ports[9]), "--json").stdout)
        why = claracore(tmp_path, "ports", "why", str(ports[1]))
    assert shown.returncode == 0, shown
    assert f"(default)  {ports[0]}-{ports[4]}  2" in shown.stdout
    assert f"speech     {ports[5]}-{ports[6]}  1" in shown.stdout
    assert {row["model"]: (row["port"], row["state"]) for row in data["ports"]} == {
        "chat": (ports[0], "free"),
        "code": (ports[1], "stranger"),
        "voice": (ports[5], "free"),
        "tts": (ports[8], "free"),
    }
    assert data["web"]["state"] == "free"
    assert why.returncode == 1
    expected = (
        f"port {ports[1]} is taken by python (pid {holder.pid}, user {USER}, listening on 127.0.0.1:{ports[1]} for "
    )
    assert why.stdout.startswith(expected)
    assert 'it is planned for model "code"' in why.stdout


def test_what_is_free_what_is_left_over_and_what_is_wrong(tmp_path: Path) -> None:
    port = free_port()
    configured(tmp_path, f"startPort: {port}\nmodels: {{}}\n")
    free = claracore(tmp_path, "ports", "why", str(port))
    assert (free.returncode, free.stdout.splitlines()[0]) == (0, f"port {port} is free")
    leave_in_time_wait(port)
    left = claracore(tmp_path, "ports", "why", str(port))
    assert left.returncode == 0
    assert "TIME_WAIT" in left.stdout
    rows = "".join(f"  {name}: {{cmd: 'x --port 9000', proxy: 'http://localhost:9000'}}\n" for name in "ab")
    configured(tmp_path, f"models:\n{rows}groups:\n  both: {{swap: false, members: [a, b]}}\n")
    clash = claracore(tmp_path, "ports")
    assert clash.returncode == 1
    assert (
        'port 9000 is also used by model "a"' in clash.stdout or 'port 9000 is also used by model "b"' in clash.stdout
    )
    assert claracore(tmp_path, "ports", "--config", "none.yaml").returncode == 2


@pytest.fixture(scope="module")
def ports() -> range:
    return free_run(10)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, ports: range) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("shown")
    configured(folder, configuration(folder, ports))
    with instance(folder, "--config", "config.yaml", "--listen", str(ports[9])) as running:
        assert running.chat("chat").status == 200
        assert running.ask("GET", "/api/identity").status == 200  # now it answers at once, as the command line expects
        yield running


def test_with_a_server_its_own_truth(served: Instance, ports: range) -> None:
    listen = str(urlsplit(served.url).port)
    data = json.loads(claracore(served.folder, "ports", "--listen", listen, "--json").stdout)
    assert data == served.ask("GET", "/api/ports").json
    pid = served.running()["chat"]["pid"]
    rows = {row["model"]: (row["port"], row["state"], row["pid"], row["group"]) for row in data["ports"]}
    assert rows == {
        "chat": (ports[0], "serving", pid, "(default)"),
        "code": (ports[1], "held", served.process.pid, "(default)"),
        "voice": (ports[5], "held", served.process.pid, "speech"),
        "tts": (ports[8], "free", None, "(default)"),
    }
    assert data["web"]["pid"] == served.process.pid
    shown = claracore(served.folder, "ports", "--listen", listen)
    assert shown.returncode == 0
    assert f"{ports[0]}  chat   (default)  serving" in shown.stdout


def test_a_server_elsewhere_is_found_by_itself(served: Instance) -> None:
    data = json.loads(claracore(served.folder, "ports", "--json").stdout)
    assert data == served.ask("GET", "/api/ports").json


def test_the_server_says_why(served: Instance, ports: range) -> None:
    def why(port: int) -> str:
        answer = served.ask("GET", f"/api/ports/{port}")
        assert answer.status == 200, answer.body
        return "\n".join([answer.json["sentence"], *answer.json["reasons"]])

    its = served.running()["chat"]["pid"]
    assert f'port {ports[0]} is taken by the server of model "chat" (pid {its})' in why(ports[0])
    assert f'is held by ClaraCore (pid {served.process.pid}) for model "code"' in why(ports[1])
    assert f"port {ports[9]} is taken by ClaraCore (pid {served.process.pid})" in why(ports[9])
    assert f"port {ports[6]} is free\nit lies in the range" in why(ports[6])
    with stranger(ports[6]) as holder:
        assert f"port {ports[6]} is taken by python (pid {holder.pid}, user {USER}, listening on" in why(ports[6])
    assert served.ask("GET", "/api/ports/0").status in {400, 422}
    assert served.ask("GET", "/api/ports/65536").status in {400, 422}


def test_the_command_line_says_which_instance_has_a_port(served: Instance, ports: range) -> None:
    held = claracore(served.folder, "ports", "why", str(ports[1]))
    assert held.returncode == 1
    assert f'is held by ClaraCore (pid {served.process.pid}) for model "code"' in held.stdout
    assert f"(so says the ClaraCore that runs at {served.url})" in held.stdout
    serving = claracore(served.folder, "ports", "why", str(ports[0]))
    assert serving.returncode == 1
    assert (
        f"(pid {served.running()['chat']['pid']}, user {USER}, listening on 127.0.0.1:{ports[0]} for" in serving.stdout
    )
    assert 'is taken by the server of model "chat"' in serving.stdout
