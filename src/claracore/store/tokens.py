"""How many tokens, and how fast, according to the answer itself?

Pure: reads `usage` (OpenAI, Anthropic) and `timings` (llama-server) as the model server wrote them. llama-server's
timings win where both speak, because they are measured where the work was done. Field names: the OpenAI API reference
(`prompt_tokens_details.cached_tokens`), Anthropic's (`cache_read_input_tokens`), llama.cpp tools/server/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is known about the tokens of one answer."""

    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None
    prompt_per_second: float | None = None
    per_second: float | None = None
    draft: int | None = None
    accepted: int | None = None


def tokens_of(usage: Mapping[str, Any] | None, timings: Mapping[str, Any] | None) -> Tokens:
    """Read both objects; whatever is missing or of an unexpected type is None."""
    usage, timings = usage or {}, timings or {}
    prompt = _count(usage, "prompt_tokens", "input_tokens")
    cached = _count(usage, "cached_tokens", "cache_read_input_tokens")
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    if isinstance(details, Mapping):
        cached = _count(details, "cached_tokens") if cached is None else cached
    completion = _count(usage, "completion_tokens", "output_tokens")
    measured, reused = _count(timings, "prompt_n"), _count(timings, "cache_n")
    if measured is not None:
        prompt, cached = measured + (reused or 0), reused if reused is not None else cached
    predicted = _count(timings, "predicted_n")
    return Tokens(
        prompt=prompt,
        cached=cached,
        completion=predicted if predicted is not None else completion,
        prompt_per_second=_speed(timings, "prompt_per_second"),
        per_second=_speed(timings, "predicted_per_second"),
        draft=_count(timings, "draft_n"),
        accepted=_count(timings, "draft_n_accepted"),
    )


def _count(values: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = values.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53:
            return value
    return None


def _speed(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
        return round(float(value), 3)
    return None
