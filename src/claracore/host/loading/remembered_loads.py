"""Where is how long loads took remembered, from one start to the next?

One JSON file in the state folder, as what loads take of memory (`footprints.remembered`), and by the same names of
commands. Losing it is no harm beyond loads of which nothing is expected, so what cannot be read is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from claracore.core.loading.past import PastLoad
from claracore.host.disk import keep_private, private_folder
from claracore.host.locks import locked

FILE: Final = "loads.json"
VERSION: Final = 1
MOST_COMMANDS: Final = 300
OF_EACH_KIND: Final = 4
"""Of each command, so many loads with the file in memory, and so many without."""
PATIENCE_SECONDS: Final = 1.0
logger = logging.getLogger("claracore.loading")

Loads = Mapping[str, tuple[PastLoad, ...]]


class KeptLoads(msgspec.Struct):
    """The file's contents."""

    version: int
    commands: dict[str, tuple[PastLoad, ...]]


class RememberedLoads:
    """The last loads of each command, by its key; for any thread."""

    def __init__(self, state_dir: Path | None) -> None:
        """Without a state folder they are remembered for as long as the object lives."""
        self._path = state_dir / FILE if state_dir is not None else None
        self.loads: Loads = self._read()
        """What is known at this moment, the newest of each command last; another object after each load."""

    def add(self, command: str, load: PastLoad) -> None:
        """Remember one more load; where the disk refuses, which is logged, for as long as the object lives."""
        if self._path is None:
            self.loads = with_load(self.loads, command, load)
            return
        try:
            private_folder(self._path.parent)
            # Without the lock (its owner is frozen) another instance's load may be lost, which is no harm.
            with locked(self._path.with_suffix(".lock"), patience_seconds=PATIENCE_SECONDS):
                self.loads = with_load({**self.loads, **self._read()}, command, load)
                keep_private(self._path, msgspec.json.encode(KeptLoads(VERSION, dict(self.loads))), flush=False)
        except OSError as error:
            logger.warning("how long loads take cannot be remembered: %s", error)
            self.loads = with_load(self.loads, command, load)

    def _read(self) -> Loads:
        if self._path is None:
            return {}
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=KeptLoads)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.warning("%s cannot be read (%s): how long loads take is seen anew", self._path, error)
            return {}
        return {command: loads for command, loads in kept.commands.items() if loads} if kept.version == VERSION else {}


def with_load(loads: Loads, command: str, load: PastLoad) -> Loads:
    """Return what is known after one more load."""
    own = (*loads.get(command, ()), load)
    kept = [each for warm in (True, False) for each in [one for one in own if one.is_warm is warm][-OF_EACH_KIND:]]
    after = {**loads, command: tuple(sorted(kept, key=lambda each: each.at))}
    newest = sorted(after.items(), key=lambda item: -item[1][-1].at)
    return dict(newest[:MOST_COMMANDS])
