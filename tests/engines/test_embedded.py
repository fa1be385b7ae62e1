"""The embedded engine as a process, with the real model (engines/embedded.py)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claracore.errors import ModelFailed
from claracore.host.supervisor.child import Exit
from claracore.host.supervisor.health import ReadyDeadline, wait_until_ready
from claracore.types import Endpoint
from fakes.running import line_with, on_uvloop, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from claracore.host.logs.output import OutputRing
    from claracore.host.supervisor.child import Child

pytest.importorskip("xllamacpp")

MODEL = Path(__file__).resolve().parents[2] / ".models" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
ENGINE = (sys.executable, "-P", "-m", "claracore", "engine")
SMALL = ("-m", str(MODEL), "-c", "512", "-np", "1", "--threads", "1", "--no-warmup", "-lv", "3")


@pytest.fixture
def held_port() -> Iterator[int]:
    """A port that this process holds as in PORTS.md fact 2: bound exclusively, then SO_REUSEPORT, never listening."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield holder.getsockname()[1]


@contextlib.asynccontextmanager
async def engine(endpoint: Endpoint, *flags: str) -> AsyncIterator[tuple[Child, OutputRing]]:
    where = ("--host", endpoint.unix_path) if endpoint.unix_path else ("--port", str(endpoint.port))
    async with running(*ENGINE, *SMALL, *where, *flags) as (child, output):
        await wait_until_ready(
            endpoint, "/health", child=child, deadline=ReadyDeadline(50), model="smol", output=output
        )
        yield child, output


async def ask(endpoint: Endpoint, path: str, body: dict[str, Any] | None = None) -> Any:
    if endpoint.unix_path:
        reader, writer = await asyncio.open_unix_connection(endpoint.unix_path)
    else:
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    data = b"" if body is None else json.dumps(body).encode()
    verb = "GET" if body is None else "POST"
    head = f"{verb} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_it_serves_on_a_port_that_we_hold_and_ends_with_sigterm(held_port: int) -> None:
    endpoint = Endpoint(port=held_port)
    flags = ("--reuse-port", "-a", "smol,llm", "--jinja", "-fa", "auto", "-ngl", "0", "--no-webui", "-ctk", "q8_0")

    async def story() -> None:
        async with engine(endpoint, *flags) as (child, output):
            models = await ask(endpoint, "/v1/models")
            assert models["data"][0]["id"] in {"smol", "llm"}
            body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4, "temperature": 0}
            answer = await ask(endpoint, "/v1/chat/completions", body)
            assert answer["choices"][0]["message"]["content"]
            await line_with(output, "server is listening on")
            assert await child.stop(30) == Exit(0, None)

    on_uvloop(story())


def test_it_ends_at_once_with_a_client_that_stays(held_port: int) -> None:
    endpoint = Endpoint(port=held_port)

    async def story() -> None:
        async with engine(endpoint, "--reuse-port") as (child, output):
            await line_with(output, "server is listening on")
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
            body = json.dumps({"prompt": "Once", "n_predict": 400, "stream": True, "ignore_eos": True})
            writer.write(f"POST /completion HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            await reader.readuntil(b"data: ")
            assert await child.stop(30) == Exit(0, None)
            writer.close()

    on_uvloop(story())


def test_it_can_be_ended_while_it_loads() -> None:
    async def story() -> None:
        async with running(*ENGINE, *SMALL, "--port", "0") as (child, output):
            await line_with(output, "load")
            assert await child.stop(30) in {Exit(None, signal.SIGTERM), Exit(0, None)}

    on_uvloop(story())


def test_it_serves_a_unix_socket(tmp_path: Path) -> None:
    endpoint = Endpoint(unix_path=f"{tmp_path}/m.sock")

    async def story() -> None:
        async with engine(endpoint, "--embeddings", "--pooling", "mean") as (child, _):
            answer = await ask(endpoint, "/v1/embeddings", {"input": "hello"})
            assert len(answer["data"][0]["embedding"]) == 576
            assert (await child.stop(30)).code == 0

    on_uvloop(story())


def test_reranking_is_switched_on(held_port: int) -> None:
    endpoint = Endpoint(port=held_port)

    async def story() -> None:
        async with engine(endpoint, "--reuse-port", "--reranking"):
            answer = await ask(endpoint, "/v1/rerank", {"query": "a", "documents": ["a", "b"]})
            assert [result["index"] for result in answer["results"]] == [0, 1]

    on_uvloop(story())


def test_it_ends_when_nobody_holds_its_stdin_any_more() -> None:
    process = subprocess.Popen(
        [*ENGINE, *SMALL, "--port", "0", "--exit-on-stdin-eof"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert b"server is listening on" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def test_a_busy_port_is_recognised() -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as stranger:
            port = stranger.getsockname()[1]
            async with running(*ENGINE, *SMALL, "--port", str(port)) as (child, output):
                endpoint = Endpoint(port=1)
                with pytest.raises(ModelFailed, match=rf"cannot listen on 127.0.0.1:{port}: Address already in use"):
                    await wait_until_ready(
                        endpoint, "/health", child=child, deadline=ReadyDeadline(50), model="smol", output=output
                    )
                assert await child.exited == Exit(1, None)

    on_uvloop(story())


def complaint(*flags: str) -> tuple[int, str]:
    done = subprocess.run(
        [*ENGINE, *flags], capture_output=True, text=True, check=False, timeout=50, stdin=subprocess.DEVNULL
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_wrong_command_lines_and_files_are_named(tmp_path: Path) -> None:
    text = tmp_path / "text.gguf"
    text.write_text("hello")
    assert complaint("--bogus") == (2, "error: unknown flag --bogus (see --help)\n")
    assert complaint("--port", "1") == (1, "error: no model: give one with -m FILE\n")
    assert complaint("-m", "/nowhere.gguf")[1].startswith("error: cannot read model file '/nowhere.gguf': No such")
    assert complaint("-m", str(tmp_path))[1].startswith(f"error: cannot read model file '{tmp_path}': Is a directory")
    code, message = complaint("-m", str(text))
    assert (code, "is not a GGUF file (it starts with 'hell');" in message) == (1, True)
    text.write_bytes(b"")
    assert "is not a GGUF file (it is empty);" in complaint("-m", str(text))[1]
    assert complaint("-m", str(MODEL), "-devd", "CUDA7") == (2, "error: invalid device: CUDA7\n")


def test_a_torn_model_is_an_error_and_not_a_traceback(tmp_path: Path) -> None:
    torn = tmp_path / "torn.gguf"
    shutil.copyfile(MODEL, torn)
    os.truncate(torn, 1_000_000)
    code, message = complaint("-m", str(torn), "--port", "0")
    assert code == 1
    assert "error: the model could not be loaded; the lines above say why" in message


def test_help_and_version() -> None:
    for flag, expected in (("--help", "--reuse-port"), ("--version", "version: ")):
        done = subprocess.run([*ENGINE, flag], capture_output=True, text=True, check=True, timeout=50)
        assert expected in done.stdout
        assert done.stderr == ""


WORKS = """
import hashlib, threading
from claracore.host.engines.embedded import _others_work, await_log
assert not _others_work(), "nobody else is there"
over = threading.Event()
def work():
    while not over.is_set():
        hashlib.sha256(bytes(1 << 20))
thread = threading.Thread(target=work)
thread.start()
while not _others_work():
    pass
over.set()
thread.join()
await_log()
assert not _others_work()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="where the kernel does not tell, it is a matter of time")
def test_an_end_waits_for_threads_that_have_something_to_write() -> None:
    subprocess.run([sys.executable, "-c", WORKS], check=True, timeout=60)
