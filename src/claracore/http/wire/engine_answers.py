"""What do model servers write in an answer: a chunk of a stream, or all of it?

Pure: OpenAI's chat completions and completions, llama-server's infill, and embeddings, as far as they are translated
for clients of other APIs. `reasoning_content` is llama-server's word for thoughts, `reasoning` that of newer vLLM.
Members that are not named here are passed over.
"""

from __future__ import annotations

import msgspec

NOTHING = msgspec.Raw(b"")


class FunctionDelta(msgspec.Struct):
    """A function that is called: in a stream, pieces of its name and of its arguments, which are JSON as text."""

    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(msgspec.Struct):
    """A call of a tool, or a piece of it: `index` says of which."""

    index: int = 0
    id: str | None = None
    function: FunctionDelta | None = None


class EngineMessage(msgspec.Struct):
    """A message, or a piece of it."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class LogProbs(msgspec.Struct):
    """How likely each token was; Ollama has OpenAI's shape for each."""

    content: msgspec.Raw = NOTHING


class EngineChoice(msgspec.Struct):
    """One choice: `delta` in a stream of chat, `message` in its whole, `text` where there is no chat."""

    delta: EngineMessage | None = None
    message: EngineMessage | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: LogProbs | None = None


class EngineUsage(msgspec.Struct):
    """Tokens, as OpenAI counts them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class EngineTimings(msgspec.Struct):
    """Tokens and milliseconds, as llama-server measures them; those from the cache are no part of `prompt_n`."""

    cache_n: int | None = None
    prompt_n: int | None = None
    prompt_ms: float | None = None
    predicted_n: int | None = None
    predicted_ms: float | None = None


class EngineAnswer(msgspec.Struct):
    """A chunk of a stream, or a whole answer."""

    choices: list[EngineChoice] = msgspec.field(default_factory=list)
    usage: EngineUsage | None = None
    timings: EngineTimings | None = None
    error: msgspec.Raw = NOTHING
    content: str | None = None
    """Of infill, as what follows."""
    stop: bool = False
    stop_type: str | None = None


class Vector(msgspec.Struct):
    """The vector of one text, as the bytes that came."""

    embedding: msgspec.Raw
    index: int = 0


class EngineVectors(msgspec.Struct):
    """The answer to a request for embeddings."""

    data: list[Vector]
    usage: EngineUsage | None = None


read_answer = msgspec.json.Decoder(EngineAnswer).decode
read_vectors = msgspec.json.Decoder(EngineVectors).decode
read_vector = msgspec.json.Decoder(list[float]).decode
