"""Who may come in at the public port: keys with models, pages, and how often."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from claracore.errors import Forbidden
from claracore.http.access import keyring
from claracore.http.access.guard import Guard
from claracore.http.access.keyring import KeyRing
from claracore.http.access.keys import NamedKey, Right, digest_of
from claracore.http.access.origins import Origins, Rules, name_in
from claracore.http.gateway.connection import Connection
from claracore.http.gateway.contract import PortLimits
from claracore.http.gateway.server import Doorway, Gateway, serve
from claracore.types import Endpoint
from gateway.stand import Notebook, StandIn, answers, config, model_server, no_app, play, post, stage

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Wire:
    """A transport that leads nowhere."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.written = b""
        self.closed = False

    def get_extra_info(self, name: str) -> Any:
        return (self.address, 1) if name == "peername" else None

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close


def test_one_client_has_so_many_connections_and_others_are_not_concerned() -> None:
    async def conversation() -> None:
        settings = PortLimits(max_connections_per_client=2)
        gateway = Gateway(config(m={}), supervisor=StandIn(m=None), app=no_app, limits=settings)

        def connect(address: str) -> tuple[Connection, Wire]:
            connection, wire = gateway.connection(), Wire(address)
            connection.connection_made(wire)  # type: ignore[arg-type] # has what is needed
            return connection, wire

        opened = [connect("203.0.113.7") for _ in range(3)]
        assert [wire.closed for _, wire in opened] == [False, False, True]
        assert opened[2][1].written.startswith(b"HTTP/1.1 503 ")
        assert b"too_many_connections" in opened[2][1].written
        assert not connect("203.0.113.8")[1].closed
        assert not any(connect("127.0.0.1")[1].closed for _ in range(5))
        for connection, _ in opened:
            connection.connection_lost(None)
        assert not connect("203.0.113.7")[1].closed
        for left in list(gateway.clients.connections):
            cast("Connection", left).connection_lost(None)
        assert not gateway.clients._of_client
        await gateway.drain(0)

    play(conversation)


def named(text: str, *rights: Right, models: frozenset[str] | None = None) -> NamedKey:
    return NamedKey(f"{text}'s", digest_of(text.encode()).hex(), frozenset(rights), models)


def test_keys_are_for_inference_and_for_their_models_and_their_name_is_noted() -> None:
    async def conversation() -> None:
        ring = KeyRing((), [named("guest", Right.INFERENCE, models=frozenset({"m"})), named("boss", Right.ADMIN)])
        async with model_server(answers(OK)) as server:
            supervisor = StandIn(m=server.endpoint, other=Endpoint())
            notebook = Notebook()
            models = config(m={"aliases": ["alias"]}, other={})
            gateway = Gateway(models, supervisor=supervisor, app=no_app, observer=notebook, ring=ring)
            listening = await asyncio.get_running_loop().create_server(gateway.connection, "127.0.0.1", 0)
            port = listening.sockets[0].getsockname()[1]

            async def say(data: bytes) -> bytes:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(data)
                answer = await reader.read()
                writer.close()
                return answer.split(b" ", 2)[1]

            def ask(model: bytes, key: str) -> bytes:
                more = f"Authorization: Bearer {key}\r\n" if key else ""
                return post("/v1/completions", b'{"model":"%b"}' % model, more=more)

            assert await say(ask(b"m", "")) == b"401"
            assert await say(ask(b"m", "guest")) == b"200"
            assert await say(ask(b"alias", "guest")) == b"200"
            assert await say(ask(b"other", "guest")) == b"403"
            assert await say(ask(b"m", "boss")) == b"403"
            upstream = b"GET /upstream/other/x HTTP/1.1\r\nHost: h\r\nX-Api-Key: guest\r\nConnection: close\r\n\r\n"
            assert await say(upstream) == b"403"
            assert [record.key for record in notebook.records if record.status == 200] == ["guest's", "guest's"]
            assert b"guest" not in b"".join(server.seen), "a key of ours is not passed on"
            listening.close()
            await gateway.drain(0)

    play(conversation)


