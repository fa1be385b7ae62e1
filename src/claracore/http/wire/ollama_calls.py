"""What is a model server asked in place of what a client has asked in Ollama's API?

Pure: `Called` is a path and the JSON for it. Text goes to chat completions, which every model server has; raw prompts
to completions, and the gap between a prompt and a `suffix` to llama-server's `/infill`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from claracore.errors import BadRequest
from claracore.http.wire.ollama_messages import openai_messages
from claracore.http.wire.ollama_options import sampling
from claracore.http.wire.ollama_wishes import ChatWish, GenerateWish, OllamaMessage, TextWish

CHAT_COMPLETIONS: Final = b"/v1/chat/completions"
COMPLETIONS: Final = b"/v1/completions"
INFILL: Final = b"/infill"
EMBEDDINGS: Final = b"/v1/embeddings"
_ANY_OBJECT: Final = msgspec.Raw(b'{"type":"object"}')


class Called(NamedTuple):
    """What a model server is asked."""

    path: bytes
    body: bytes


def chat_call(model: str, asked: ChatWish) -> Called:
    """Return what is asked for a chat. Raises `BadRequest`."""
    fields = _chat_fields(model, asked, asked.messages or ())
    if asked.tools:
        fields["tools"] = [{"type": "function", "function": tool.checked()} for tool in asked.tools]
    return _called(CHAT_COMPLETIONS, fields)


def generate_call(model: str, asked: GenerateWish) -> Called:
    """Return what is asked for a prompt. Raises `BadRequest`."""
    if asked.suffix:
        return _called(INFILL, _infill_fields(model, asked))
    if asked.raw:
        return _called(COMPLETIONS, _raw_fields(model, asked))
    messages = [OllamaMessage("user", asked.prompt, images=asked.images)]
    if asked.system:
        messages.insert(0, OllamaMessage("system", asked.system))
    return _called(CHAT_COMPLETIONS, _chat_fields(model, asked, messages))


def embed_call(model: str, texts: Sequence[str]) -> Called:
    """Return what is asked for the vectors of some texts."""
    return _called(EMBEDDINGS, {"model": model, "input": texts, "encoding_format": "float"})


def _called(path: bytes, fields: dict[str, Any]) -> Called:
    return Called(path, msgspec.json.encode(fields))


def _chat_fields(model: str, asked: TextWish, messages: Sequence[OllamaMessage]) -> dict[str, Any]:
    fields = _common(model, asked)
    fields["messages"] = openai_messages(messages)
    if (schema := asked.schema) is not None:
        fields["response_format"] = _response_format(schema)
    fields |= _thinking(asked.thinks)
    if asked.logprobs:
        fields["logprobs"] = True
        if asked.top_logprobs:
            fields["top_logprobs"] = asked.top_logprobs
    return fields | sampling(asked.options)


def _raw_fields(model: str, asked: GenerateWish) -> dict[str, Any]:
    if asked.images:
        raise BadRequest("'images' need the model's template, which 'raw' leaves out", param="images")
    fields = _common(model, asked)
    fields["prompt"] = asked.prompt or ""
    if (schema := asked.schema) is not None:
        fields["response_format"] = _response_format(schema)
        fields["json_schema"] = schema if bytes(schema) else _ANY_OBJECT  # llama-server's name, where there is no chat
    if asked.logprobs:
        fields["logprobs"] = asked.top_logprobs or 1
    return fields | sampling(asked.options)


def _infill_fields(model: str, asked: GenerateWish) -> dict[str, Any]:
    fields = {"model": model, "stream": asked.streams, "input_prefix": asked.prompt or "", "input_suffix": asked.suffix}
    return fields | sampling(asked.options, limit="n_predict")


def _common(model: str, asked: TextWish) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": model, "stream": asked.streams}
    if asked.streams:
        fields["stream_options"] = {"include_usage": True}
    return fields


def _response_format(schema: msgspec.Raw) -> dict[str, Any]:
    if not bytes(schema):
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def _thinking(thinks: bool | Literal["low", "medium", "high"] | None) -> dict[str, Any]:  # noqa: FBT001 - as in the API
    """Return how a model is told to think: templates call the switch by either name, those of gpt-oss take a level."""
    if thinks is None:
        return {}
    switch: dict[str, Any] = {"enable_thinking": bool(thinks), "thinking": bool(thinks)}
    if isinstance(thinks, bool):
        return {"chat_template_kwargs": switch}
    return {"reasoning_effort": thinks, "chat_template_kwargs": switch | {"reasoning_effort": thinks}}
