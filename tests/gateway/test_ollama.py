"""Ollama's API over real connections: which path and body model servers see, and what clients hear."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from claracore.errors import ModelNotFound
from claracore.host.activity.captures import Captures
from gateway.stand import ModelServer, Stage, StandIn, answers, config, model_server, play, post, stage

EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n',
    (
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
        b'"timings":{"prompt_n":3,"prompt_ms":1.0,"predicted_n":1,"predicted_ms":2.0}}\n\n'
    ),
    b"data: [DONE]\n\n",
)


def streaming(*events: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n"


def sized(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def with_answer(
    answer: bytes, then: Callable[[Stage, ModelServer], Awaitable[None]], **model: Any
) -> Callable[[], Awaitable[None]]:
    async def story() -> None:
        async with (
            model_server(answers(answer)) as server,
            stage(config(m=model), StandIn(m=server.endpoint)) as here,
        ):
            await then(here, server)

    return story


def asked(path: str, **members: Any) -> bytes:
    return post(path, json.dumps({"model": "m", **members}).encode())


def parted(answer: bytes) -> tuple[bytes, list[Any]]:
    """The head of an answer in chunks or with a length, and its lines."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    body = rest
    if b"Transfer-Encoding: chunked" in head:
        body = b""
        while rest[:3] != b"0\r\n":
            size, _, rest = rest.partition(b"\r\n")
            body += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
    return head, [json.loads(line) for line in body.splitlines()]


def sent(server: ModelServer, number: int = 0) -> tuple[str, dict[str, Any]]:
    head, _, body = server.seen[number].partition(b"\r\n\r\n")
    return head.split(b" ")[1].decode(), dict(json.loads(body))


def test_a_chat_streams_lines_unless_it_is_told_not_to() -> None:
    async def then(here: Stage, server: ModelServer) -> None:
        message = {"role": "user", "content": "hello"}
        head, lines = parted(await here.say(asked("/api/chat", messages=[message])))
        assert b"\r\nContent-Type: application/x-ndjson" in head
        assert [(line["message"]["content"], line["done"]) for line in lines] == [("Hi", False), ("", True)]
        assert lines[1]["eval_count"] == 1
        path, body = sent(server)
        assert path == "/v1/chat/completions"
        assert (body["stream"], body["messages"]) == (True, [message])
        [record] = here.notebook.records
        assert (record.path, record.stream, record.error) == ("/api/chat", True, "")
        assert record.first_token_at is not None
        tokens = record.tokens()
        assert (tokens.prompt, tokens.completion) == (3, 1)

    play(with_answer(streaming(*EVENTS), then))


def test_one_answer_for_one_prompt() -> None:
    async def then(here: Stage, server: ModelServer) -> None:
        here.gateway.relay.captures = Captures(1 << 20)
        head, [answer] = parted(await here.say(asked("/api/generate", prompt="hello", stream=False)))
        assert b"\r\nContent-Type: application/json; charset=utf-8" in head
        assert (answer["response"], answer["done_reason"], answer["prompt_eval_count"]) == ("Hi", "stop", 7)
        assert sent(server)[1]["messages"] == [{"role": "user", "content": "hello"}]
        [record] = here.notebook.records
        assert not record.stream
        assert record.tokens().prompt == 7
        assert record.capture is not None
        assert b'"response":"Hi"' in record.capture.response.data
        assert json.loads(record.capture.request.data)["prompt"] == "hello"

    body = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7}}'
    play(with_answer(sized(body), then))


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"prompt": "x", "suffix": "y"}, "/infill"),
        ({"prompt": "x", "raw": True}, "/v1/completions"),
        ({"prompt": "x", "system": "y"}, "/v1/chat/completions"),
        ({"images": ["AAAA"]}, "/v1/chat/completions"),
    ],
)
def test_what_is_asked_decides_the_path(members: dict[str, Any], path: str) -> None:
    async def then(here: Stage, server: ModelServer) -> None:
        await here.say(asked("/api/generate", **members))
        assert sent(server)[0] == path

    play(with_answer(sized(b'{"content":"z"}'), then))


