"""Which models had the other machines when they were heard last?

So that models stay listed over a restart whose machine sleeps, or is away: a request wakes it, or says that it is lost.
`models-of-machines.json` in the state folder; what is in it counts for a machine at the same address only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from claracore.host.state_file import StateFile, typed

FILE: Final = "models-of-machines.json"


@dataclass(frozen=True, slots=True)
class KnownModels:
    """What a machine had."""

    url: str
    models: tuple[str, ...]


class ModelsKnown:
    """What is kept of all machines, by their names; without a state folder nothing is. Blocking."""

    def __init__(self, state_dir: Path | None) -> None:
        path = state_dir / FILE if state_dir is not None else None
        self._file = StateFile(path, typed(dict[str, KnownModels]), flush=True, without="the machines are asked anew")

    def load(self) -> dict[str, KnownModels]:
        """Return what is kept; nothing where that cannot be read: the machines say it anew."""
        return self._file.read() or {}

    def save(self, known: Mapping[str, KnownModels]) -> None:
        """Keep this, and nothing else."""
        self._file.save(dict(known))
