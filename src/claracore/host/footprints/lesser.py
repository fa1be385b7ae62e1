"""Which models start with less than their command says, because memory was short for all of it?

The configuration is not changed. What worked is remembered in the state folder, by the command that did not, so that
the next start begins with it; it is over when that command is another one (or its file, engine or devices are), or when
there is clearly more memory than there was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from claracore.core.config.model import ModelConfig
from claracore.core.fit.step_down import Lesser
from claracore.core.memory.footprint import DeviceMemory
from claracore.core.units import MIB
from claracore.host.state_file import StateFile, typed

FILE: Final = "lesser.json"
VERSION: Final = 1
MOST: Final = 100
CLEARLY_MORE: Final = 256 * MIB
CLEARLY_MORE_PART: Final = 20
"""Or one part in so many of the device, if that is more: what is free varies all the time."""
logger = logging.getLogger("claracore.memory")


class KeptLesser(msgspec.Struct, frozen=True):
    """What a command is replaced with."""

    cmd: str
    values: dict[str, int]
    """What is different, as `core.fit.step_down.with_values` takes it."""
    change: str
    """What is less, for people."""
    beyond: dict[str, int]
    """Bytes of each device that were not enough for the model's own command."""
    at: float
    """Unix seconds."""


Lessers = dict[str, KeptLesser]
"""By the key of the model's own command."""


class KeptLessers(msgspec.Struct):
    """The file's contents."""

    version: int
    commands: Lessers


@dataclass(frozen=True, slots=True)
class Lessened:
    """A model that starts with less."""

    own: ModelConfig
    key: str
    """Of its own command."""
    kept: KeptLesser

    @property
    def model(self) -> ModelConfig:
        """The model as it is started."""
        return self.own.model_copy(update={"cmd": self.kept.cmd})


class LesserCommands:
    """The models that start with less; for any thread."""

    def __init__(self, state_dir: Path | None) -> None:
        """Without a state folder it is remembered for as long as the object lives."""
        path = state_dir / FILE if state_dir is not None else None
        self._file = StateFile(path, typed(KeptLessers), version=VERSION, without="models are started as configured")
        self._kept = _lessers_of(self._file.read())
        self._active: dict[str, Lessened] = {}
        self._offered: dict[str, Lessened] = {}

    def as_started(self, model: ModelConfig) -> ModelConfig:
        """Return a model as it is started."""
        found = self.of(model)
        return found.model if found is not None else model

    def applied(self, models: Mapping[str, ModelConfig]) -> Mapping[str, ModelConfig]:
        """Return models as they are started."""
        if not self._active:
            return models
        return {**models, **{model_id: self.as_started(models[model_id]) for model_id in self._active.keys() & models}}

    def of(self, model: ModelConfig) -> Lessened | None:
        """Return with what a model, as configured, is started instead; None for its own command."""
        found = self._active.get(model.id)
        return found if found is not None and _written(found.own) == _written(model) else None

    def is_lesser(self, model: ModelConfig) -> bool:
        """Whether this is a model as it is started with less."""
        found = self._active.get(model.id)
        return found is not None and found.kept.cmd == model.cmd

    def offer(self, lesser: Lessened) -> None:
        """Keep what a model may be started with, until `lessen` says that it is."""
        self._offered[lesser.own.id] = lesser

    def lessen(self, model_id: str) -> None:
        """Start a model with what was offered from now on."""
        if (lesser := self._offered.pop(model_id, None)) is not None:
            self._active[model_id] = lesser
            logger.warning("model %s: memory is short; it is started with %s", model_id, lesser.kept.change)

    def recall(self, model: ModelConfig, key: str) -> ModelConfig:
        """Return a model as it is started, by what is remembered of its command."""
        kept = self._kept.get(key)
        if kept is not None and model.id not in self._active:
            self._active[model.id] = Lessened(model, key, kept)
            logger.warning("model %s: memory was short; it is started with %s", model.id, kept.change)
        return self.as_started(model)

    def worked(self, model_id: str) -> None:
        """Remember with what a model has become ready. Blocking."""
        found = self._active.get(model_id)
        if found is not None and self._kept.get(found.key) != found.kept:
            self._change(lambda kept: {**kept, found.key: found.kept})

    def drop(self, model_id: str) -> None:
        """Start a model with its own command again. Blocking."""
        self._offered.pop(model_id, None)
        found = self._active.pop(model_id, None)
        if found is not None and found.key in self._kept:
            self._change(lambda kept: {key: each for key, each in kept.items() if key != found.key})

    def reconsider(self, devices: Mapping[str, DeviceMemory], running: Mapping[str, object]) -> list[str]:
        """Have models that do not run started with their own commands where there is clearly more memory now.

        Returns which. Blocking.
        """
        enough = [
            model_id
            for model_id, found in list(self._active.items())
            if model_id not in running
            and all(
                device in devices and _has_clearly_more(devices[device], size)
                for device, size in found.kept.beyond.items()
            )
        ]
        for model_id in enough:
            logger.info("model %s: there is more memory than there was; it is started as configured", model_id)
            self.drop(model_id)
        return enough

    def _change(self, edit: Callable[[Lessers], Lessers]) -> None:
        """Change what is kept, by this process and by others."""

        def edited(kept: KeptLessers | None) -> KeptLessers:
            newest = sorted(edit(_lessers_of(kept)).items(), key=lambda item: -item[1].at)
            return KeptLessers(VERSION, dict(newest[:MOST]))

        self._kept = self._file.change(edited).commands


def _lessers_of(kept: KeptLessers | None) -> Lessers:
    return kept.commands if kept is not None else {}


def lessened(model: ModelConfig, key: str, less: Lesser, beyond: Mapping[str, int]) -> Lessened:
    """Return a model that may be started with less; `beyond` was not enough for its own command."""
    return Lessened(
        model, key, KeptLesser(less.cmd, dict(less.values), less.change, dict(beyond), round(time.time(), 3))
    )


def _has_clearly_more(device: DeviceMemory, size: int) -> bool:
    return device.usable >= size + max(CLEARLY_MORE, device.total // CLEARLY_MORE_PART)


def _written(model: ModelConfig) -> tuple[str, tuple[str, ...]]:
    return model.cmd, model.env
