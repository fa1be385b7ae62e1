"""Model servers' answers as Ollama's clients get them, in however many pieces they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from claracore.host.activity.record import Record
from claracore.http.gateway.contract import AnswerEdit
from claracore.http.gateway.ollama_answers import LineStream, OneAnswer
from claracore.http.gateway.ollama_vectors import VectorAnswer, VectorsAnswer
from claracore.http.wire.head import ResponseHead, response_head

TIMINGS = (
    '{"cache_n":2,"prompt_n":3,"prompt_ms":1.5,"predicted_n":2,"predicted_ms":20.0,"prompt_per_second":1,"new":null}'
)
USAGE = '{"completion_tokens":2,"prompt_tokens":5,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":2}}'
LAST = {"prompt_eval_count": 5, "prompt_eval_duration": 1_500_000, "eval_count": 2, "eval_duration": 20_000_000}


def chunk(delta: str, *, reason: str = "null", more: str = "") -> str:
    return (
        f'data: {{"choices":[{{"finish_reason":{reason},"index":0,"delta":{delta}{more}}}],"created":1,"id":"x",'
        '"model":"/a/path.gguf","object":"chat.completion.chunk"}\n\n'
    )


CHAT = (
    chunk('{"role":"assistant","content":null}')
    + chunk('{"reasoning_content":"Hm"}')
    + chunk('{"content":"Hé"}')
    + chunk('{"content":"llo"}')
    + chunk("{}", reason='"stop"')
    + f'data: {{"choices":[],"usage":{USAGE},"timings":{TIMINGS}}}\n\ndata: [DONE]\n\n'
)
VLLM = (
    'data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,'
    '"finish_reason":null}]}\n\n'
    'data: {"id":"1","choices":[{"index":0,"delta":{"reasoning":"Hm"},"finish_reason":null}],"usage":null}\n\n'
    'data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"length"}]}\n\n'
    'data: {"id":"1","choices":[],"usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2}}\n\n'
    "data: [DONE]\n\n"
)
TOOLS = (
    chunk('{"role":"assistant","content":null}')
    + chunk('{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"weather","arguments":""}}]}')
    + chunk('{"tool_calls":[{"index":0,"function":{"arguments":"{\\"city\\":"}}]}')
    + chunk('{"tool_calls":[{"index":0,"function":{"arguments":" \\"Paris\\"}"}}]}')
    + chunk('{"tool_calls":[{"index":1,"id":"c2","function":{"name":"now","arguments":"{}"}}]}')
    + chunk("{}", reason='"tool_calls"')
    + "data: [DONE]\n\n"
)
INFILL = (
    'data: {"index":0,"content":"x, ","tokens":[1],"stop":false,"id_slot":-1}\n\n'
    'data: {"index":0,"content":"y","stop":false}\n\n'
    f'data: {{"index":0,"content":"","stop":true,"stop_type":"limit","timings":{TIMINGS}}}\n\n'
)
TEXT = (
    'data: {"choices":[{"text":"1","index":0,"logprobs":{"content":[{"token":"1","logprob":-0.5}]},'
    '"finish_reason":null}]}\n\n'
    'data: {"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":' + USAGE + "}\n\n"
    "data: [DONE]\n\n"
)
NOTHING_OF_TIME = {"total_duration", "load_duration", "created_at", "model"}


def record(*, stream: bool = True) -> Record:
    made = Record("POST", "/api/chat", "", 10.0)
    made.requested, made.stream, made.served_at = "mine:latest", stream, 12.5
    return made


def head(content_type: str) -> ResponseHead:
    lines = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nX-Theirs: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    return response_head(lines.encode())[0]


def through(edit: AnswerEdit, pieces: Iterable[bytes], content_type: str = "text/event-stream") -> list[dict[str, Any]]:
    edited = edit.head(head(content_type))
    out = b"".join([*map(edit.piece, pieces), edit.end()])
    assert out.endswith((b"\n", b"}"))
    found = [json.loads(line) for line in out.splitlines()]
    streamed = edited.content_type == "application/x-ndjson"
    assert streamed or edited.content_type == "application/json; charset=utf-8"
    for line in found:
        if "error" not in line and "embedding" not in line:
            assert line["model"] == "mine:latest"
        if line.get("done"):
            assert line["load_duration"] == 2_500_000_000
            assert line["total_duration"] >= 0
    return [{key: value for key, value in line.items() if key not in NOTHING_OF_TIME} for line in found]


def streamed(text: str, *, is_chat: bool = True) -> list[dict[str, Any]]:
    return through(LineStream(record(), is_chat=is_chat), [text.encode()])


def message(content: str, **more: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": content, **more}, "done": False}


def response(text: str, **more: Any) -> dict[str, Any]:
    return {"response": text, "done": False, **more}


def test_a_stream_of_chat_becomes_lines() -> None:
    assert streamed(CHAT) == [
        message("", thinking="Hm"),
        message("Hé"),
        message("llo"),
        {**message(""), "done": True, "done_reason": "stop", **LAST},
    ]


def test_a_stream_of_chat_for_a_prompt() -> None:
    lines = streamed(CHAT, is_chat=False)
    assert lines[:3] == [response("", thinking="Hm"), response("Hé"), response("llo")]
    assert lines[3]["response"] == ""


def test_a_server_without_timings_still_counts_and_we_measure() -> None:
    lines = streamed(VLLM)
    assert lines[:2] == [message("", thinking="Hm"), message("Hello")]
    last = lines[2]
    assert (last["done_reason"], last["prompt_eval_count"], last["eval_count"]) == ("length", 5, 2)
    assert last["eval_duration"] >= 0
    assert last["prompt_eval_duration"] >= 0


def test_calls_of_tools_are_gathered() -> None:
    assert streamed(TOOLS)[:1] == [
        message(
            "",
            tool_calls=[
                {"id": "c1", "function": {"index": 0, "name": "weather", "arguments": {"city": "Paris"}}},
                {"id": "c2", "function": {"index": 1, "name": "now", "arguments": {}}},
            ],
        )
    ]
    assert streamed(TOOLS)[1]["done_reason"] == "stop"


def test_a_gap_is_filled() -> None:
    lines = streamed(INFILL, is_chat=False)
    assert lines[:2] == [response("x, "), response("y")]
    assert lines[2] == {"response": "", "done": True, "done_reason": "length", **LAST}


def test_a_raw_prompt_is_continued() -> None:
    lines = streamed(TEXT, is_chat=False)
    assert lines[0] == response("1", logprobs=[{"token": "1", "logprob": -0.5}])
    assert lines[1]["eval_count"] == 2


@pytest.mark.parametrize("text", [CHAT, VLLM, TOOLS, INFILL, TEXT], ids=["chat", "vllm", "tools", "infill", "text"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_every_split_is_the_same_answer(text: str, line_end: bytes) -> None:
    body = text.encode().replace(b"\n", line_end)
    whole = without_measured(through(LineStream(record(), is_chat=True), [body]))
    bytewise = through(LineStream(record(), is_chat=True), [body[n : n + 1] for n in range(len(body))])
    assert without_measured(bytewise) == whole
    for n in range(1, len(body)):
        assert without_measured(through(LineStream(record(), is_chat=True), [body[:n], body[n:]])) == whole, n


def without_measured(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for line in lines:
        line.pop("prompt_eval_duration", None)
        line.pop("eval_duration", None)
    return lines


def test_a_line_is_there_as_soon_as_its_event_is() -> None:
    edit = LineStream(record(), is_chat=True)
    edit.head(head("text/event-stream"))
    event = chunk('{"content":"x"}').encode()
    assert edit.piece(event[:-1]) == b""
    assert json.loads(edit.piece(event[-1:]))["message"]["content"] == "x"
    assert edit.piece(chunk("{}", reason='"stop"').encode()) == b""
    assert json.loads(edit.piece(b"data: [DONE]\n\n"))["done"]
    assert edit.end() == b""


def test_comments_names_and_events_in_several_lines_are_read_as_the_standard_says() -> None:
    text = (
        ': hello\n\nevent: message\nid: 7\ndata: {"choices":[{"finish_reason":"stop",\n'
        'data: "delta":{"content":"x"}}]}\nretry: 3\n\ndata:[DONE]\n\n'
    )
    assert [line["message"]["content"] for line in streamed(text)] == ["x", ""]


@pytest.mark.parametrize(
    "event",
    [
        'data: {"error":{"code":500,"message":"out of memory","type":"server_error"}}\n\n',
        'event: error\ndata: {"error":{"message":"out of memory"}}\n\n',
        'error: {"code":500,"message":"out of memory","type":"server_error"}\n\n',
        'data: {"error":"out of memory"}\n\n',
    ],
)
def test_an_error_in_the_middle_is_the_last_line(event: str) -> None:
    assert streamed(chunk('{"content":"x"}') + event + "data: [DONE]\n\n") == [message("x"), {"error": "out of memory"}]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("data: nonsense\n\n", "no answer"),
        ('data: {"choices":[{"delta":{"content":5}}]}\n\n', "no answer"),
        ("data: []\n\n", "no answer"),
        ('data: {"error":17}\n\n', "no answer"),
        (chunk('{"content":"x"}'), "before it was complete"),
        (chunk('{"content":"x"}') + "data: [DONE]\n\n", "before it was complete"),
        ("", "before it was complete"),
    ],
)
def test_what_is_no_whole_answer_ends_with_an_error(text: str, error: str) -> None:
    assert error in streamed(text)[-1]["error"]


def test_a_stream_may_end_without_saying_so_and_without_its_last_line_end() -> None:
    text = chunk('{"content":"x"}', reason='"stop"').rstrip("\n")
    assert [line["done"] for line in streamed(text)] == [False, True]


WHOLE = (
    '{"choices":[{"finish_reason":"tool_calls","index":0,"message":{"role":"assistant","content":"Hi",'
    '"reasoning_content":"Hm","tool_calls":[{"type":"function","id":"c","function":{"name":"now","arguments":"{}"}}]},'
    f'"logprobs":{{"content":[1]}}}}],"usage":{USAGE},"timings":{TIMINGS}}}'
)


def one(text: str, *, is_chat: bool = True, split: int = 7) -> list[dict[str, Any]]:
    edit = OneAnswer(record(stream=False), is_chat=is_chat)
    return through(edit, [text.encode()[:split], text.encode()[split:]], "application/json")


def test_a_whole_answer() -> None:
    calls = [{"id": "c", "function": {"index": 0, "name": "now", "arguments": {}}}]
    assert one(WHOLE) == [
        {**message("Hi", thinking="Hm", tool_calls=calls), "done": True, "done_reason": "stop", "logprobs": [1], **LAST}
    ]
    assert one(WHOLE.replace("\n", ""), is_chat=False)[0]["response"] == "Hi"


def test_whole_answers_without_a_chat() -> None:
    [text] = one('{"choices":[{"text":"2","finish_reason":"length"}],"usage":' + USAGE + "}", is_chat=False)
    assert (text["response"], text["done_reason"], text["eval_count"]) == ("2", "length", 2)
    [gap] = one('{"content":"x","stop":true,"stop_type":"eos","timings":' + TIMINGS + "}", is_chat=False)
    assert gap == {"response": "x", "done": True, "done_reason": "stop", **LAST}


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"choices":[]}', '{"choices":[{"message":{"content":[]}}]}'])
def test_a_whole_answer_that_is_none_is_an_error(text: str) -> None:
    assert "no answer" in one(text)[0]["error"]


def test_a_server_that_does_not_stream_answers_in_one_line() -> None:
    for type_ in ("application/json", "text/plain"):
        [line] = through(LineStream(record(), is_chat=True), [WHOLE.encode()], type_)
        assert line["message"]["content"] == "Hi"
        assert line["done"]


VECTORS = (
    '{"data":[{"index":1,"embedding":[3.0,4.0,12]},{"index":0,"embedding":[0.10,-0.2e-1,0]}],"usage":' + USAGE + "}"
)


def vectors(edit: AnswerEdit, text: str = VECTORS) -> dict[str, Any]:
    [answer] = through(edit, [text.encode()], "application/json")
    return answer


def test_vectors_are_in_the_order_of_their_texts() -> None:
    answer = vectors(VectorsAnswer(record(stream=False), None))
    assert answer == {"embeddings": [[0.1, -0.02, 0], [3, 4, 12]], "prompt_eval_count": 5}
    assert vectors(VectorAnswer(record(stream=False))) == {"embedding": [0.1, -0.02, 0]}


def test_fewer_dimensions_are_the_first_ones_at_length_one() -> None:
    answer = vectors(VectorsAnswer(record(stream=False), 2), VECTORS.replace("0.10,-0.2e-1", "0,0"))
    assert answer["embeddings"] == [[0, 0], [0.6, 0.8]]
    assert vectors(VectorsAnswer(record(stream=False), 5))["embeddings"][1] == [3, 4, 12]


@pytest.mark.parametrize("make", [VectorAnswer, lambda made: VectorsAnswer(made, 2)])
@pytest.mark.parametrize("text", ["", "{}", '{"data":[{"embedding":"AAAA"}]}', '{"data":[{"index":0}]}'])
def test_what_has_no_vectors_is_an_error(make: Callable[[Record], AnswerEdit], text: str) -> None:
    assert "no vectors" in vectors(make(record(stream=False)), text)["error"]
