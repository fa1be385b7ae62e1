from __future__ import annotations

import json

import pytest

from claracore.host.activity.record import Record
from claracore.host.footprints.summary import nothing_known
from claracore.http.gateway.anthropic_stream import MendedStream, mended_stream
from claracore.http.gateway.contract import PortLimits
from claracore.http.wire.head import parse_response
from claracore.http.wire.sse import EventReader, ServerEvent
from gateway.stand import StandIn, answers, config, model_server, play, post, stage

EVENTS = parse_response(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")[0]
JSON = parse_response(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")[0]
START = b'event: message_start\ndata: {"type":"message_start"}\n\n'
BLOCK = b'event: content_block_start\ndata: {"type":"content_block_start"}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
ERROR = b'event: error\ndata: {"code":400,"message":"no room","type":"exceed_context_size_error"}\n\n'
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def mended(*pieces: bytes) -> bytes:
    edit = MendedStream("m")
    edit.head(EVENTS)
    return b"".join(map(edit.piece, pieces)) + edit.end()


def events_of(stream: bytes) -> list[ServerEvent]:
    return EventReader().feed(stream)


@pytest.mark.parametrize("lacking", [BLOCK + STOP, STOP, b":\n\n" + BLOCK, b": loading\r\n\r\n" + STOP])
def test_a_stream_that_lacks_its_beginning_gets_one(lacking: bytes) -> None:
    for whole in (mended(lacking), mended(*(lacking[at : at + 1] for at in range(len(lacking))))):
        begin, *rest = events_of(whole)
        assert begin.type == "message_start"
        message = json.loads(begin.data)["message"]
        assert (message["role"], message["model"], message["content"]) == ("assistant", "m", [])
        assert rest == events_of(lacking)


@pytest.mark.parametrize(
    "stream",
    [
        START + BLOCK + STOP,
        b":\n\n" + START,
        PING + START,
        b"data: one\n\n" + BLOCK,
        b"",
        b"event",
        b":x",
        b"\n\n" + START,
    ],
)
def test_one_that_has_it_or_is_something_else_stays_as_it_is(stream: bytes) -> None:
    assert mended(stream) == stream
    assert mended(*(stream[at : at + 1] for at in range(len(stream)))) == stream


def test_what_is_complete_goes_on_at_once() -> None:
    edit = MendedStream("m")
    edit.head(EVENTS)
    assert edit.piece(b":\n\n") == b":\n\n"
    assert edit.piece(START) == START
    assert edit.piece(b"event: conte") == b"event: conte"


def test_an_error_in_the_middle_gets_its_shape() -> None:
    stream = START + ERROR
    for whole in (mended(stream), mended(START, ERROR[:30], ERROR[30:]), mended(START, ERROR[:-1], b"\n")):
        _, error = events_of(whole)
        expected = {"type": "invalid_request_error", "message": "no room"}
        assert (error.type, json.loads(error.data)) == ("error", {"type": "error", "error": expected})
    ours = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"x"}}\n\n'
    assert mended(START, ours) == START + ours
    assert mended(START, b"event: error\ndata: no json\n\n") == START + b"event: error\ndata: no json\n\n"


def test_an_error_gets_its_shape_wherever_it_is_cut() -> None:
    stream = START + BLOCK + ERROR
    cut = {mended(stream[:at], stream[at:]) for at in range(1, len(stream))}
    assert cut == {mended(stream)}
    assert mended(START, b"event: ") == START + b"event: "


def test_what_is_no_stream_is_left_alone() -> None:
    edit = MendedStream("m")
    edit.head(JSON)
    assert edit.piece(STOP) + edit.end() == STOP
    assert mended_stream(Record("POST", "/v1/messages", "", 0.0), nothing_known) is None


def test_a_client_gets_the_whole_stream_also_when_it_has_waited() -> None:
    answer = SSE + b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BLOCK), BLOCK, len(STOP), STOP)
    limits = PortLimits(stream_keep_alive_seconds=0.01)
    request = post("/v1/messages", b'{"model":"m","stream":true}')

    async def story() -> None:
        async with model_server(answers(answer)) as server, stage(config(m={}), StandIn(m=None), limits=limits) as here:
            reader, writer = await here.connect()
            writer.write(request)
            await reader.readuntil(b": loading m\n\n\r\n")
            here.supervisor.ready("m", server.endpoint)
            waited, ready = await reader.read(), await here.say(request)
            for got in (waited, ready):
                assert got.endswith(b"0\r\n\r\n")
                assert got.index(b"event: message_start") < got.index(b"event: content_block_start")
                assert got.count(b"message_stop") == 2
            writer.close()

    play(story)
