"""What requests of Ollama's API ask for, and which are refused."""

from __future__ import annotations

import math

import msgspec
import pytest

from claracore.errors import BadRequest
from claracore.http.wire.ollama_options import sampling
from claracore.http.wire.ollama_wishes import ChatWish, EmbedWish, GenerateWish, OllamaWish, read, seconds_of


@pytest.mark.parametrize(
    ("keep_alive", "seconds"),
    [
        (None, None),
        ("", None),
        (0, 0.0),
        ("0", 0.0),
        ("0s", 0.0),
        ("-0", 0.0),
        (300, 300.0),
        (2.5, 2.5),
        ("300", 300.0),
        ("5m", 300.0),
        ("+5m", 300.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("250ms", 0.25),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("24h", 86400.0),
        (-1, math.inf),
        (-0.5, math.inf),
        ("-1", math.inf),
        ("-1m", math.inf),
        ("9999999h", math.inf),
        (10**400, math.inf),
        ("9" * 400 + "h", math.inf),
    ],
)
def test_keep_alive_is_seconds_or_a_length_of_time_as_go_writes_it(keep_alive: object, seconds: float | None) -> None:
    assert seconds_of(keep_alive) == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("keep_alive", ["soon", "5 m", "5x", "m", "-", ".", "1h-5m", True, [5], {"s": 5}])
def test_what_is_no_length_of_time_is_the_clients_error(keep_alive: object) -> None:
    with pytest.raises(BadRequest, match="keep_alive"):
        seconds_of(keep_alive)


@pytest.mark.parametrize(
    ("format_", "schema"),
    [
        (b"null", None),
        (b'""', None),
        (b'"json"', b""),
        (b"{}", b"{}"),
        (b'{"type":"object"}', b'{"type":"object"}'),
        (b'{"maximum":123456789012345678901234567890.10}', b'{"maximum":123456789012345678901234567890.10}'),
    ],
)
def test_a_schema_keeps_its_bytes(format_: bytes, schema: bytes | None) -> None:
    found = read(b'{"model":"m","format":%b}' % format_, GenerateWish).schema
    assert (None if found is None else bytes(found)) == schema


@pytest.mark.parametrize("format_", ['"yaml"', "7", "[]", "true"])
def test_other_formats_are_refused(format_: str) -> None:
    with pytest.raises(BadRequest, match="'format' must be"):
        _ = read(f'{{"format":{format_}}}'.encode(), ChatWish).schema


@pytest.mark.parametrize(("think", "thinks"), [("true", True), ("false", False), ('"high"', "high"), ("null", None)])
def test_how_much_is_to_be_thought(think: str, thinks: object) -> None:
    assert read(f'{{"think":{think}}}'.encode(), ChatWish).thinks == thinks


@pytest.mark.parametrize("think", ['"much"', "1", "[]"])
def test_other_ways_to_think_are_refused(think: str) -> None:
    with pytest.raises(BadRequest, match="'think' must be"):
        _ = read(f'{{"think":{think}}}'.encode(), ChatWish).thinks


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"messages":"hi"}', ChatWish),
        (b'{"messages":[{"content":"no role"}]}', ChatWish),
        (b'{"messages":[{"role":"user","content":["parts"]}]}', ChatWish),
        (b'{"messages":[{"role":"user","images":[1]}]}', ChatWish),
        (b'{"stream":"yes"}', ChatWish),
        (b'{"tools":[null]}', ChatWish),
        (b'{"tools":[{"type":"function"}]}', ChatWish),
        (b'{"logprobs":true,"top_logprobs":21}', ChatWish),
        (b'{"options":[]}', ChatWish),
        (b'{"prompt":7}', GenerateWish),
        (b'{"input":[[1,2]]}', EmbedWish),
        (b'{"input":{}}', EmbedWish),
        (b'{"dimensions":1.5}', EmbedWish),
        (b"[]", ChatWish),
        (b'{"model":', ChatWish),
        (b'{"prompt":"\xff"}', GenerateWish),
        (b'{"messages":[{"role":"u","tool_calls":[{"function":{"name":"f","arguments":{"a":"\xff"}}}]}]}', ChatWish),
        (b'{"format":{"a":"\xff"}}', ChatWish),
        (b'{"tools":' + b"[" * 5000 + b"]" * 5000 + b"}", ChatWish),
    ],
)
def test_what_cannot_be_read_is_the_clients_error(body: bytes, kind: type[OllamaWish]) -> None:
    with pytest.raises(BadRequest):
        read(body, kind)


@pytest.mark.parametrize("member", ["keep_alive", "think", "options"])
def test_an_error_does_not_repeat_all_that_was_sent(member: str) -> None:
    value = {"temperature": "x" * 100_000} if member == "options" else "x" * 100_000
    wish = read(msgspec.json.encode({member: value}), ChatWish)
    with pytest.raises(BadRequest) as caught:
        _ = (wish.keep_seconds, wish.thinks, sampling(wish.options))
    assert len(caught.value.message) < 300


def test_an_answer_is_a_stream_unless_it_is_said_that_it_is_none() -> None:
    assert [read(b'{"stream":%b}' % each, ChatWish).streams for each in (b"null", b"true", b"false")] == [
        True,
        True,
        False,
    ]
