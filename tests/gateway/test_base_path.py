"""Below a path that a proxy has put before ours."""

from __future__ import annotations

import pytest

from claracore.http.asgi import Scope
from claracore.http.gateway.base_path import BasePath, below, moved
from claracore.http.gateway.heads import Peer, peer_of
from claracore.http.wire.head import RequestHead, request_head
from gateway.stand import Receive, Send, Stage, StandIn, answers, config, model_server, play, post, stage

HERE, LAN, STRANGER = (peer_of((address, 1)) for address in ("127.0.0.1", "192.168.1.9", "203.0.113.7"))
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def head(path: str, prefix: str | None = None) -> RequestHead:
    more = f"X-Forwarded-Prefix: {prefix}\r\n" if prefix is not None else ""
    return request_head(f"GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())[0]


@pytest.mark.parametrize(
    ("peer", "prefix", "base"),
    [
        (HERE, None, b"/set"),
        (HERE, "/llm", b"/llm"),
        (HERE, "/a/b/", b"/a/b"),
        (HERE, "/", b""),
        (peer_of("/run/proxy.sock"), "/llm", b"/llm"),
        (LAN, "/llm", b"/llm"),
        (STRANGER, "/llm", b"/set"),
        (peer_of(("192.168.2.1", 1)), "/llm", b"/set"),
        (HERE, "//evil.example", b"/set"),
        (HERE, "/a/../b", b"/set"),
        (HERE, "/a/.", b"/set"),
        (HERE, "llm", b"/set"),
        (HERE, "/<script>", b"/set"),
        (HERE, '/a"b', b"/set"),
        (HERE, "/a, /b", b"/set"),
        (HERE, "https://evil.example/", b"/set"),
    ],
)
def test_who_may_say_it_and_what_it_may_be(peer: Peer, prefix: str | None, base: bytes) -> None:
    path = BasePath()
    path.configure("/set", ["192.168.1.0/24"])
    assert path.of(head("/", prefix), peer) == base


def test_the_command_line_counts_before_the_configuration() -> None:
    path = BasePath("/chosen")
    path.configure("/set", [])
    assert path.of(head("/"), STRANGER) == b"/chosen"


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/llm", "/"),
        ("/llm/", "/"),
        ("/llm/v1/models", "/v1/models"),
        ("/v1/models", "/v1/models"),
        ("/llmx/v1", "/llmx/v1"),
        ("/llm/llm/v1", "/llm/v1"),
    ],
)
def test_a_proxy_may_leave_the_path_or_take_it_off(path: str, ours: str) -> None:
    assert below(head(path), b"/llm").path.decode() == ours


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        (b"/ui/", b"/llm/ui/"),
        (b"http://box:5800/api/models", b"/llm/api/models"),
        (b"https://BOX:5800", b"/llm/"),
        (b"https://elsewhere.example/x", b"https://elsewhere.example/x"),
        (b"//elsewhere.example/x", b"//elsewhere.example/x"),
        (b"next", b"next"),
    ],
)
def test_where_a_redirect_leads(location: bytes, seen: bytes) -> None:
    assert moved(location, b"box:5800", b"/llm") == seen


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Say what was asked, or lead elsewhere."""
    leads = scope["path"] == "/"
    headers = [(b"location", b"/ui/")] if leads else []
    await send({"type": "http.response.start", "status": 302 if leads else 200, "headers": headers})
    await send({"type": "http.response.body", "body": f"{scope['path']} {scope['state']['base_path']}".encode()})


async def get(here: Stage, path: str, more: str = "") -> tuple[int, bytes]:
    answer = await here.say(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n".encode())
    first, _, body = answer.partition(b"\r\n\r\n")
    location = [line[10:] for line in first.split(b"\r\n") if line.startswith(b"Location: ")]
    return int(first.split(b" ", 2)[1]), location[0] if location else body


@pytest.mark.parametrize("left_there", [True, False], ids=["path left there", "path taken off"])
@pytest.mark.parametrize("said_by", ["configuration", "proxy"])
def test_everything_below_a_path(said_by: str, *, left_there: bool) -> None:
    """Whoever says it, and whether or not the proxy takes it off."""

    async def conversation() -> None:
        async with (
            model_server(answers(OK)) as server,
            stage(config(m={}), StandIn(m=server.endpoint), app=app) as here,
        ):
            if said_by == "configuration":
                here.gateway.reconfigure(config(m={}).model_copy(update={"base_path": "/llm"}))
            more = "" if said_by == "configuration" else "X-Forwarded-Prefix: /llm\r\n"
            path = "/llm" if left_there else ""
            assert await get(here, f"{path}/", more) == (302, b"/llm/ui/")
            assert await get(here, f"{path}/ui/models", more) == (200, b"/ui/models /llm")
            assert await get(here, f"{path}/upstream", more) == (302, b"/llm/ui/models")
            assert await get(here, f"{path}/upstream/m", more) == (301, b"/llm/upstream/m/")
            assert await get(here, f"{path}//v1/models/", more) == (200, b"/v1/models /llm")
            for _ in range(2):
                answer = await here.say(post(f"{path}/v1/chat/completions", b'{"model":"m"}', more=more))
                assert answer.startswith(b"HTTP/1.1 200 ")
            assert server.seen[-1].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")

    play(conversation)
