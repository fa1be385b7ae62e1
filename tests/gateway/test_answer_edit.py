"""A step that changes an answer on its way: the head, every piece, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from claracore.host.activity.captures import Captures
from claracore.host.activity.record import Record
from claracore.host.footprints.summary import AboutModel
from claracore.http.gateway import routes
from claracore.http.gateway.heads import with_headers
from claracore.http.gateway.routes import Route
from claracore.http.wire.head import ResponseHead
from gateway.stand import ModelServer, Stage, StandIn, answers, config, model_server, play, post, stage

BODY = b'{"model":"m"}'
STREAMED = b'{"model":"m","stream":true}'
SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\nX-Theirs: 1\r\n\r\none two"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\none\r\n4\r\n two\r\n0\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\none two"


made: list[Words] = []


class Words:
    """Writes each word on a line of its own, in capitals, and counts them at the end."""

    def __init__(self, record: Record, _about: AboutModel) -> None:
        self.asked = (record.requested, record.stream)
        made.append(self)
        self.rest = b""
        self.count = 0

    def head(self, head: ResponseHead) -> ResponseHead:
        return with_headers(head, {b"content-type": b"application/x-words", b"x-theirs": None, b"x-ours": b"2"})

    def piece(self, data: bytes) -> bytes:
        *words, self.rest = (self.rest + data).split(b" ")
        return b"".join(map(self._line, words))

    def end(self) -> bytes:
        return self._line(self.rest) + b"%d words\n" % self.count

    def _line(self, word: bytes) -> bytes:
        self.count += 1
        return word.upper() + b"\n"


@pytest.fixture(autouse=True)
def edited_route(monkeypatch: pytest.MonkeyPatch) -> None:
    made.clear()
    route = Route("body", b"/v1/completions", answer_edit=Words)
    monkeypatch.setitem(routes.ROUTES, b"/words", {b"POST": route})


def conversation(
    script: Callable[..., Awaitable[None]], then: Callable[[Stage], Awaitable[None]]
) -> Callable[[], Awaitable[None]]:
    async def story() -> None:
        async with model_server(script) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            await then(here)

    return story


async def closing(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read_request(reader)
    writer.write(UNTIL_CLOSE)


@pytest.mark.parametrize(
    "script", [answers(SIZED), answers(CHUNKED), closing], ids=["sized", "chunked", "until it closes"]
)
def test_head_pieces_and_end_are_changed_and_the_connection_goes_on(script: Callable[..., Awaitable[None]]) -> None:
    async def then(here: Stage) -> None:
        reader, writer = await here.connect()
        for _ in range(2):
            writer.write(post("/words", BODY, connection="keep-alive"))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\nContent-Type: application/x-words\r\n" in head
            assert b"\r\nX-Ours: 2\r\n" in head
            assert head.count(b"\r\nTransfer-Encoding: chunked\r\n") == 1
            assert b"Content-Length" not in head
            assert b"X-Theirs" not in head
            body = b""
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                assert await reader.readline() == b"\r\n"
            assert await reader.readline() == b"\r\n"
            assert body == b"ONE\nTWO\n2 words\n"
        writer.close()
        assert [record.status for record in here.notebook.records] == [200, 200]
        assert here.notebook.records[0].response_bytes == len("one two")

    play(conversation(script, then))


def test_a_client_of_the_first_version_reads_until_the_connection_closes() -> None:
    async def then(here: Stage) -> None:
        answer = await here.say(post("/words", BODY).replace(b"HTTP/1.1", b"HTTP/1.0"))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"Transfer-Encoding" not in head
        assert b"Content-Length" not in head
        assert b"\r\nConnection: close" in head
        assert body == b"ONE\nTWO\n2 words\n"

    play(conversation(answers(CHUNKED), then))


def test_an_answer_without_a_body_stays_without_one() -> None:
    async def then(here: Stage) -> None:
        answer = await here.say(post("/words", BODY))
        assert answer.startswith(b"HTTP/1.1 204 No Content\r\n")
        [record] = here.notebook.records
        assert answer.endswith(b"X-Ours: 2\r\nConnection: close\r\nX-Request-Id: %b\r\n\r\n" % record.request_id)

    play(conversation(answers(b"HTTP/1.1 204 No Content\r\n\r\n"), then))


def test_one_that_breaks_off_breaks_the_connection() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(CHUNKED.removesuffix(b"4\r\n two\r\n0\r\n\r\n") + b"4\r\n two\r\n")

    async def then(here: Stage) -> None:
        reader, writer = await here.connect()
        writer.write(post("/words", BODY))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readuntil(b"2 words")
        writer.close()
        assert "broke off" in here.notebook.records[0].error

    play(conversation(script, then))


def test_a_stream_of_another_shape_hears_nothing_while_its_model_loads() -> None:
    async def story() -> None:
        async with (
            model_server(answers(CHUNKED)) as server,
            stage(config(m={"sendLoadingState": True}), StandIn(m=None)) as here,
        ):
            answer = asyncio.create_task(here.say(post("/words", STREAMED)))
            await here.supervisor.came.wait()
            here.supervisor.ready("m", server.endpoint)
            assert b"loading" not in await answer
            assert [words.asked for words in made] == [("m", True)]
            assert (await answer).endswith(b"\r\n0\r\n\r\n")

    play(story)


def test_what_is_captured_is_what_the_client_got() -> None:
    async def then(here: Stage) -> None:
        here.gateway.relay.captures = Captures(1 << 20)
        await here.say(post("/words", BODY))
        [record] = here.notebook.records
        assert record.capture is not None
        assert record.capture.response.data == b"ONE\nTWO\n2 words\n"
        assert ("content-type", "application/x-words") in record.capture.response_headers

    play(conversation(answers(CHUNKED), then))
