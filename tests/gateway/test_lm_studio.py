from __future__ import annotations

import json
from typing import Any

import pytest

from claracore.host.activity.record import Record
from claracore.host.footprints.summary import ModelSummary, nothing_known
from claracore.http.gateway.lm_studio import WithStats
from claracore.http.wire.head import parse_response
from gateway.stand import StandIn, answers, config, model_server, play, post, stage

EVENTS = parse_response(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")[0]
JSON = parse_response(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")[0]
TIMINGS = {"prompt_ms": 250.0, "predicted_ms": 500.0, "predicted_per_second": 20.0}
ANSWER = {
    "choices": [{"index": 0, "finish_reason": "length", "message": {"content": "a"}}],
    "system_fingerprint": "b11434-abc",
    "timings": TIMINGS,
}


def edit(record: Record | None = None) -> WithStats:
    def about(model_id: str) -> ModelSummary:
        return ModelSummary("llama", "Q4_1", 1024) if model_id == "m" else nothing_known(model_id)

    record = record or Record("POST", "/api/v0/chat/completions", "", 10.0)
    record.model = "m"
    return WithStats(record, about)


def whole(answer: bytes, record: Record | None = None) -> bytes:
    change = edit(record)
    change.head(JSON)
    return change.piece(answer[:9]) + change.piece(answer[9:]) + change.end()


def streamed(*pieces: bytes) -> bytes:
    change = edit()
    change.head(EVENTS)
    return b"".join(map(change.piece, pieces)) + change.end()


def event(**data: Any) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def choice(finish_reason: str | None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": {}, "finish_reason": finish_reason}]


def test_a_whole_answer_tells_how_it_went() -> None:
    told = json.loads(whole(json.dumps(ANSWER).encode()))
    assert {key: told[key] for key in ANSWER} == ANSWER
    assert told["stats"] == {
        "tokens_per_second": 20.0,
        "time_to_first_token": 0.25,
        "generation_time": 0.5,
        "stop_reason": "maxPredictedTokensReached",
    }
    assert told["model_info"] == {"arch": "llama", "quant": "Q4_1", "format": "gguf", "context_length": 1024}
    assert told["runtime"] == {"name": "llama.cpp", "version": "b11434-abc", "supported_formats": ["gguf"]}


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"),
    [("stop", "eosFound"), ("tool_calls", "toolCalls"), (None, "eosFound"), ("odd", "odd")],
)
def test_why_it_stopped(finish_reason: str | None, stop_reason: str) -> None:
    told = json.loads(whole(json.dumps({"choices": choice(finish_reason)}).encode()))
    assert told["stats"]["stop_reason"] == stop_reason


def test_a_server_that_tells_no_times_is_timed_here() -> None:
    record = Record("POST", "/api/v0/completions", "", 10.0)
    record.served_at, record.first_byte_at = 11.0, 11.5
    told = json.loads(whole(b'{"choices":[],"timings":{"predicted_ms":"x"},"usage":7}', record))
    assert told["stats"]["time_to_first_token"] == 0.5
    assert (told["stats"]["tokens_per_second"], told["stats"]["generation_time"]) == (None, None)


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>", b'{"error":{}}', b'{"a":' * 10_000])
def test_what_is_no_answer_stays_as_it_is(answer: bytes) -> None:
    assert whole(answer) == answer


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": 7},
        {"choices": {"a": 1}},
        {"choices": [7, None], "timings": 5, "usage": []},
        {"choices": choice("stop"), "timings": {"predicted_ms": 10**400}},
        {"choices": choice("stop"), "timings": {"predicted_ms": 5}, "usage": {"completion_tokens": 10**400}},
    ],
)
def test_nonsense_breaks_nothing(answer: dict[str, Any]) -> None:
    told = json.loads(whole(json.dumps(answer).encode()))
    assert {key: told[key] for key in answer} == answer
    assert told["stats"]["tokens_per_second"] in (None, 0)
    assert b'"stats"' in streamed(event(**answer), b"data: [DONE]\n\n")


def test_the_last_chunk_of_a_stream_tells_it() -> None:
    first, last = event(choices=choice(None)), event(choices=choice("stop"), timings=TIMINGS)
    stream = first + last + b"data: [DONE]\n\n"
    for out in (streamed(stream), streamed(*(stream[at : at + 1] for at in range(len(stream))))):
        begin, end, done, rest = out.split(b"\n\n")
        assert (begin + b"\n\n", done, rest) == (first, b"data: [DONE]", b"")
        told = json.loads(end.removeprefix(b"data: "))
        assert (told["timings"], told["stats"]["stop_reason"]) == (TIMINGS, "eosFound")
        assert told["model_info"]["quant"] == "Q4_1"


def test_usage_may_come_in_a_chunk_of_its_own() -> None:
    out = streamed(event(choices=choice("stop")), event(choices=[], timings=TIMINGS), b"data: [DONE]\n\n")
    assert [b"stats" in part for part in out.split(b"\n\n")] == [False, True, False, False]


def test_one_without_timings_gets_a_chunk_more() -> None:
    out = streamed(event(choices=choice("length")), b"data: [DONE]\n\n")
    _, more, done, _ = out.split(b"\n\n")
    assert json.loads(more.removeprefix(b"data: "))["stats"]["stop_reason"] == "maxPredictedTokensReached"
    assert done == b"data: [DONE]"


@pytest.mark.parametrize("stream", [b": ping\n\n", b"data: {\n\n", b"event: error\ndata: {}\n\n", b"data: cut", b""])
def test_what_is_no_chunk_passes(stream: bytes) -> None:
    assert streamed(stream) == stream


def test_each_route_asks_the_server_by_its_own_path() -> None:
    body = json.dumps(ANSWER).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def story() -> None:
        async with (
            model_server(answers(head + body)) as server,
            stage(config(m={}), StandIn(m=server.endpoint)) as here,
        ):
            for path in ("chat/completions", "completions", "embeddings"):
                answer = await here.say(post(f"/api/v0/{path}", b'{"model":"m"}'))
                assert (b'"stats"' in answer) is (path != "embeddings")
                assert server.seen[-1].startswith(f"POST /v1/{path} HTTP/1.1".encode())

    play(story)
