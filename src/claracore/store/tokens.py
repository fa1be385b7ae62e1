"""How many tokens, and how fast, according to the answer itself?

Pure: reads `usage` (OpenAI, Anthropic) and `timings` (llama-server) as the model server wrote them. llama-server's
timings win where both speak, because they are measured where the work was done. Field names: the OpenAI API reference
(`prompt_tokens_details.cached_tokens`), Anthropic's (`cache_read_input_tokens`), llama.cpp tools/server/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
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
    found = Tokens()
    if usage:
        found.prompt = _count(usage, "prompt_tokens", "input_tokens")
        found.cached = _count(usage, "cached_tokens", "cache_read_input_tokens")
        found.completion = _count(usage, "completion_tokens", "output_tokens")
        details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
        if found.cached is None and isinstance(details, Mapping):
            found.cached = _count(details, "cached_tokens")
    if timings:
        _measured(found, timings)
    return found


def _measured(found: Tokens, timings: Mapping[str, Any]) -> None:
    """Add what llama-server has measured."""
    measured, reused = _count(timings, "prompt_n"), _count(timings, "cache_n")
    if measured is not None:
        found.prompt = measured + (reused or 0)
        found.cached = reused if reused is not None else found.cached
    predicted = _count(timings, "predicted_n")
    if predicted is not None:
        found.completion = predicted
    found.prompt_per_second = _speed(timings, "prompt_per_second")
    found.per_second = _speed(timings, "predicted_per_second")
    found.draft = _count(timings, "draft_n")
    found.accepted = _count(timings, "draft_n_accepted")


def _count(values: Mapping[str, Any], name: str, other: str = "") -> int | None:
    value = values.get(name)
    if type(value) is int and 0 <= value < 1 << 53:  # a bool is no number here
        return value
    return _count(values, other) if other else None


def _speed(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
        return round(float(value), 3)
    return None
