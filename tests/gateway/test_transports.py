"""Every kind of socket on both sides: TLS, IPv6, Unix; and clients that end them early."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from claracore.core.config.model import Config
from claracore.errors import ModelFailed
from claracore.http.gateway.server import Doorway, Gateway, serve
from claracore.types import Endpoint
from gateway.stand import ModelServer, Notebook, StandIn, answers, config, model_server, no_app, play, post, stage

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ASK = b'{"model":"smol"}'


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that signs itself, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(made, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@asynccontextmanager
async def open_port(
    configuration: Config, supervisor: StandIn, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A gateway on a free port of `host`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    port = int(listener.getsockname()[1])
    gateway = Gateway(configuration, supervisor=supervisor, app=no_app, observer=Notebook())
    stop = asyncio.Event()
    serving = asyncio.create_task(
        serve(Doorway([listener], gateway, tls), gateway=gateway, stop=stop, drain_seconds=0.05)
    )
    try:
        yield port
    finally:
        stop.set()
        await serving
        assert not supervisor.serving


async def read_answer(host: str, port: int, request: bytes, **more: Any) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, **more)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


def test_an_https_model_server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")

    async def conversation() -> None:
        seen: list[bytes] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(len(ASK))
            writer.write(OK)
            await reader.read()
            writer.close()

        listening = await asyncio.start_server(script, "127.0.0.1", 0, ssl=server_side(certificate))
        port = listening.sockets[0].getsockname()[1]
        supervisor = StandIn(smol=Endpoint("127.0.0.1", port))
        async with stage(config(smol={"cmd": "", "proxy": f"https://localhost:{port}"}), supervisor) as here:
            assert (await here.say(post("/v1/completions", ASK))).endswith(b"{}")
            assert len(here.gateway.relay.pool.connections) == 1
        listening.close()
        assert seen[0].startswith(b"POST /v1/completions HTTP/1.1\r\n")

    play(conversation)


def test_an_https_model_server_that_nobody_vouches_for(certificate: Path) -> None:
    async def conversation() -> None:
        listening = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0, ssl=server_side(certificate))
        port = listening.sockets[0].getsockname()[1]
        supervisor = StandIn(smol=Endpoint("127.0.0.1", port))
        async with stage(config(smol={"cmd": "", "proxy": f"https://localhost:{port}"}), supervisor) as here:
            answer = await here.say(post("/v1/completions", ASK))
            assert answer.startswith(b"HTTP/1.1 502 ")
            assert b"certificate" in answer
            assert supervisor.finished == [1]
        listening.close()

    play(conversation)


def test_ipv6_in_front() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server:
            async with open_port(config(smol={}), StandIn(smol=server.endpoint), host="::1") as port:
                assert (await read_answer("::1", port, post("/v1/completions", ASK))).endswith(b"{}")
            assert b"X-Forwarded-For: ::1\r\n" in server.seen[0]

    play(conversation)


def test_an_ipv6_model_server() -> None:
    async def conversation() -> None:
        server = ModelServer()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read_request(reader)
            writer.write(OK)
            await reader.read()
            writer.close()

        listening = await asyncio.start_server(script, "::1", 0)
        port = listening.sockets[0].getsockname()[1]
        async with stage(config(smol={}), StandIn(smol=Endpoint("::1", port))) as here:
            assert (await here.say(post("/v1/completions", ASK))).endswith(b"{}")
        listening.close()
        assert b"Host: [::1]:%d\r\n" % port in server.seen[0]

    play(conversation)


def test_a_websocket_over_tls(certificate: Path) -> None:
    async def script(_server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"X-Forwarded-Proto: https\r\n" in head
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        writer.write((await reader.readexactly(3)).upper())
        await reader.read()

    async def conversation() -> None:
        async with (
            model_server(script) as server,
            open_port(config(smol={}), StandIn(smol=server.endpoint), tls=server_side(certificate)) as port,
        ):
            trusting = ssl.create_default_context(cafile=f"{certificate}.crt")
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="localhost")
            writer.write(
                b"GET /upstream/smol/ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            writer.write(b"abc")
            assert await reader.readexactly(3) == b"ABC"
            writer.close()
            await server.closed.wait()

    play(conversation)


def test_a_client_that_leaves_in_the_middle_of_an_upload_while_the_model_loads() -> None:
    async def conversation() -> None:
        supervisor = StandIn(smol=None)
        async with stage(config(smol={}), supervisor) as here:
            _, writer = await here.connect()
            request = post("/v1/completions", b'{"model":"smol","image":"' + b"A" * 2_000_000 + b'"}')
            writer.write(request[:500_000])
            await supervisor.came.wait()
            writer.close()
            before = here.gateway.relay.now()
            await supervisor.left.wait()
            assert here.gateway.relay.now() - before < 5
            assert supervisor.finished == [1]
            assert here.notebook.records[0].client_left

    play(conversation)


def test_a_client_that_ends_its_side_has_left_an_exchange_but_gets_a_page() -> None:
    async def conversation() -> None:
        supervisor = StandIn(smol=None)
        async with stage(config(smol={}), supervisor) as here:
            reader, writer = await here.connect()
            writer.write(b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n")
            writer.write_eof()
            assert (await reader.read()).endswith(b"page /page")
            writer.close()
            reader, writer = await here.connect()
            writer.write(post("/v1/completions", ASK))
            await supervisor.came.wait()
            writer.write_eof()
            assert await reader.read() == b""
            assert supervisor.finished == [1]
            writer.close()

    play(conversation)


def test_comfyui_is_loaded_by_its_first_page_only() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server:
            supervisor = StandIn(comfyui_auto=None)
            async with stage(config(comfyui_auto={}), supervisor) as here:

                def get(path: str) -> bytes:
                    return f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()

                assert (await here.say(get("/comfyui"))).startswith(b"HTTP/1.1 308 ")
                assert (await here.say(get("/comfyui/queue"))).startswith(b"HTTP/1.1 409 ")
                reader, writer = await here.connect()
                writer.write(get("/comfyui/"))
                await supervisor.came.wait()
                supervisor.ready("comfyui_auto", server.endpoint)
                assert (await reader.read()).endswith(b"{}")
                writer.close()
                assert (await here.say(get("/comfyui/queue?a=b"))).endswith(b"{}")
                lines = [seen.partition(b"\r\n")[0] for seen in server.seen]
                assert lines == [b"GET / HTTP/1.1", b"GET /queue?a=b HTTP/1.1"]

    play(conversation)


@pytest.mark.parametrize("path", ["/api/prompt", "/prompt"])
def test_comfyui_is_loaded_by_work_for_it(path: str) -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server:
            supervisor = StandIn(comfyui_auto=None)
            async with stage(config(comfyui_auto={}), supervisor) as here:
                head = f"{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                assert (await here.say(f"GET /comfyui{head}\r\n".encode())).startswith(b"HTTP/1.1 409 ")
                reader, writer = await here.connect()
                writer.write(f"POST /comfyui{head}Content-Length: 2\r\n\r\n{{}}".encode())
                await supervisor.came.wait()
                supervisor.ready("comfyui_auto", server.endpoint)
                assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
                assert server.seen[0].startswith(f"POST {path} HTTP/1.1".encode())
                writer.close()

    play(conversation)


def test_comfyui_that_is_not_configured() -> None:
    async def conversation() -> None:
        async with stage(config(), StandIn()) as here:
            answer = await here.say(b"GET /comfyui/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 404 ")
            assert b"comfyui_auto" in answer

    play(conversation)


def test_connections_to_a_model_server_do_not_pile_up() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            for _ in range(20):
                assert (await here.say(post("/v1/completions", ASK))).endswith(b"{}")
            assert server.connections == len(here.gateway.relay.pool.connections) == 1

    play(conversation)


def test_a_failed_load_ends_an_upload() -> None:
    async def conversation() -> None:
        supervisor = StandIn(smol=None)
        async with stage(config(smol={}), supervisor) as here:
            reader, writer = await here.connect()
            body = b'{"model":"smol","image":"' + b"A" * 2_000_000 + b'"}'
            writer.write(post("/v1/completions", body)[:500_000])
            await supervisor.came.wait()
            supervisor.fail("smol", ModelFailed("smol", "exit code 1"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 502 ")
            writer.close()

    play(conversation)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_a_place_in_the_queue_of_a_unix_socket_is_waited_for(tmp_path: Path) -> None:
    """The kernel does so for TCP; a server that computes with its only thread accepts nobody for a while."""

    async def conversation() -> None:
        with socket.socket(socket.AF_UNIX) as server, ExitStack() as clients:
            server.bind(str(tmp_path / "a.sock"))
            server.listen(0)
            with suppress(BlockingIOError):
                while True:
                    client = clients.enter_context(socket.socket(socket.AF_UNIX))
                    client.setblocking(False)
                    client.connect(str(tmp_path / "a.sock"))
            supervisor = StandIn(smol=Endpoint(unix_path=str(tmp_path / "a.sock")))
            async with stage(config(smol={}), supervisor) as here:
                answer = asyncio.create_task(here.say(post("/v1/completions", ASK)))
                await supervisor.came.wait()
                server.setblocking(False)
                loop = asyncio.get_running_loop()
                (await loop.sock_accept(server))[0].close()  # one that had a place
                connection, _ = await loop.sock_accept(server)
                assert await loop.sock_recv(connection, 4) == b"POST"
                await loop.sock_sendall(connection, OK)
                assert (await answer).startswith(b"HTTP/1.1 200 OK")
                connection.close()

    play(conversation)
