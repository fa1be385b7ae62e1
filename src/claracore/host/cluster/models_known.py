"""Which models had the other machines when they were heard last?

So that models stay listed over a restart whose machine sleeps, or is away: a request wakes it, or says that it is lost.
`models-of-machines.json` in the state folder; what is in it counts for a machine at the same address only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from claracore.host.disk import keep_private, private_folder

FILE: Final = "models-of-machines.json"

logger = logging.getLogger("claracore.cluster")


@dataclass(frozen=True, slots=True)
class KnownModels:
    """What a machine had."""

    url: str
    models: tuple[str, ...]


class ModelsKnown:
    """What is kept of all machines, by their names; without a state folder nothing is. Blocking."""

    def __init__(self, state_dir: Path | None) -> None:
        self._path = state_dir / FILE if state_dir is not None else None

    def load(self) -> dict[str, KnownModels]:
        """Return what is kept; nothing where that cannot be read: the machines say it anew."""
        if self._path is None:
            return {}
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            return {
                str(name): KnownModels(str(each["url"]), tuple(map(str, each["models"]))) for name, each in kept.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            logger.warning("%s cannot be read (%s): the machines are asked anew", self._path, type(error).__name__)
            return {}

    def save(self, known: Mapping[str, KnownModels]) -> None:
        """Keep this, and nothing else; where that cannot be, it is told in the log."""
        if self._path is None:
            return
        kept = {name: {"url": each.url, "models": each.models} for name, each in known.items()}
        try:
            private_folder(self._path.parent)
            keep_private(self._path, json.dumps(kept, indent=1).encode("utf-8", "surrogatepass"))
        except OSError as error:
            logger.warning("%s cannot be written: %s", self._path, error)
