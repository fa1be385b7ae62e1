"""Ollama's own Python package, unmodified, with a scripted model server: tools, thoughts, pictures, errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import ollama
import pytest

from gateway.stand import ModelServer, StandIn, config, model_server, play, stage

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nConnection: close\r\n\r\n"
END = 'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}\n\ndata: [DONE]\n\n'
QUESTION = {"role": "user", "content": "What is the weather in Paris?"}


def weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: whose
    """
    return f"rain in {city}"


def delta(text: str, reason: str = "null") -> str:
    return f'data: {{"choices":[{{"index":0,"delta":{text},"finish_reason":{reason}}}]}}\n\n'


def model(answer: Callable[[dict[str, Any]], str]) -> Callable[..., Awaitable[None]]:
    """A script that answers each request, which is JSON, with a text: events or JSON."""

    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await server.read_request(reader))
        kind = b"text/event-stream" if asked.get("stream") else b"application/json"
        writer.write(HEAD % kind + answer(asked).encode())

    return script


def with_client(
    answer: Callable[[dict[str, Any]], str], then: Callable[[ollama.AsyncClient], Awaitable[None]]
) -> Callable[[], Awaitable[None]]:
    async def story() -> None:
        async with (
            model_server(model(answer)) as server,
            stage(config(m={}), StandIn(m=server.endpoint)) as here,
            ollama.AsyncClient(f"http://127.0.0.1:{here.port}") as client,
        ):
            await then(client)

    return story


def forecaster(asked: dict[str, Any]) -> str:
    """Call the tool, and say what it has said."""
    assert asked["tools"][0]["function"]["name"] == "weather"
    last = asked["messages"][-1]
    if last["role"] == "user":
        return _call(streamed=asked["stream"])
    made = asked["messages"][-2]["tool_calls"][0]
    assert last["tool_call_id"] == made["id"]
    assert json.loads(made["function"]["arguments"]) == {"city": "Paris"}
    if not asked["stream"]:
        return json.dumps({"choices": [{"message": {"content": last["content"]}, "finish_reason": "stop"}]})
    return delta(json.dumps({"content": last["content"]})) + delta("{}", '"stop"') + END


def _call(*, streamed: bool) -> str:
    arguments = '{"city":' if streamed else '{"city":"Paris"}'
    call = {"index": 0, "id": "c7", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    if not streamed:
        return json.dumps({"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]})
    rest = {"index": 0, "function": {"arguments": '"Paris"}'}}
    pieces = [json.dumps({"tool_calls": [each]}) for each in (call, rest)]
    return "".join([*map(delta, pieces), delta("{}", '"tool_calls"'), END])


def test_a_tool_is_called_and_its_result_is_told() -> None:
    async def then(client: ollama.AsyncClient) -> None:
        first = await client.chat("m", [QUESTION], tools=[weather])
        assert first.message.tool_calls is not None
        [call] = first.message.tool_calls
        assert (call.function.name, call.function.arguments) == ("weather", {"city": "Paris"})
        result = {"role": "tool", "tool_name": "weather", "content": weather(**call.function.arguments)}
        second = await client.chat("m", [QUESTION, first.message, result], tools=[weather])
        assert second.message.content == "rain in Paris"

    play(with_client(forecaster, then))


def test_a_tool_is_called_in_a_stream() -> None:
    async def then(client: ollama.AsyncClient) -> None:
        conversation: list[Any] = [QUESTION]
        chunks = [chunk async for chunk in await client.chat("m", conversation, tools=[weather], stream=True)]
        [call] = [call for chunk in chunks for call in chunk.message.tool_calls or ()]
        assert chunks[-1].done
        assert (chunks[-1].prompt_eval_count, chunks[-1].eval_count) == (9, 3)
        conversation.append({"role": "assistant", "tool_calls": [call]})
        conversation.append({"role": "tool", "content": weather(**call.function.arguments)})
        chunks = [chunk async for chunk in await client.chat("m", conversation, tools=[weather], stream=True)]
        assert "".join(chunk.message.content or "" for chunk in chunks) == "rain in Paris"

    play(with_client(forecaster, then))


def test_thoughts_are_apart() -> None:
    def thinker(asked: dict[str, Any]) -> str:
        assert asked["chat_template_kwargs"]["enable_thinking"] is True
        if asked["stream"]:
            return delta('{"reasoning_content":"Hm"}') + delta('{"content":"4"}') + delta("{}", '"stop"') + END
        return '{"choices":[{"message":{"content":"4","reasoning_content":"Hm"},"finish_reason":"stop"}]}'

    async def then(client: ollama.AsyncClient) -> None:
        answer = await client.chat("m", [QUESTION], think=True)
        assert (answer.message.thinking, answer.message.content) == ("Hm", "4")
        chunks = [chunk async for chunk in await client.generate("m", "2+2?", think="high", stream=True)]
        assert [(chunk.thinking, chunk.response) for chunk in chunks] == [("Hm", ""), (None, "4"), (None, "")]

    play(with_client(thinker, then))


def test_pictures_arrive() -> None:
    def seer(asked: dict[str, Any]) -> str:
        parts = asked["messages"][0]["content"]
        url = parts[1]["image_url"]["url"]
        return json.dumps({"choices": [{"message": {"content": url}, "finish_reason": "stop"}]})

    async def then(client: ollama.AsyncClient) -> None:
        answer = await client.generate("m", "what is it?", images=[b"\x89PNG\r\n\x1a\n"])
        assert answer.response == "data:image/png;base64,iVBORw0KGgo="

    play(with_client(seer, then))


def test_an_error_in_a_stream_is_raised() -> None:
    async def then(client: ollama.AsyncClient) -> None:
        stream = await client.generate("m", "x", stream=True)
        assert (await anext(aiter(stream))).response == "a"
        with pytest.raises(ollama.ResponseError, match="out of memory"):
            await anext(aiter(stream))

    events = delta('{"content":"a"}') + 'data: {"error":{"message":"out of memory","code":500}}\n\n'
    play(with_client(lambda _asked: events, then))


def test_an_unknown_model_is_not_found() -> None:
    async def then(client: ollama.AsyncClient) -> None:
        with pytest.raises(ollama.ResponseError, match="not known") as raised:
            await client.chat("other", [QUESTION])
        assert raised.value.status_code == 404

    play(with_client(lambda _asked: "", then))