@pytest.mark.parametrize(
    ("path", "more", "status", "hashed"),
    [
        ("/api/models", "X-Api-Key: reader\r\n", b"200", [b"reader"]),
        ("/api/models", "", b"401", []),
        ("/api/config", "Authorization: Bearer reader\r\n", b"403", [b"reader"]),
        ("/health", "Authorization: Bearer theirs\r\n", b"200", [b"theirs"]),
        ("/ui/", "", b"200", []),
    ],
)
def test_a_key_is_looked_up_once_a_call(
    path: str, more: str, status: bytes, hashed: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway finds out whose key it is; the guard, the handlers and the streams go by that."""
    seen: list[bytes] = []

    def counted(key: bytes) -> bytes:
        seen.append(key)
        return digest_of(key)

    async def conversation() -> None:
        ring = KeyRing((), [named("reader", Right.READ)])
        monkeypatch.setattr(keyring, "digest_of", counted)
        gateway = Gateway(config(), supervisor=StandIn(), app=Guard(no_app, ring, Origins(Rules())), ring=ring)
        listening = await asyncio.get_running_loop().create_server(gateway.connection, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n".encode())
        answer = await reader.read()
        writer.close()
        assert answer.split(b" ", 2)[1] == status
        assert seen == hashed
        listening.close()
        await gateway.drain(0)

    play(conversation)


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (b"http://localhost:3000", b"localhost:5800", True),
        (b"http://app.localhost", b"127.0.0.1:5800", True),
        (b"https://[::1]:8443", b"127.0.0.1:5800", True),
        (b"http://192.168.1.5:5800", b"192.168.1.5:5800", True),
        (b"http://192.168.1.6:5800", b"192.168.1.5:5800", False),
        (b"http://box.local", b"box.local", True),
        (b"http://evil.example", b"evil.example", False),
        (b"http://evil.example", b"localhost:5800", False),
        (b"https://chat.example", b"localhost:5800", True),
        (b"http://chat.example", b"localhost:5800", False),
        (b"https://chat.example.evil", b"localhost:5800", False),
        (b"https://ai.example", b"127.0.0.1:5800", True),
        (b"vscode-webview://abc", b"localhost:5800", True),
        (b"file://", b"localhost:5800", False),
        (b"null", b"localhost:5800", False),
        (b"", b"", False),
        (b"http://[", b"localhost", False),
        (b"http://[::1].evil.example", b"localhost", False),
        (b"http://127.0.0.1:1.evil.example", b"localhost", False),
        (b"http://evil.example@localhost", b"localhost", False),
        (b"http://localhost\\evil.example", b"localhost", False),
        (b"http://[localhost]", b"localhost", False),
        (b"http://\xff", b"localhost", False),
    ],
)
def test_pages(origin: bytes, host: bytes, *, allowed: bool) -> None:
    rules = Rules(False, frozenset({"ai.example"}), frozenset({"https://chat.example"}))
    origins = Origins(rules)
    assert origins.allows(origin, host) is allowed
    assert origins.allows(origin, host) is allowed, "and again, from memory"


@pytest.mark.parametrize(
    ("method", "host", "has_key", "refused"),
    [
        (b"GET", b"evil.example:5800", False, True),
        (b"HEAD", b"evil.example", False, True),
        (b"GET", b"evil.example", True, False),
        (b"POST", b"evil.example", False, False),
        (b"GET", b"localhost:5800", False, False),
        (b"GET", b"ai.example", False, False),
        (b"GET", b"", False, False),
    ],
)
def test_a_name_that_suddenly_means_us_reads_no_models(
    method: bytes, host: bytes, *, has_key: bool, refused: bool
) -> None:
    """A page sends GETs to its own site without an Origin; with a POST it would say one, and who says none is none."""
    origins = Origins(Rules(False, frozenset({"ai.example"})))
    with pytest.raises(Forbidden, match="--allowed-host evil") if refused else contextlib.nullcontext():
        assert origins.check(method, {b"host": host}, has_key=has_key) == b""


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("Localhost:5800", "localhost"),
        ("localhost.", "localhost"),
        ("[::1]:5800", "::1"),
        ("[FE80::1%25eth0]", "fe80::1%25eth0"),
        ("127.0.0.1:", "127.0.0.1"),
        ("[::1].evil.example", ""),
        ("[::1]evil.example:80", ""),
        ("127.0.0.1:1.evil.example", ""),
        ("127.0.0.1:80:80", ""),
        ("127.0.0.1:1@evil.example", ""),
        ("localhost/evil.example", ""),
        ("localhost\\.evil.example", ""),
        ("::1", ""),
        ("[localhost]", ""),
        ("[::1", ""),
        (":5800", ""),
        ("", ""),
    ],
)
def test_a_host_is_read_as_a_whole_or_not_at_all(authority: str, name: str) -> None:
    assert name_in(authority) == name


HERE = {b"host": b"localhost:5800"}
LAN = {b"host": b"192.168.1.5:5800"}
NAMED = {b"host": b"ai.example"}
SAME, NEIGHBOUR, CROSS = ({b"sec-fetch-site": site} for site in (b"same-origin", b"same-site", b"cross-site"))


def of(page: bytes) -> dict[bytes, bytes]:
    return {b"referer": page}


@pytest.mark.parametrize(
    ("noted", "refused"),
    [
        (HERE, False),
        (LAN, False),
        (HERE | SAME, False),
        (HERE | {b"sec-fetch-site": b"none"}, False),
        (HERE | CROSS, True),
        (HERE | CROSS | of(b"http://localhost:3000/"), True),
        (LAN | of(b"http://evil.example/page"), True),
        (LAN | of(b"http://evil.example"), True),
        (LAN | of(b"http://192.168.1.6:5800/"), True),
        (LAN | of(b"http://192.168.1.5:5800/ui/models?x#y"), False),
        (LAN | of(b"http://192.168.1.5:5800.evil.example/"), True),
        (LAN | of(b"http://localhost:3000/"), False),
        (LAN | of(b"https://chat.example/c/1"), False),
        (LAN | of(b"https://chat.example.evil/c/1"), True),
        (LAN | of(b"http://[::1].evil.example/"), True),
        (LAN | of(b"nonsense"), True),
        (LAN | of(b"\xff://\xfe"), True),
        (LAN | of(b""), False),
        (HERE | NEIGHBOUR, False),
        (HERE | NEIGHBOUR | of(b"http://localhost:3000/"), False),
        (NAMED | NEIGHBOUR, True),
        (NAMED | NEIGHBOUR | of(b"https://blog.example/"), True),
        (NAMED | NEIGHBOUR | of(b"https://ai.example/ui/"), False),
    ],
)
@pytest.mark.parametrize("has_key", [False, True], ids=["without key", "with key"])
def test_a_get_of_another_page_reaches_no_model(noted: dict[bytes, bytes], *, refused: bool, has_key: bool) -> None:
    """Keys do not matter: a browser that once asked for a password sends it along with every picture."""
    origins = Origins(Rules(False, frozenset({"ai.example"}), frozenset({"https://chat.example"})))
    for method in (b"GET", b"HEAD"):
        with pytest.raises(Forbidden, match="may not use the models") if refused else contextlib.nullcontext():
            assert origins.check(method, noted, has_key=has_key) == b""


def test_programs_may_name_their_home_page() -> None:
    """An SDK that sends a Referer for its statistics is no page: a page's POST has an Origin."""
    assert Origins(Rules()).check(b"POST", HERE | of(b"https://app.example/"), has_key=False) == b""


PICTURE = b"Referer: http://evil.example/\r\n"


@pytest.mark.parametrize(
    "path", ["/upstream/m/", "/upstream/m/picture", "/props?model=m", "/comfyui/", "/v1/audio/voices?model=m"]
)
def test_a_picture_on_a_strange_page_starts_nothing(path: str) -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server:
            supervisor = StandIn(m=server.endpoint, comfyui_auto=server.endpoint)
            async with stage(config(m={}, comfyui_auto={}), supervisor) as here:
                head = f"GET {path} HTTP/1.1\r\nHost: 192.168.1.5\r\nConnection: close\r\n".encode()
                assert (await here.say(head + PICTURE + b"\r\n")).startswith(b"HTTP/1.1 403 ")
                assert supervisor.arrived == 0
                assert (await here.say(head + b"\r\n")).startswith(b"HTTP/1.1 200 ")
                again = await here.say(head + PICTURE + b"\r\n")
                assert again.startswith(b"HTTP/1.1 403 "), "also after one that was allowed"
                assert supervisor.arrived == 1

    play(conversation)


@pytest.mark.parametrize("host", [b"[::1].evil.example", b"127.0.0.1:1.evil.example", b"a:b", b"[", b"x:1:2"])
def test_a_host_that_is_none_is_no_request(host: bytes) -> None:
    async def conversation() -> None:
        async with stage(config(m={}), StandIn(m=Endpoint())) as here:
            assert (await here.say(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)).startswith(b"HTTP/1.1 400 ")

    play(conversation)


def test_what_is_remembered_about_pages_is_bounded() -> None:
    origins = Origins(Rules())
    for number in range(2000):
        origins.allows(b"http://%d.example" % number, b"localhost")
    assert len(origins._decided) <= 256


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("openssl") is None, reason="a certificate is made with openssl")
def test_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*made, "-keyout", key, "-out", certificate, "-days", "1", *subject], check=True, capture_output=True
    )
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificate, key)
    theirs = ssl.create_default_context(cafile=str(certificate))

    async def conversation() -> None:
        import socket

        async with model_server(answers(OK)) as server:
            gateway = Gateway(config(m={}), supervisor=StandIn(m=server.endpoint), app=no_app)
            listener, stop = socket.create_server(("127.0.0.1", 0)), asyncio.Event()
            port = listener.getsockname()[1]
            serving = asyncio.create_task(
                serve(Doorway([listener], gateway, ours), gateway=gateway, stop=stop, drain_seconds=0.1)
            )
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=theirs, server_hostname="localhost")
            writer.write(post("/v1/completions", b'{"model":"m"}'))
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
            writer.close()
            assert b"X-Forwarded-Proto: https" in server.seen[0]
            plain_reader, plain_writer = await asyncio.open_connection("127.0.0.1", port)
            plain_writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert not (await plain_reader.read()).startswith(b"HTTP/1.1")
            plain_writer.close()
            stop.set()
            await serving

    play(conversation)


