"""Which model file does a command name?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from claracore.core.config.command import split

MODEL_FLAGS = ("--model", "-m")


def model_paths(commands: Mapping[str, str]) -> dict[str, str]:
    """Return id -> model file of commands (macros expanded); those that name none are left out."""
    paths = {}
    for model_id, text in commands.items():
        try:
            words = split(text)
        except ValueError:
            continue
        for word, following in pairwise([*words, ""]):
            name, equals, value = word.partition("=")
            if name in MODEL_FLAGS and (value or following):
                paths[model_id] = value if equals else following
    return paths
