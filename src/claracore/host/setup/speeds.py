"""How fast will models be on this machine, and how fast were they? Blocking."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from claracore.core.config.load import load
from claracore.core.fit.gpu_speeds import gpu_speed
from claracore.core.fit.machine import Hardware
from claracore.core.fit.memory import Estimate
from claracore.core.fit.model_paths import model_paths
from claracore.core.fit.settings import Settings
from claracore.core.fit.speed import MachineSpeed, ModelSpeed, corrected, predicted_speed
from claracore.core.gguf.model import ModelFacts
from claracore.errors import ClaraCoreError
from claracore.host.activity.database import activity_path
from claracore.host.activity.past_speeds import past_speeds
from claracore.host.hardware.ram_speed import ram_bandwidth
from claracore.host.setup.write import SetupReport
from claracore.host.store import files
from claracore.host.supervisor.configuration import Sources


@dataclass(frozen=True, slots=True)
class PlacedModel:
    """A model as it is to run."""

    path: str
    facts: ModelFacts
    settings: Settings
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class KnownSpeeds:
    """What is known of speeds here."""

    machine: MachineSpeed
    seen: Mapping[str, ModelSpeed] = field(default_factory=dict)
    """What was measured of models, by file."""

    def of(self, models: list[PlacedModel]) -> dict[str, ModelSpeed]:
        """Return the speed of each model, by file: as measured, else predicted, and corrected by what was measured."""
        expected = {
            model.path: predicted_speed(model.facts, model.settings, model.estimate, self.machine) for model in models
        }
        past = [(expected[path], seen) for path, seen in self.seen.items() if path in expected]
        return {
            path: replace(self.seen[path], in_ram=speed.in_ram) if path in self.seen else corrected(speed, past)
            for path, speed in expected.items()
        }


def speeds_here(hardware: Hardware, config: Path, state_dir: Path | None) -> KnownSpeeds:
    """Look at the machine, and at what the activity of a configuration says of its models' files."""
    return KnownSpeeds(machine_speed(hardware, state_dir), _seen(config, state_dir))


def speeds_of(report: SetupReport, state_dir: Path | None) -> dict[str, ModelSpeed]:
    """Return the speeds of the models that a set-up has configured, by file."""
    placed = [
        PlacedModel(item.candidate.path, item.candidate.facts, item.placement.settings, item.placement.loaded)
        for item in report.catalog.chosen
    ]
    return speeds_here(report.hardware, report.path, state_dir).of(placed)


def machine_speed(hardware: Hardware, state_dir: Path | None) -> MachineSpeed:
    """Return what the machine's memory and processors can do; its RAM is measured, once."""
    known = [gpu_speed(gpu.name) for gpu in hardware.gpus]
    bandwidth = ram_bandwidth(hardware, state_dir)
    return MachineSpeed(
        bandwidth,
        hardware.processor.threads,
        # What shares RAM and is not known by name is as fast as the RAM.
        tuple(
            speed.bandwidth if speed is not None else bandwidth if gpu.unified else None
            for gpu, speed in zip(hardware.gpus, known, strict=True)
        ),
        tuple(speed.operations if speed is not None else None for speed in known),
    )


def _seen(config: Path, state_dir: Path | None) -> dict[str, ModelSpeed]:
    if not config.exists():
        return {}
    try:
        loaded = load(files.read(config), file=str(config), env=os.environ).config
    except ClaraCoreError:
        return {}
    if loaded is None:
        return {}
    seen = past_speeds(activity_path(loaded.store.path, Sources(config).key, state_dir))
    paths = model_paths({name: model.cmd for name, model in loaded.models.items() if name in seen})
    return {os.path.abspath(path): seen[name] for name, path in paths.items()}  # noqa: PTH100 - text, as written