def test_the_filters_of_the_model_edit_what_its_server_gets() -> None:
    async def then(here: Stage, server: ModelServer) -> None:
        options = {"temperature": 1, "seed": 5}
        await here.say(asked("/api/chat", messages=[{"role": "user", "content": "x"}], options=options))
        body = sent(server)[1]
        assert (body["model"], body["temperature"], body["max_tokens"]) == ("theirs", 0, 9)
        assert "seed" not in body

    filters = {"setParams": {"temperature": 0, "max_tokens": 9}, "stripParams": "seed"}
    play(with_answer(streaming(*EVENTS), then, useModelName="theirs", filters=filters))


def test_vectors_in_both_shapes() -> None:
    async def then(here: Stage, server: ModelServer) -> None:
        _, [new] = parted(await here.say(asked("/api/embed", input="a")))
        assert (new["embeddings"], new["prompt_eval_count"]) == ([[0.5, 0.25]], 2)
        _, [old] = parted(await here.say(asked("/api/embeddings", prompt="a")))
        assert old == {"embedding": [0.5, 0.25]}
        assert [sent(server, number) for number in range(2)] == [
            ("/v1/embeddings", {"model": "m", "input": ["a"], "encoding_format": "float"})
        ] * 2

    play(with_answer(sized(b'{"data":[{"embedding":[0.5,0.25],"index":0}],"usage":{"prompt_tokens":2}}'), then))


@pytest.mark.parametrize(
    ("path", "members", "answer"),
    [
        ("/api/generate", {}, {"response": "", "done_reason": "load", "done": True}),
        ("/api/generate", {"prompt": "", "system": "x"}, {"response": "", "done_reason": "load", "done": True}),
        ("/api/chat", {}, {"done_reason": "load", "done": True}),
        ("/api/chat", {"messages": []}, {"message": {"role": "assistant", "content": ""}, "done_reason": "load"}),
        ("/api/embed", {"input": []}, {"embeddings": []}),
        ("/api/embed", {"input": ""}, {"embeddings": []}),
        ("/api/embeddings", {}, {"embedding": []}),
    ],
)
def test_with_nothing_to_answer_the_model_is_loaded(path: str, members: dict[str, Any], answer: dict[str, Any]) -> None:
    async def story() -> None:
        async with model_server(answers(sized(b"{}"))) as server, stage(config(m={}), StandIn(m=None)) as here:
            answering = asyncio.create_task(here.say(asked(path, **members)))
            await here.supervisor.came.wait()
            here.supervisor.ready("m", server.endpoint)
            head, [found] = parted(await answering)
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert answer.items() <= found.items()
            assert not server.seen

    play(story)


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat", "/api/embed"])
def test_kept_for_no_time_without_anything_to_answer_it_is_unloaded(path: str) -> None:
    async def story() -> None:
        async with stage(config(m={}), StandIn(m=None)) as here:
            _, [answer] = parted(await here.say(asked(path, keep_alive=0)))
            assert answer.get("done_reason", "unload") == "unload"
            assert here.supervisor.kept == {"m": 0}
            assert not here.supervisor.arrived

    play(story)


@pytest.mark.parametrize(("keep_alive", "seconds"), [("10m", 600), (0, 0), (-1, math.inf), ("1h", 3600)])
def test_a_request_says_for_how_long_its_model_stays(keep_alive: object, seconds: float) -> None:
    async def then(here: Stage, _server: ModelServer) -> None:
        await here.say(asked("/api/generate", prompt="x", keep_alive=keep_alive))
        assert here.supervisor.kept == {"m": seconds}

    play(with_answer(streaming(*EVENTS), then))


def test_a_body_as_curl_labels_it_is_json() -> None:
    async def then(here: Stage, server: ModelServer) -> None:
        for label in (b"Content-Type: application/x-www-form-urlencoded\r\n", b"", b"Content-Type: text/plain\r\n"):
            body = b' {"model":"m","prompt":"x"}'
            head = b"POST /api/generate HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 27\r\n"
            assert b'"response":"Hi"' in await here.say(head + label + b"\r\n" + body)
        assert len(server.seen) == 3

    play(with_answer(streaming(*EVENTS), then))


