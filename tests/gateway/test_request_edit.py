"""A request of another API: what the model server gets instead, and answers for which it is not asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from claracore.errors import BadRequest
from claracore.host.activity.captures import Captures
from claracore.host.activity.record import Record
from claracore.http.gateway import routes
from claracore.http.gateway.contract import OwnAnswer, PortLimits, ServerCall
from claracore.http.gateway.routes import Route
from claracore.http.wire.head import ResponseHead
from gateway.stand import Stage, StandIn, answers, config, model_server, play, post, stage

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
HALF_A_MEGABYTE = 1 << 19


class Shout:
    """The answer in capitals."""

    def head(self, head: ResponseHead) -> ResponseHead:
        return head

    def piece(self, data: bytes) -> bytes:
        return data.upper()

    def end(self) -> bytes:
        return b""


def translated(body: bytes, record: Record) -> ServerCall | OwnAnswer:
    """What is to be said goes to one of two paths; without it the model is only loaded, or let go."""
    asked = json.loads(body)
    keep = asked.get("keep")
    if "say" not in asked:
        return OwnAnswer(lambda: b'{"loaded":true}', loads=keep != 0, keep_seconds=keep)
    if not isinstance(asked["say"], str):
        raise BadRequest("'say' must be text", param="say")
    record.stream = True
    path = b"/v1/shouts" if asked.get("shout") else b"/v1/words"
    text = json.dumps({"model": record.requested, "prompt": asked["say"]}).encode()
    return ServerCall(path, text, Shout(), keep_seconds=keep)


@pytest.fixture(autouse=True)
def edited_route(monkeypatch: pytest.MonkeyPatch) -> None:
    route = Route("body", b"/not/asked", request_edit=translated)
    monkeypatch.setitem(routes.ROUTES, b"/say", {b"POST": route})


def asked(**members: Any) -> bytes:
    return post("/say", json.dumps({"model": "m", **members}).encode())


def with_server(
    then: Callable[[Stage, list[bytes]], Awaitable[None]], limits: PortLimits | None = None, **model: Any
) -> Callable[[], Awaitable[None]]:
    async def story() -> None:
        async with (
            model_server(answers(ANSWER)) as server,
            stage(config(m=model), StandIn(m=server.endpoint), limits=limits) as here,
        ):
            await then(here, server.seen)

    return story


@pytest.mark.parametrize(("shout", "path"), [(True, b"/v1/shouts"), (False, b"/v1/words")])
def test_path_and_body_are_what_the_edit_says_and_so_is_the_answer(shout: bool, path: bytes) -> None:  # noqa: FBT001
    async def then(here: Stage, seen: list[bytes]) -> None:
        answer = await here.say(asked(say="hi", shout=shout))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"HELLO" in answer
        assert seen[0].startswith(b"POST " + path + b" HTTP/1.1\r\n")
        assert seen[0].endswith(b'\r\n\r\n{"model": "m", "prompt": "hi"}')
        [record] = here.notebook.records
        assert (record.path, record.status, record.stream, record.error) == ("/say", 200, True, "")

    play(with_server(then))


def test_the_two_paths_may_come_over_one_connection_with_one_head() -> None:
    async def then(here: Stage, seen: list[bytes]) -> None:
        reader, writer = await here.connect()
        for say, shout in (("a", True), ("b", False), ("c", True)):
            body = json.dumps({"model": "m", "say": say, "shout": shout or None}).encode().ljust(64)
            writer.write(post("/say", body, connection="keep-alive"))
            await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()
        assert [each.split(b" ")[1] for each in seen] == [b"/v1/shouts", b"/v1/words", b"/v1/shouts"]

    play(with_server(then))


def test_the_filters_of_the_model_edit_what_its_server_gets() -> None:
    async def then(here: Stage, seen: list[bytes]) -> None:
        await here.say(asked(say="hi"))
        assert seen[0].startswith(b"POST /base/v1/words HTTP/1.1\r\n")
        assert seen[0].endswith(b'{"model": "theirs", "prompt": "hi","seed":7}')

    filters = {"setParams": {"seed": 7}}
    play(with_server(then, useModelName="theirs", filters=filters, proxy="http://127.0.0.1:1/base"))


def test_what_the_client_says_of_its_own_body_and_answer_is_not_passed_on() -> None:
    async def then(here: Stage, seen: list[bytes]) -> None:
        body = b'{"model":"m","say":"hi"}'
        head = (
            b"POST /say?x=1 HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 24\r\nX-Kept: 1\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nAccept: text/odd\r\nAccept-Encoding: gzip\r\n\r\n"
        )
        await here.say(head + body)
        lines = seen[0].partition(b"\r\n\r\n")[0].split(b"\r\n")
        assert lines[0] == b"POST /v1/words HTTP/1.1"
        assert b"X-Kept: 1" in lines
        assert b"Content-Type: application/json" in lines
        assert not [line for line in lines if line.lower().startswith((b"accept", b"content-type: application/x"))]

    play(with_server(then))


def test_a_body_without_a_label_in_chunks_and_a_long_one_are_taken_whole() -> None:
    async def then(here: Stage, seen: list[bytes]) -> None:
        text = "x" * HALF_A_MEGABYTE
        for head, body in (
            (b"Transfer-Encoding: chunked\r\n", b'b\r\n{"model":"m\r\nc\r\n","say":"y"}\r\n0\r\n\r\n'),
            (b"Content-Length: %d\r\n" % (HALF_A_MEGABYTE + 22), b'{"model":"m","say":"%b"}' % text.encode()),
        ):
            answer = await here.say(
                b"POST /say HTTP/1.1\r\nHost: here\r\nConnection: close\r\n" + head + b"\r\n" + body
            )
            assert b"HELLO" in answer
        assert seen[0].endswith(b'\r\n\r\n{"model": "m", "prompt": "y"}')
        assert b"transfer-encoding" not in seen[0].lower()
        assert seen[1].endswith(f'{{"model": "m", "prompt": "{text}"}}'.encode())

    play(with_server(then))


def test_what_the_edit_refuses_is_the_clients_error() -> None:
    async def then(here: Stage, seen: list[bytes]) -> None:
        answer = await here.say(asked(say=7))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"'say' must be text" in answer
        assert not seen
        assert here.notebook.records[0].status == 400

    play(with_server(then))


def test_a_request_for_a_ready_model_alone_is_answered_when_it_is_ready() -> None:
    async def story() -> None:
        async with (
            model_server(answers(ANSWER)) as server,
            stage(config(m={}), StandIn(m=None)) as here,
        ):
            here.gateway.relay.captures = Captures(1 << 20)
            answer = asyncio.create_task(here.say(asked(keep=60)))
            await here.supervisor.came.wait()
            assert not answer.done()
            here.supervisor.ready("m", server.endpoint)
            head, _, body = (await answer).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            assert body == b'{"loaded":true}'
            assert server.connections == 0
            assert here.supervisor.kept == {"m": 60}
            [record] = here.notebook.records
            assert (record.model, record.status, record.waited_for_load) == ("m", 200, True)
            assert record.capture is not None
            assert record.capture.response.data == b'{"loaded":true}'

    play(story)


def test_the_connection_goes_on_after_an_answer_of_our_own() -> None:
    async def then(here: Stage, seen: list[bytes]) -> None:
        reader, writer = await here.connect()
        for _ in range(3):
            writer.write(post("/say", b'{"model":"m"}', connection="keep-alive"))
            await reader.readuntil(b'{"loaded":true}')
        writer.close()
        assert not seen
        assert len(here.supervisor.finished) == 3

    play(with_server(then))


def test_a_request_that_needs_no_model_waits_for_none_and_loads_none() -> None:
    async def story() -> None:
        async with stage(config(m={}), StandIn(m=None)) as here:
            assert b'{"loaded":true}' in await here.say(asked(keep=0))
            assert here.supervisor.arrived == 0
            assert here.supervisor.kept == {"m": 0}
            assert [(record.model, record.status) for record in here.notebook.records] == [("m", 200)]

    play(story)


def test_a_client_that_leaves_while_its_model_loads_is_forgotten() -> None:
    async def story() -> None:
        async with stage(config(m={}), StandIn(m=None)) as here:
            _, writer = await here.connect()
            writer.write(asked(keep=60))
            await here.supervisor.came.wait()
            writer.transport.abort()
            await here.supervisor.left.wait()
            assert here.notebook.records[0].client_left

    play(story)


def test_a_request_keeps_its_model_as_soon_as_it_is_served() -> None:
    async def then(here: Stage, seen: list[bytes]) -> None:
        await here.say(asked(say="hi"))
        assert not hasattr(here.supervisor, "kept")
        await here.say(asked(say="hi", keep=5))
        assert here.supervisor.kept == {"m": 5}
        assert len(seen) == 2

    play(with_server(then))
