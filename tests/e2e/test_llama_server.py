"""The main path on a real llama-server: `make test-llama-server`, with LLAMA_SERVER=/path/to/llama-server or on PATH.

Not part of the normal suite, which runs on the embedded engine: llama.cpp takes long to build.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from claracore.host.engines.find import Unusable, learn
from claracore.host.engines.states import MARK
from e2e.instance import WAIT_SECONDS, Instance, configured, gone, instance, until
from fakes.ports import free_run

SERVER = os.environ.get("CLARACORE_LLAMA_SERVER", "")

pytestmark = pytest.mark.skipif(not SERVER, reason="CLARACORE_LLAMA_SERVER names no llama-server")

SMALL = "smollm2-135m-instruct-q4_1"
OTHER = "gemma-3-270m-q4_k_m"


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which `llama-server` is the one to test."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "llama-server").symlink_to(Path(SERVER).absolute())
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, smollm2: Path, gemma: Path) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for model in (smollm2, gemma):
        shutil.copy(model, folder / model.name)
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, folder: Path, env: dict[str, str]) -> Iterator[Instance]:
    """A ClaraCore that has written its own configuration for both models."""
    with instance(tmp_path_factory.mktemp("run"), "--models-folder", str(folder), env=env) as running:
        yield running


def model(served: Instance, name: str) -> dict[str, Any]:
    return dict(served.ask("GET", f"/api/models/{name}").json)


@contextlib.contextmanager
def events(served: Instance) -> Iterator[list[dict[str, Any]]]:
    """Collect the events about models."""
    heard: list[dict[str, Any]] = []
    connection = served.connect()
    connection.request("GET", "/api/stream?topics=model")
    stream = connection.getresponse()

    def read() -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            heard.extend(json.loads(line[6:]) for line in stream if line.startswith(b"data: "))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield heard
    finally:
        if connection.sock is not None:
            connection.sock.shutdown(2)
        connection.close()
        reader.join(WAIT_SECONDS)


def test_its_abilities_are_read() -> None:
    known = learn(SERVER)
    assert not isinstance(known, Unusable)
    assert known[1].flags >= {"-m", "--port", "--ctx-size", "--parallel", "--threads", "--reuse-port", "--embeddings"}
    assert known[1].tells_state


def test_both_models_answer_in_turn_with_the_flags_that_were_written(served: Instance) -> None:
    loaded = set()
    for name in (SMALL, OTHER, SMALL):
        answer = served.chat(name, max_tokens=4)
        assert answer.status == 200, answer.body
        loaded.add(name)
        assert served.running().keys() == loaded, "memory decides, and both fit"
        assert "llama-server" in model(served, name)["cmd"]
        ports = served.ask("GET", "/api/ports").json["ports"]
        (port,) = (row for row in ports if row["port"] == model(served, name)["port"])
        assert port["state"] == "serving"


def test_how_far_a_load_is_is_told_and_not_logged(served: Instance) -> None:
    served.ask("POST", "/api/models/unload")
    with events(served) as heard:
        assert served.ask("POST", f"/api/models/load/{OTHER}").json["state"] == "ready"
        until(lambda: any(event.get("state") == "ready" for event in heard))
    told = [event["progress"] for event in heard if event.get("state") == "starting"]
    known = [progress for progress in told if progress is not None]
    assert known == sorted(known)
    assert 0.0 < known[-1] < 1.0  # the context is still to be made
    log = served.ask("GET", f"/api/logs?source={OTHER}").body.decode()
    assert "model loaded" in log
    assert MARK not in log


def test_a_stream_whose_reader_leaves_ends_in_the_engine(served: Instance) -> None:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model=SMALL,
            messages=[{"role": "user", "content": "Tell me a long story."}],
            max_tokens=4_000,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        assert next(iter(stream)).choices
        stream.close()
    until(lambda: not any(slot["is_processing"] for slot in served.ask("GET", f"/upstream/{SMALL}/slots").json))
    until(lambda: served.ask("GET", "/api/requests").json["requests"] == [])


def test_one_that_somebody_else_ends_is_started_again(served: Instance) -> None:
    assert served.chat(SMALL, max_tokens=2).status == 200
    process = psutil.Process(model(served, SMALL)["pid"])
    process.terminate()
    assert gone([process])
    until(lambda: model(served, SMALL)["state"] == "stopped")
    assert served.chat(SMALL, max_tokens=2).status == 200


def test_other_shapes(tmp_path: Path, env: dict[str, str], smollm2: Path) -> None:
    """Embeddings, a Unix socket, a server that sleeps, and a flag that it does not know."""
    flags = f"-m {smollm2} -c 512 -np 1"
    config = configured(
        tmp_path,
        f"""startPort: {free_run(8).start}
models:
  embed: {{cmd: "llama-server --port ${{PORT}} {flags} --embeddings --pooling mean"}}
  socket: {{transport: unix, cmd: "llama-server --host ${{SOCKET}} {flags}"}}
  sleepy: {{cmd: "llama-server --port ${{PORT}} {flags} --sleep-idle-seconds 1"}}
  wrong: {{cmd: "llama-server --port ${{PORT}} {flags} --no-such-flag"}}
groups:
  all: {{swap: false, members: [embed, socket, sleepy, wrong]}}
""",
    )
    with instance(tmp_path, "--config", str(config), env=env) as running:
        data = running.ask("POST", "/v1/embeddings", {"model": "embed", "input": ["hello", "world"]}).json["data"]
        assert [len(row["embedding"]) for row in data] == [576, 576]
        assert running.chat("socket", max_tokens=2).status == 200
        assert model(running, "socket")["endpoint"].startswith("unix:")
        assert running.chat("sleepy", max_tokens=2).status == 200
        until(lambda: bool(model(running, "sleepy")["asleep"]))
        assert running.chat("sleepy", max_tokens=2).status == 200
        answer = running.chat("wrong")
        assert answer.status == 502
        assert "--no-such-flag" in answer.message
        assert running.ask("POST", "/api/models/unload").status == 200
        assert running.children() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_its_end_leaves_no_process_behind(
    tmp_path: Path, folder: Path, env: dict[str, str], number: signal.Signals
) -> None:
    with instance(tmp_path, "--models-folder", str(folder), env=env) as running:
        assert running.chat(SMALL, max_tokens=2).status == 200
        children = running.children()
        assert children
        assert running.end(number) == (-9 if number == signal.SIGKILL else 0), running.lines
        assert gone(children)