def test_pages_that_the_configuration_allows_are_allowed_from_its_next_version_on() -> None:
    """Also where the same head was served, or refused, before."""
    page = post("/v1/chat/completions", b'{"model":"m"}', more="Origin: https://chat.example\r\n")

    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            for pages, status in (((), b"403"), (("https://chat.example",), b"200"), ((), b"403")):
                here.gateway.reconfigure(config(m={}).model_copy(update={"cors_origins": pages}))
                for _ in range(2):
                    answer = await here.say(page)
                    assert answer.split(b" ", 2)[1] == status
                    assert (b"Access-Control-Allow-Origin: https://chat.example" in answer) is (status == b"200")

    play(conversation)


def test_why_a_page_is_refused_can_be_read_by_one_that_may_use_the_models() -> None:
    locked = config(m={}).model_copy(update={"api_keys": ("key",)})

    async def conversation() -> None:
        async with stage(locked, StandIn(m=Endpoint())) as here:
            for origin, readable in ((b"http://localhost:3000", True), (b"http://evil.example", False)):
                more = f"Origin: {origin.decode()}\r\n"
                get = "GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more
                for request, status in (
                    (post("/v1/chat/completions", b'{"model":"m"}', more=more), b"401"),
                    (f"{get}x-api-key: key\r\n\r\n".format("/v1/chat/completions").encode(), b"405"),
                    (f"{get}\r\n".format("/v1/models").encode(), b"401"),
                ):
                    answer = await here.say(request)
                    assert answer.split(b" ", 2)[1] == status
                    assert (b"Access-Control-Allow-Origin: " + origin in answer) is readable
                assert b"Access-Control" not in await here.say(f"{get}\r\n".format("/api/models").encode())

    play(conversation)
