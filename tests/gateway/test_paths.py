"""Paths that clients have put together with a slip, and paths that are not there."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from claracore.errors import NotFound
from claracore.http.gateway.paths import no_such_path, straightened
from claracore.http.wire.head import request_head
from gateway.stand import StandIn, answers, config, model_server, play, post, stage
from gateway.test_application import ANSWER

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHAT = b'{"model":"m","messages":[]}'


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("//v1/chat/completions", "/v1/chat/completions"),
        ("/v1//chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("//v1//v1///chat//completions//", "/v1/chat/completions"),
        ("//rerank/", "/rerank"),
        ("//v1/models/", "/v1/models"),
        ("/v1/v1/models/a/b", "/v1/models/a/b"),
        ("/health/", "/health"),
        ("//api/config", "//api/config"),
        ("/upstream/m//x/", "/upstream/m//x/"),
        ("//upstream/m/x", "//upstream/m/x"),
        ("//", "//"),
        ("/", "/"),
    ],
)
def test_which_path_is_meant(path: str, meant: str) -> None:
    head, _ = request_head(f"POST {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert straightened(head).path.decode() == meant


@pytest.mark.parametrize("path", ["//v1/chat/completions", "/v1/v1/chat/completions", "/v1/chat/completions/"])
def test_they_are_served_with_their_bodies(path: str) -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server:
            async with stage(config(m={}), StandIn(m=server.endpoint)) as here:
                for _ in range(2):
                    assert (await here.say(post(path, CHAT))).startswith(b"HTTP/1.1 200")
            for sent in server.seen:
                assert sent.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
                assert sent.endswith(CHAT)

    play(conversation)


def test_a_list_is_asked_of_the_application_by_its_own_path() -> None:
    async def conversation() -> None:
        async with stage(config(m={}), StandIn()) as here:
            for path in ("//v1/models", "/v1/models/", "/v1/v1/models"):
                request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                assert (await here.say(request.encode())).endswith(b"page /v1/models")

    play(conversation)


def test_an_sdk_whose_base_url_has_too_much() -> None:
    async def conversation() -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
        async with (
            model_server(answers(head + ANSWER)) as server,
            stage(config(smol={}), StandIn(smol=server.endpoint)) as here,
        ):
            for base in ("/v1/", "/v1/v1", "//v1"):
                url = f"http://127.0.0.1:{here.port}{base}"
                async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as client:
                    said = await client.chat.completions.create(model="smol", messages=[])
                    assert said.choices[0].message.content == "hello"

    play(conversation)


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/v1/chat/completion", "POST /v1/chat/completions"),
        ("/v1/chat", "POST /v1/chat/completions"),
        ("/v1/embedding", "POST /v1/embeddings"),
        ("/v1/model", "GET /v1/models"),
        ("/api/chat/completions", "POST /chat/completions"),
        ("/v1/audio/transcription", "POST /v1/audio/transcriptions"),
    ],
)
def test_what_is_not_there_names_what_is_near(path: str, near: str) -> None:
    error: NotFound = no_such_path(path)
    assert error.message == f"no such path: {path}; did you mean {near}?"


def test_a_base_url_is_near_to_nothing() -> None:
    assert no_such_path("/v1/").message == "no such path: /v1/; GET /openapi.json lists what there is"


def test_an_unknown_path_below_v1_is_not_there_for_everybody() -> None:
    """Not "forbidden", which it would be as a call that changes something."""

    async def conversation() -> None:
        async with stage(config(m={}), StandIn()) as here:
            more = "Origin: http://localhost:3000\r\n"
            answer = await here.say(post("/v1/chat/completion", CHAT, more=more))
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 404 ")
            assert b"Access-Control-Allow-Origin: http://localhost:3000" in head
            said: dict[str, Any] = json.loads(body)
            assert said["error"]["code"] == "not_found"
            assert "POST /v1/chat/completions" in said["error"]["message"]

    play(conversation)
