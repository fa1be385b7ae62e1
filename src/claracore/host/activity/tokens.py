"""How many tokens, and how fast, according to the answer itself?

Pure: reads `usage` (OpenAI, Anthropic), `timings` (llama-server) and `metrics` (vLLM) as the model server wrote them.
llama-server's timings win where both speak, because they are measured where the work was done. Field names: the OpenAI
API reference (`prompt_tokens_details.cached_tokens`), Anthropic's (`cache_read_input_tokens`), llama.cpp
tools/server/README.md, vLLM's `--per-request-spec-decode-metrics`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec.structs import astuple

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
Speed = Annotated[float, msgspec.Meta(ge=0, lt=1e9)]


class Tokens(msgspec.Struct):
    """What is known about the tokens of one answer."""

    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None
    prompt_per_second: float | None = None
    per_second: float | None = None
    draft: int | None = None
    accepted: int | None = None
    counted: bool = False
    """Whether nobody said how many were written, and they were counted as they came: events may hold several."""


class _Details(msgspec.Struct):
    cached_tokens: Count | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: Count | None = None
    input_tokens: Count | None = None
    completion_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    prompt_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None


class _Timings(msgspec.Struct):
    prompt_n: Count | None = None
    cache_n: Count | None = None
    predicted_n: Count | None = None
    prompt_per_second: Speed | None = None
    predicted_per_second: Speed | None = None
    draft_n: Count | None = None
    draft_n_accepted: Count | None = None


class _Drafts(msgspec.Struct):
    num_draft_tokens: Count | None = None
    num_accepted_draft_tokens: Count | None = None


class _Metrics(msgspec.Struct):
    time_to_first_token_ms: Speed | None = None
    mean_itl_ms: Speed | None = None
    """Of the time between two tokens."""
    speculative_decoding: _Drafts | None = None


class _Whole(msgspec.Struct):
    usage: _Usage | None = None
    timings: _Timings | None = None
    metrics: _Metrics | None = None


_T = TypeVar("_T", bound=msgspec.Struct)
_decode_whole = msgspec.json.Decoder(_Whole).decode


def tokens_in(body: bytes) -> Tokens | None:
    """Read an answer that is one JSON object (1.5 us for 600 bytes); None when it is not, or says odd things."""
    try:
        whole = _decode_whole(body)
    except (msgspec.MsgspecError, RecursionError):
        return None
    found = _tokens(whole.usage, whole.timings)
    return found if whole.metrics is None else _measured(found, whole.metrics)


def tokens_of(usage: Mapping[str, Any], timings: Mapping[str, Any], metrics: Mapping[str, Any]) -> Tokens:
    """Read the three objects; whatever is missing or of an unexpected type is None."""
    return _measured(_tokens(_known(usage, _Usage), _known(timings, _Timings)), _known(metrics, _Metrics))


def _known(values: Mapping[str, Any], kind: type[_T]) -> _T:
    """Take what can be believed, field by field."""
    found = kind()
    if values:
        for field in msgspec.structs.fields(kind):
            if field.name in values:
                with contextlib.suppress(msgspec.ValidationError):
                    setattr(found, field.name, msgspec.convert(values[field.name], field.type))
    return found


def _tokens(usage: _Usage | None, timings: _Timings | None) -> Tokens:
    # Once for each request, therefore without helpers: a call takes as long as three of these lines.
    found = Tokens()
    if usage is not None:
        found.prompt = _whole_input(usage) if usage.prompt_tokens is None else usage.prompt_tokens
        found.completion = usage.output_tokens if usage.completion_tokens is None else usage.completion_tokens
        cached = usage.cache_read_input_tokens if usage.cached_tokens is None else usage.cached_tokens
        details = usage.prompt_tokens_details or usage.input_tokens_details
        found.cached = details.cached_tokens if cached is None and details is not None else cached
    if timings is not None:
        if timings.prompt_n is not None:
            found.prompt = timings.prompt_n + (timings.cache_n or 0)
            found.cached = found.cached if timings.cache_n is None else timings.cache_n
        found.completion = found.completion if timings.predicted_n is None else timings.predicted_n
        found.prompt_per_second = timings.prompt_per_second
        found.per_second = timings.predicted_per_second
        found.draft = timings.draft_n
        found.accepted = timings.draft_n_accepted
    return found


def _measured(found: Tokens, metrics: _Metrics) -> Tokens:
    """Add what vLLM measured, where nothing better is known.

    It has no time for the prompt alone: until the first token, waiting aside, is the nearest.
    """
    first, between, drafts = metrics.time_to_first_token_ms, metrics.mean_itl_ms, metrics.speculative_decoding
    if found.prompt_per_second is None and first and found.prompt is not None:
        found.prompt_per_second = max(0, found.prompt - (found.cached or 0)) / first * 1e3
    if found.per_second is None and between:
        found.per_second = 1e3 / between
    if drafts is not None and found.draft is None and None not in (known := astuple(drafts)):
        found.draft, found.accepted = known
    return found


def _whole_input(usage: _Usage) -> int | None:
    """Return all tokens of the input: Anthropic counts those of the cache apart, the Responses of OpenAI do not."""
    if usage.input_tokens is None:
        return None
    return usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
