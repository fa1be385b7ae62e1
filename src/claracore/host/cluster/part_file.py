"""Where is the part kept that a head has given to this machine?

`part.json` in the state folder, for its owner only: there are commands in it, and what stands in them. It is kept there
and not in a `--config-dir`, which may be read-only, under version control, or another instance's as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from claracore.core.cluster.beside import TakenPart
from claracore.core.cluster.part import part_as_json, part_of_json
from claracore.host.state_file import StateFile
from claracore.host.store.files import unwritable

FILE: Final = "part.json"


class PartFile:
    """A part on the disk; without a state folder it is in memory only, and the head sends it again after a restart."""

    def __init__(self, state_dir: Path | None) -> None:
        self._path = state_dir / FILE if state_dir is not None else None
        self._file = StateFile(self._path, _of_json, encode=_as_json, flush=True, without="the head sends it again")

    def load(self) -> TakenPart:
        """Return what is kept; none for what cannot be read: the head sends it again."""
        return self._file.read() or TakenPart()

    def save(self, taken: TakenPart) -> None:
        """Keep a part, at once and whole; one without models is none. Raises FileUnusable, DiskFull."""
        if self._path is None:
            return
        try:
            if taken.part.models:
                self._file.write(taken)
            else:
                self._file.remove()
        except OSError as error:
            raise unwritable(self._path, error) from error


def _of_json(found: Any) -> TakenPart:  # noqa: ANN401 - whatever is there
    """Return what a file says. Raises AttributeError, KeyError, PartUnreadable, TypeError."""
    return TakenPart(part_of_json(found), {str(name): str(path) for name, path in found["paths"].items()})


def _as_json(taken: TakenPart) -> dict[str, Any]:
    return {**part_as_json(taken.part), "paths": dict(taken.paths)}
