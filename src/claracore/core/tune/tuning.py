"""Which settings of a model's server are tuned, and how fast did it answer with them?

Values. What is not named is as the model's command has it. Two answers are compared by the time that a typical one
takes: `READ_TOKENS` of prompt and `WRITTEN_TOKENS` of answer, which is a question with some text to it. A difference of
less than `NOTABLE` is noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

READ_TOKENS, WRITTEN_TOKENS = 1000, 250
NOTABLE = 0.03
"""A setting is better when a typical answer takes at least this part less time."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Settings that are other than a model's command has them; None is as it has it."""

    threads: int | None = None
    micro_batch: int | None = None
    """Tokens of a prompt that are computed at once."""
    cpu_experts: int | None = None
    """Layers whose experts stay in RAM."""
    flash_attention: bool | None = None

    @property
    def changes(self) -> dict[str, int | bool]:
        """The settings that are named, by name."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in values if value is not None}

    @property
    def words(self) -> str:
        """What it is, for people."""
        parts = [_words(name, value) for name, value in self.changes.items()]
        return ", ".join(parts) or "as configured"


def _words(name: str, value: float | bool) -> str:  # noqa: FBT001 - a value, not a switch
    match name:
        case "threads":
            return f"{value} thread{'s' * (value != 1)}"
        case "micro_batch":
            return f"prompts by {value} tokens"
        case "cpu_experts":
            return f"experts of {value} layers in RAM" if value else "no experts in RAM"
        case _:
            return f"flash attention {'on' if value else 'off'}"


def tuning_of(changes: Mapping[str, object]) -> Tuning:
    """Return the tuning of settings by name. Raises ValueError for others, and for values that none of them has."""
    numbers: dict[str, int] = {}
    switch: bool | None = None
    for name, value in changes.items():
        if name == "flash_attention" and isinstance(value, bool):
            switch = value
        elif name in LEAST and type(value) is int and value >= LEAST[name]:
            numbers[name] = value
        else:
            raise ValueError(f"{name} cannot be {value!r}")
    return Tuning(**numbers, flash_attention=switch)


LEAST = {"threads": 1, "micro_batch": 1, "cpu_experts": 0}


@dataclass(frozen=True, slots=True)
class Speeds:
    """Tokens per second."""

    reading: float
    """Of a prompt."""
    writing: float | None = None
    """Of an answer; None for a model that writes none."""

    @property
    def answer_seconds(self) -> float:
        """How long a typical answer takes."""
        return READ_TOKENS / self.reading + (WRITTEN_TOKENS / self.writing if self.writing else 0.0)

    @property
    def words(self) -> str:
        """What they are, for people."""
        read = f"reads {rounded(self.reading)}"
        return f"{read} and writes {rounded(self.writing)} tokens/s" if self.writing else f"{read} tokens/s"


def rounded(speed: float) -> str:
    """Write tokens per second with three digits."""
    return f"{speed:.0f}" if speed >= 100 else f"{speed:.1f}" if speed >= 10 else f"{speed:.2f}"


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one run of a model with a tuning: speeds, or why there are none."""

    tuning: Tuning
    speeds: Speeds | None
    failure: str = ""
