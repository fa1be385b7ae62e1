"""Short ways to write configurations for tests of ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from claracore.core.config.model import Config, ModelConfig
from claracore.core.config.routing import GroupConfig
from claracore.types import Place

PORT_CMD = "llama-server --port ${PORT} -m x.gguf"


def model(model_id: str, cmd: str = PORT_CMD, **more: Any) -> ModelConfig:
    return ModelConfig(id=model_id, cmd=cmd, **more)


def group(name: str, *members: str, **more: Any) -> GroupConfig:
    return GroupConfig(name=name, members=members, **more)


def config(*models: ModelConfig | str, groups: tuple[GroupConfig, ...] = (), **more: Any) -> Config:
    """Return a configuration; ungrouped models are put into the generated group, as `load` does."""
    made = [model(entry) if isinstance(entry, str) else entry for entry in models]
    grouped = {member for each in groups for member in each.members}
    rest = group("(default)", *(entry.id for entry in made if entry.id not in grouped))
    return Config(
        models={entry.id: entry for entry in made}, groups={entry.name: entry for entry in (*groups, rest)}, **more
    )


def places(**lines: int) -> Mapping[str, Place]:
    """Return places in config.yaml; `__` in a name stands for a dot."""
    return {name.replace("__", "."): Place("config.yaml", line, 1) for name, line in lines.items()}
