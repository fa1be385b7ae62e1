"""What does a request of Ollama's API ask for?

Pure: the body of `/api/chat`, `/api/generate`, `/api/embed` or `/api/embeddings` as values. Every number, length of
time and format is checked here; what becomes of them is `ollama_calls`. Members that are not known are passed over, as
Ollama does. Facts: docs/api.md and api/types.go of github.com/ollama/ollama.
"""

from __future__ import annotations

import math
import re
from reprlib import repr as shown
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from claracore.errors import BadRequest
from claracore.http.wire.engine_answers import NOTHING

Think = bool | Literal["low", "medium", "high"] | None
_LEVELS: Final = ("low", "medium", "high")

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_FOREVER_SECONDS = 2**63 / 1e9
"""What Ollama cannot count any more, in nanoseconds."""
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_PART = re.compile(rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"([+-]?)(?:0|((?:{_PART.pattern})+)|({_NUMBER}))")


class CalledFunction(msgspec.Struct):
    """What a model has called: the arguments are an object, where OpenAI has text."""

    name: str
    arguments: msgspec.Raw = NOTHING


class OllamaToolCall(msgspec.Struct):
    """One call of a tool; `id` is there since 0.12."""

    function: CalledFunction
    id: str = ""


class OllamaMessage(msgspec.Struct):
    """One message of a conversation."""

    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[OllamaToolCall] | None = None
    tool_name: str | None = None
    """Of a message of role `tool`: whose result it is."""
    tool_call_id: str | None = None
    name: str | None = None
    """As `tool_name`, of older clients."""


class NamedFunction(msgspec.Struct):
    """A function that a model may call; what else there is to say is the model server's to read."""

    name: str


class OllamaTool(msgspec.Struct):
    """A tool that a model may use; Ollama does not look at its `type`, which some clients leave out."""

    function: msgspec.Raw

    def checked(self) -> msgspec.Raw:
        """Return the function. Raises `BadRequest` for one without a name."""
        try:
            msgspec.json.decode(self.function, type=NamedFunction)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise BadRequest(f"one of the 'tools' is no function with a name: {error}", param="tools") from error
        return self.function


class OllamaWish(msgspec.Struct):
    """What all requests have."""

    keep_alive: Any = None
    options: dict[str, Any] | None = None

    @property
    def keep_seconds(self) -> float | None:
        """For how long the model is to stay loaded without requests (inf: always). Raises `BadRequest`."""
        return seconds_of(self.keep_alive)


class TextWish(OllamaWish):
    """What requests have whose answer is text."""

    stream: bool | None = None
    format: msgspec.Raw = NOTHING
    think: Any = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None

    @property
    def streams(self) -> bool:
        """Whether the answer comes piece by piece."""
        return self.stream is not False

    @property
    def schema(self) -> msgspec.Raw | None:
        """The JSON schema of the answer; empty for any object, None for text. Raises `BadRequest`."""
        wanted = bytes(self.format)
        if wanted in {b"", b"null", b'""'}:
            return None
        if wanted == b'"json"':
            return NOTHING
        if wanted.startswith(b"{"):
            return self.format
        raise BadRequest("'format' must be \"json\" or a JSON schema", param="format")

    @property
    def thinks(self) -> Think:
        """Whether the model is to think, and how much; None where the model decides. Raises `BadRequest`."""
        if self.think is None or isinstance(self.think, bool):
            return self.think
        for level in _LEVELS:
            if self.think == level:
                return level
        raise BadRequest(
            f'\'think\' must be true, false, "low", "medium" or "high", and not {shown(self.think)}', param="think"
        )


class ChatWish(TextWish):
    """POST /api/chat."""

    messages: list[OllamaMessage] | None = None
    tools: list[OllamaTool] | None = None


class GenerateWish(TextWish):
    """POST /api/generate. Not used: `template` (the server has the model's own) and `context` (of older versions)."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    images: list[str] | None = None
    raw: bool | None = None


class EmbedWish(OllamaWish):
    """POST /api/embed."""

    input: str | list[str] | None = None
    dimensions: int | None = None


class EmbeddingsWish(OllamaWish):
    """POST /api/embeddings, the older call for one text."""

    prompt: str | None = None


_T = TypeVar("_T", bound=OllamaWish)
_decoders: dict[type[OllamaWish], msgspec.json.Decoder[Any]] = {}


def read(body: bytes, kind: type[_T]) -> _T:
    """Return what a body says. Raises `BadRequest`."""
    decoder = _decoders.get(kind) or _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    try:
        asked: _T = decoder.decode(str(body, "utf-8"))  # all of it: a `Raw` is passed over unread
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadRequest(f"the body is not what this call takes: {error}") from error
    except RecursionError as error:
        raise BadRequest("the JSON body is nested too deeply") from error
    return asked


def seconds_of(keep_alive: object) -> float | None:
    """Return a length of time in seconds: a number of them, or one in Go's notation; inf for one below 0.

    Raises `BadRequest`.

    >>> [seconds_of(each) for each in (None, 300, "5m", "1h30m", "1.5s", "0", -1, "-1", "-1m")]
    [None, 300.0, 300.0, 5400.0, 1.5, 0.0, inf, inf, inf]
    """
    if keep_alive is None or keep_alive == "":
        return None
    if isinstance(keep_alive, str) and (found := _DURATION.fullmatch(keep_alive)) is not None:
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(found[2] or ""))
        seconds += float(found[5] or 0)
        return math.inf if (found[1] == "-" and seconds) or seconds >= _FOREVER_SECONDS else seconds
    if isinstance(keep_alive, int | float) and not isinstance(keep_alive, bool):
        return float(keep_alive) if 0 <= keep_alive < _FOREVER_SECONDS else math.inf
    raise BadRequest(
        f"'keep_alive' must be a number of seconds or a length of time such as \"5m\", and not {shown(keep_alive)}",
        param="keep_alive",
    )
