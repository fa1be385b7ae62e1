"""What is there to say about a model in a line: what it is, how it is quantized, how much it reads?

For answers that say so beside what the model has written: only what has been read already is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from claracore.host.footprints.model_memory import ModelMemory


class ModelSummary(NamedTuple):
    """What a model's command and file say; empty where they cannot be read."""

    architecture: str = ""
    quantization: str = ""
    context: int = 0
    """Tokens that one request may have."""


AboutModel = Callable[[str], ModelSummary]
"""Tells it by the model's id, at once."""


def nothing_known(_model_id: str) -> ModelSummary:
    """Return what is known of a model where nobody reads commands."""
    return ModelSummary()


def summaries(memory: ModelMemory) -> AboutModel:
    """Return what tells it of the models whose memory is known."""

    def about(model_id: str) -> ModelSummary:
        command = memory.command(model_id)
        expected = command.expected if command is not None else None
        if expected is None:
            return ModelSummary()
        facts = expected.facts
        return ModelSummary(facts.architecture, facts.quantization, expected.request_context)

    return about
