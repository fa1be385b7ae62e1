"""How answers are written in Ollama's API."""

from __future__ import annotations

import json

import msgspec
import pytest

from claracore.http.wire.engine_answers import EngineTimings, EngineUsage, ToolCallDelta
from claracore.http.wire.ollama_lines import LineWriter, Spent, counted, done, error_line, reason_of
from claracore.http.wire.ollama_tool_calls import GatheredCalls

NOW = 1_700_000_000.25


def pieces(*said: str) -> list[ToolCallDelta]:
    return [msgspec.json.decode(each, type=ToolCallDelta) for each in said]


def test_a_line_of_a_chat() -> None:
    line = LineWriter('my "m"', is_chat=True).line(NOW, "hé\n", "hm", calls=b"[1]", logprobs=b"[2]")
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "model": 'my "m"',
        "created_at": "2023-11-14T22:13:20.250000Z",
        "message": {"role": "assistant", "content": "hé\n", "thinking": "hm", "tool_calls": [1]},
        "done": False,
        "logprobs": [2],
    }


def test_numbers_that_nobody_can_have_counted_are_left_out() -> None:
    spent = Spent()
    timings = EngineTimings(prompt_n=10**30, prompt_ms=1e308, predicted_n=-5, predicted_ms=1e20)
    counted(spent, EngineUsage(prompt_tokens=10**30, completion_tokens=2**63), timings)
    assert json.loads(b"{%b}" % done("stop", spent)) == {"done": True, "done_reason": "stop"}


def test_a_line_for_a_prompt_and_the_times_of_lines() -> None:
    writer = LineWriter("m", is_chat=False)
    lines = [json.loads(writer.line(at, "x", "")) for at in (NOW, NOW + 0.5, NOW + 1, NOW)]
    assert [line["created_at"][17:] for line in lines] == ["20.250000Z", "20.750000Z", "21.250000Z", "20.250000Z"]
    assert lines[0].keys() == {"model", "created_at", "response", "done"}
    assert json.loads(writer.line(NOW, "x", "hm"))["thinking"] == "hm"


def test_the_last_line_says_what_is_known() -> None:
    spent = Spent()
    counted(
        spent, EngineUsage(10, 4), EngineTimings(cache_n=7, prompt_n=3, prompt_ms=1.5, predicted_n=4, predicted_ms=20.0)
    )
    spent.load_duration = -5
    line = json.loads(LineWriter("m", is_chat=False).line(NOW, "", "", end=done("stop", spent)))
    del line["model"], line["created_at"], line["response"]
    assert line == {
        "done": True,
        "done_reason": "stop",
        "load_duration": 0,
        "prompt_eval_count": 10,
        "prompt_eval_duration": 1_500_000,
        "eval_count": 4,
        "eval_duration": 20_000_000,
    }


@pytest.mark.parametrize(
    ("usage", "timings", "counts"),
    [
        (EngineUsage(10, 4), None, (10, 4)),
        (None, EngineTimings(cache_n=7, prompt_n=3, predicted_n=4), (10, 4)),
        (None, EngineTimings(prompt_n=3), (3, None)),
        (EngineUsage(), EngineTimings(), (None, None)),
        (None, None, (None, None)),
    ],
)
def test_tokens_are_counted_by_either_speaker(
    usage: EngineUsage | None, timings: EngineTimings | None, counts: tuple[int | None, int | None]
) -> None:
    spent = Spent()
    counted(spent, usage, timings)
    assert (spent.prompt_eval_count, spent.eval_count) == counts


def test_why_an_answer_ended() -> None:
    assert [reason_of(each) for each in ("stop", "length", "tool_calls", "content_filter")] == [
        "stop",
        "length",
        "stop",
        "content_filter",
    ]


def test_an_error_is_a_line() -> None:
    assert error_line('no "way"\n') == b'{"error":"no \\"way\\"\\n"}\n'


def test_pieces_of_calls_become_calls() -> None:
    gathered = GatheredCalls()
    gathered.add(pieces('{"index":0,"id":"a","function":{"name":"weather","arguments":""}}'))
    gathered.add(
        pieces('{"index":0,"function":{"arguments":"{\\"city\\": "}}', '{"index":1,"function":{"name":"now"}}')
    )
    gathered.add(pieces('{"index":0,"function":{"arguments":"\\n\\"Paris\\"}"}}'))
    assert gathered
    calls, lost = gathered.taken()
    assert json.loads(calls) == [
        {"id": "a", "function": {"index": 0, "name": "weather", "arguments": {"city": "Paris"}}},
        {"function": {"index": 1, "name": "now", "arguments": {}}},
    ]
    assert b"\n" not in calls
    assert lost == ""
    assert not gathered
    assert gathered.taken() == (b"", "")


def test_whole_calls_have_no_numbers() -> None:
    gathered = GatheredCalls()
    gathered.take(pieces('{"function":{"name":"a","arguments":"{}"}}', '{"function":{"name":"b","arguments":"{}"}}'))
    assert [call["function"]["name"] for call in json.loads(gathered.taken()[0])] == ["a", "b"]


@pytest.mark.parametrize("arguments", ['{"city":"Par', "[1]", '"text"', "nonsense", '{"a":"\\ud8'])
def test_a_call_that_is_not_whole_is_text(arguments: str) -> None:
    gathered = GatheredCalls()
    gathered.take(pieces(json.dumps({"function": {"name": "a", "arguments": arguments}})))
    assert gathered.taken() == (b"", arguments)
