"""Where is how long loads took remembered, from one start to the next?

One JSON file in the state folder, as what loads take of memory (`footprints.remembered`), and by the same names of
commands. Losing it is no harm beyond loads of which nothing is expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from claracore.core.loading.past import PastLoad
from claracore.host.state_file import StateFile, typed

FILE: Final = "loads.json"
VERSION: Final = 1
MOST_COMMANDS: Final = 300
OF_EACH_KIND: Final = 4
"""Of each command, so many loads with the file in memory, and so many without."""

Loads = Mapping[str, tuple[PastLoad, ...]]


class KeptLoads(msgspec.Struct):
    """The file's contents."""

    version: int
    commands: dict[str, tuple[PastLoad, ...]]


class RememberedLoads:
    """The last loads of each command, by its key; for any thread."""

    def __init__(self, state_dir: Path | None) -> None:
        """Without a state folder they are remembered for as long as the object lives."""
        path = state_dir / FILE if state_dir is not None else None
        self._file = StateFile(path, typed(KeptLoads), version=VERSION, without="how long loads take is seen anew")
        self.loads: Loads = _loads_of(self._file.read())
        """What is known at this moment, the newest of each command last; another object after each load."""

    def add(self, command: str, load: PastLoad) -> None:
        """Remember one more load; where the disk refuses, for as long as the object lives."""

        def edit(kept: KeptLoads | None) -> KeptLoads:
            self.loads = with_load({**self.loads, **_loads_of(kept)}, command, load)
            return KeptLoads(VERSION, dict(self.loads))

        self._file.change(edit)


def _loads_of(kept: KeptLoads | None) -> Loads:
    return {command: loads for command, loads in kept.commands.items() if loads} if kept is not None else {}


def with_load(loads: Loads, command: str, load: PastLoad) -> Loads:
    """Return what is known after one more load."""
    own = (*loads.get(command, ()), load)
    kept = [each for warm in (True, False) for each in [one for one in own if one.is_warm is warm][-OF_EACH_KIND:]]
    after = {**loads, command: tuple(sorted(kept, key=lambda each: each.at))}
    newest = sorted(after.items(), key=lambda item: -item[1][-1].at)
    return dict(newest[:MOST_COMMANDS])