def test_a_page_of_another_site_is_refused() -> None:
    async def then(here: Stage, server: ModelServer) -> None:
        body = b'{"model":"m","prompt":"x"}'
        answer = await here.say(post("/api/generate", body, more="Origin: https://evil.example\r\n"))
        head, [error] = parted(answer)
        assert head.startswith(b"HTTP/1.1 403 ")
        assert isinstance(error["error"], str)
        assert not server.seen

    play(with_answer(streaming(*EVENTS), then))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"nonsense", 400),
        (b'{"prompt":"x"}', 400),
        (b'{"model":7}', 400),
        (b'{"model":"m","prompt":[]}', 400),
        (b'{"model":"m","prompt":"x","format":"xml"}', 400),
        (b'{"model":"m","prompt":"x","keep_alive":"soon"}', 400),
        (b'{"model":"m","keep_alive":"soon"}', 400),
        (b'{"model":"m","prompt":"x","think":"hard"}', 400),
        (b'{"model":"m","prompt":"x","options":{"top_k":"all"}}', 400),
        (b'{"model":"other","prompt":"x"}', 404),
    ],
)
def test_what_is_wrong_is_told_in_ollamas_shape(body: bytes, status: int) -> None:
    async def then(here: Stage, server: ModelServer) -> None:
        head, [answer] = parted(await here.say(post("/api/generate", body)))
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert answer.keys() == {"error"}
        assert isinstance(answer["error"], str)
        assert not server.seen

    play(with_answer(streaming(*EVENTS), then))


def test_the_model_servers_error_has_its_status_and_ollamas_shape() -> None:
    async def then(here: Stage, _server: ModelServer) -> None:
        for path, members in (("/api/generate", {"prompt": "x"}), ("/api/embed", {"input": "x"})):
            head, [answer] = parted(await here.say(asked(path, **members)))
            assert head.startswith(b"HTTP/1.1 501 ")
            assert answer == {"error": "not supported"}

    play(with_answer(sized(b'{"error":{"code":501,"message":"not supported"}}', "501 Not Implemented"), then))


def test_a_model_that_cannot_be_had_is_an_error_in_ollamas_shape() -> None:
    async def story() -> None:
        async with stage(config(m={}), StandIn(m=None)) as here:
            for members in ({"prompt": "x"}, {}):
                here.supervisor.came.clear()
                answering = asyncio.create_task(here.say(asked("/api/generate", **members)))
                await here.supervisor.came.wait()
                here.supervisor.fail("m", ModelNotFound("m", (), "it is gone"))
                head, [answer] = parted(await answering)
                assert head.startswith(b"HTTP/1.1 404 ")
                assert "it is gone" in answer["error"]

    play(story)


def test_an_answer_that_breaks_off_ends_with_an_error_line() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(streaming(EVENTS[0]).removesuffix(b"0\r\n\r\n"))

    async def story() -> None:
        async with model_server(script) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            _, lines = parted(await here.say(asked("/api/generate", prompt="x")))
            assert lines[0]["response"] == "Hi"
            assert "broke off" in lines[1]["error"]

    play(story)


def test_a_request_that_names_no_model_is_answered_with_the_name_of_the_default_one() -> None:
    async def story() -> None:
        configuration = config(m={}).model_copy(update={"default_model": "m"})
        async with (
            model_server(answers(streaming(*EVENTS))) as server,
            stage(configuration, StandIn(m=server.endpoint)) as here,
        ):
            _, lines = parted(await here.say(post("/api/generate", b'{"prompt":"x"}')))
            assert [line["model"] for line in lines] == ["m", "m"]
            assert sent(server)[1]["model"] == "m"

    play(story)


def test_only_post_is_answered() -> None:
    async def then(here: Stage, _server: ModelServer) -> None:
        answer = await here.say(b"GET /api/chat HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 405 ")

    play(with_answer(sized(b"{}"), then))
