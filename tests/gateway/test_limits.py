"""A key with limits, from the request to the header fields of its answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from claracore.core.key_limits import KeyLimits
from claracore.errors import UpstreamFailed
from claracore.http.access.keyring import KeyRing
from claracore.http.access.keys import NamedKey, Right, digest_of
from claracore.http.gateway.contract import PortLimits
from gateway.stand import ModelServer, Stage, StandIn, answers, config, model_server, play, post, stage

CHAT = b'{"model":"m","messages":[]}'
STREAM = b'{"model":"m","messages":[],"stream":true}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def key(name: str, limits: KeyLimits) -> NamedKey:
    return NamedKey(name, digest_of(name.encode()).hex(), frozenset({Right.INFERENCE}), limits=limits)


def use(here: Stage, **limits: KeyLimits) -> KeyRing:
    ring = here.gateway._ring
    ring.use_named([key(name, its) for name, its in limits.items()])
    return ring


def ask(name: str, body: bytes = CHAT, path: str = "/v1/chat/completions") -> bytes:
    return post(path, body, more=f"x-api-key: {name}\r\n")


def fields(answer: bytes) -> dict[str, str]:
    head = answer.partition(b"\r\n\r\n")[0].decode()
    return dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])


def error(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    return found


def test_the_requests_of_a_minute() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            use(here, ann=KeyLimits(requests_per_minute=2), bob=KeyLimits())
            for left in ("1", "0"):
                answer = await here.say(ask("ann"))
                assert answer.startswith(b"HTTP/1.1 200 ")
                assert answer.endswith(b"\r\n\r\n{}")
                assert fields(answer)["x-ratelimit-limit-requests"] == "2"
                assert fields(answer)["x-ratelimit-remaining-requests"] == left
                assert fields(answer)["x-ratelimit-reset-requests"] in {"59s", "60s"}
            refused = await here.say(ask("ann"))
            assert refused.startswith(b"HTTP/1.1 429 ")
            assert 0 < int(fields(refused)["retry-after"]) <= 60
            assert fields(refused)["x-ratelimit-remaining-requests"] == "0"
            assert error(refused)["param"] == "requests_per_minute"
            assert error(refused)["code"] == "rate_limit_exceeded"
            assert "'ann' may send 2 requests a minute" in error(refused)["message"]
            assert len(server.seen) == 2
            for _ in range(5):
                answer = await here.say(ask("bob"))
                assert answer.startswith(b"HTTP/1.1 200 ")
                assert b"ratelimit" not in answer.lower()

    play(conversation)


def test_tokens_of_a_day_and_a_repetition_that_would_be_of_no_use() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            ring = use(here, ann=KeyLimits(tokens_per_day=10))
            assert fields(await here.say(ask("ann")))["x-ratelimit-remaining-tokens"] == "10"
            ring.meters.used("ann", 12, time.time())
            refused = await here.say(ask("ann"))
            assert refused.startswith(b"HTTP/1.1 429 ")
            assert error(refused)["param"] == "tokens_per_day"
            assert fields(refused)["x-ratelimit-remaining-tokens"] == "0"

    play(conversation)


def finished(supervisor: StandIn, endpoint: Any) -> None:
    supervisor.ready("m", endpoint)


def failed(supervisor: StandIn, _endpoint: Any) -> None:
    supervisor.fail("m", UpstreamFailed("it did not start"))


@pytest.mark.parametrize("end", [finished, failed, None], ids=["answered", "failed", "the client left"])
def test_how_many_at_a_time_however_they_end(end: Callable[[StandIn, Any], None] | None) -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server:
            supervisor = StandIn(m=None)
            async with stage(config(m={}), supervisor) as here:
                ring = use(here, ann=KeyLimits(concurrency=1))
                reader, writer = await here.connect()
                writer.write(ask("ann"))
                await supervisor.came.wait()
                refused = await here.say(ask("ann"))
                assert refused.startswith(b"HTTP/1.1 429 ")
                assert (error(refused)["param"], fields(refused)["retry-after"]) == ("concurrency", "1")
                if end is not None:
                    end(supervisor, server.endpoint)
                    await reader.read()
                writer.close()
                await supervisor.left.wait() if end is not failed else None
                meter = ring.meters.get("ann")
                assert meter is not None
                assert meter.running == set()

    play(conversation)


def test_a_stream_that_waits_and_one_that_is_translated_say_it_too() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: [DONE]\n\n")

    async def conversation() -> None:
        async with model_server(script) as server:
            supervisor = StandIn(m=None)
            limits = PortLimits(stream_keep_alive_seconds=0.01)
            async with stage(config(m={}), supervisor, limits=limits) as here:
                use(here, ann=KeyLimits(requests_per_minute=9))
                reader, writer = await here.connect()
                writer.write(ask("ann", STREAM))
                head = await reader.readuntil(b"\r\n\r\n")
                assert fields(head)["x-ratelimit-remaining-requests"] == "8"
                supervisor.ready("m", server.endpoint)
                assert b"data: [DONE]" in await reader.read()
                writer.close()
                answer = await here.say(ask("ann", STREAM, "/v1/messages"))
                assert fields(answer)["x-ratelimit-remaining-requests"] == "7"

    play(conversation)


def test_other_limits_count_from_the_next_request_on() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            for limits, status in ((KeyLimits(), b"200"), (KeyLimits(requests_per_minute=1), b"200")):
                use(here, ann=limits)
                assert (await here.say(ask("ann"))).split(b" ", 2)[1] == status
            assert (await here.say(ask("ann"))).split(b" ", 2)[1] == b"429"
            use(here, ann=KeyLimits())
            assert (await here.say(ask("ann"))).split(b" ", 2)[1] == b"200"

    play(conversation)


def test_the_files_of_a_servers_own_pages_do_not_count_but_its_work_does() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            use(here, ann=KeyLimits(requests_per_minute=1))
            page = b"GET /upstream/m/x.js HTTP/1.1\r\nHost: localhost\r\nx-api-key: ann\r\nConnection: close\r\n\r\n"
            for _ in range(3):
                assert (await here.say(page)).startswith(b"HTTP/1.1 200 ")
            work = ask("ann", path="/upstream/m/v1/chat/completions")
            assert (await here.say(work)).startswith(b"HTTP/1.1 200 ")
            assert (await here.say(work)).startswith(b"HTTP/1.1 429 ")

    play(conversation)


def test_what_an_sdk_makes_of_it() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            use(here, ann=KeyLimits(requests_per_minute=1))
            url = f"http://127.0.0.1:{here.port}/v1"
            async with openai.AsyncOpenAI(base_url=url, api_key="ann", max_retries=0) as client:
                raw = await client.chat.completions.with_raw_response.create(model="m", messages=[])
                assert raw.headers["x-ratelimit-remaining-requests"] == "0"
                with pytest.raises(openai.RateLimitError, match="requests_per_minute"):
                    await client.chat.completions.create(model="m", messages=[])

    play(conversation)


@pytest.mark.parametrize("header", ["api-key", "x-goog-api-key", "x-api-key", "Authorization"])
def test_a_key_of_ours_does_not_reach_the_model_server_wherever_it_stands(header: str) -> None:
    value = "Basic YW5uOg==" if header == "Authorization" else "ann"  # the user of Basic, without a password

    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            use(here, ann=KeyLimits())
            answer = await here.say(post("/v1/chat/completions", CHAT, more=f"{header}: {value}\r\nX-Mine: 1\r\n"))
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert header.lower().encode() not in server.seen[0].lower()
            assert b"X-Mine: 1" in server.seen[0]
            theirs = await here.say(
                post("/v1/chat/completions", CHAT, more=f"x-api-key: ann\r\nX-Mine: 2\r\nAzure-Key: {value}\r\n")
            )
            assert theirs.startswith(b"HTTP/1.1 200 ")
            assert b"Azure-Key" in server.seen[1]

    play(conversation)
