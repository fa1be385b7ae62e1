"""A model keeps its port when others come, go or are renamed (P6); and models that need no port at all."""

from __future__ import annotations

import stat
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from claracore.host.sockets.kernel import sockets_on
from e2e.instance import Instance, configured, fake, instance
from e2e.ports import claracore, sharing_engine
from fakes.ports import free_run

CLARACORE = str(Path(sys.executable).with_name("claracore"))


def text(ports: range, *models: str) -> str:
    rows = "".join(f"  {name}: {{cmd: '{fake()}'}}\n" for name in models)
    group = f"groups:\n  all: {{swap: false, members: [{', '.join(models)}]}}\n"
    return f"startPort: {ports.start}\nmodels:\n{rows}{group}"


def given(running: Instance) -> Mapping[str, int]:
    rows = running.ask("GET", "/api/ports").json["ports"]
    return {row["model"]: row["port"] for row in rows if row["model"] is not None}  # others may listen nearby


def test_renaming_and_removing_moves_nobody_across_reloads_and_restarts(tmp_path: Path) -> None:
    ports = free_run(8)
    config = configured(tmp_path, text(ports, "alpha", "beta", "gamma"))
    with instance(tmp_path, "--config", str(config)) as running:
        before = {"alpha": ports[0], "beta": ports[1], "gamma": ports[2]}
        assert given(running) == before
        assert all(running.chat(model).status == 200 for model in before)
        pid = running.running()["gamma"]["pid"]
        config.write_text(text(ports, "aaa", "alpha", "delta", "gamma"))
        running.line("added: aaa, delta; removed: beta")
        running.line("model beta: stopped")
        assert given(running) == {"aaa": ports[3], "alpha": ports[0], "delta": ports[4], "gamma": ports[2]}
        assert running.running()["gamma"]["pid"] == pid
    with instance(tmp_path, "--config", str(config)) as running:
        assert given(running) == {"aaa": ports[3], "alpha": ports[0], "delta": ports[4], "gamma": ports[2]}
        config.write_text(text(ports, "aaa", "alpha", "beta", "delta", "gamma"))
        running.line("added: beta")
        assert given(running)["beta"] == ports[1]
        assert running.chat("beta").status == 200
    (tmp_path / "state" / "claracore" / "ports.json").unlink()
    assert claracore(tmp_path, "ports").stdout.count(f"{ports[0]}  aaa") == 1


def test_a_model_on_a_unix_socket_uses_no_port_and_nobody_elses_socket(tmp_path: Path) -> None:
    ports = free_run(4)
    cmd = f"{sharing_engine(tmp_path)} --host ${{SOCKET}}"
    config = configured(
        tmp_path,
        f"startPort: {ports.start}\nmodels:\n  a: {{transport: unix, cmd: '{cmd}'}}\n  b: {{cmd: '{fake()}'}}\n",
    )
    for _ in range(2):  # the second time over what a killed server has left
        with instance(tmp_path, "--config", str(config)) as running:
            assert running.chat("a").json["echo"]["pid"] == running.running()["a"]["pid"]
            (path,) = (tmp_path / "state").rglob("a-*.sock")
            assert stat.S_ISSOCK(path.stat().st_mode)
            assert path.parent.stat().st_mode & 0o077 == 0
            assert not any(sockets_on(port) for port in ports)
            assert given(running) == {"b": ports[0]}


def test_the_embedded_engine_serves_on_a_unix_socket(tmp_path: Path, smollm2: Path) -> None:
    cmd = f"{CLARACORE} engine --host ${{SOCKET}} -m {smollm2} -c 512 --threads 1 --no-warmup"
    config = configured(tmp_path, f"models:\n  a: {{transport: unix, cmd: '{cmd}'}}\n")
    with instance(tmp_path, "--config", str(config)) as running:
        answer = running.chat("a", max_tokens=4)
        assert answer.status == 200, answer.body
        assert answer.json["choices"][0]["message"]["content"]
        assert list((tmp_path / "state").rglob("a-*.sock"))


@pytest.mark.parametrize("words", [("llama-server",), (CLARACORE, "engine")])
def test_the_embedded_engine_takes_over_the_held_port(tmp_path: Path, smollm2: Path, words: tuple[str, ...]) -> None:
    ports = free_run(4)
    cmd = f"{' '.join(words)} --port ${{PORT}} -m {smollm2} -c 512 --threads 1 --no-warmup"
    config = configured(tmp_path, f"startPort: {ports.start}\nmodels:\n  a: {{cmd: '{cmd}'}}\n")
    with instance(tmp_path, "--config", str(config)) as running:
        for _ in range(2):
            assert running.chat("a", max_tokens=4).status == 200
            assert running.running()["a"]["port"] == ports[0]
            assert "--reuse-port" in running.children()[-1].cmdline()
            assert running.ask("POST", "/api/models/unload/a").status == 200
