"""Where is the part kept that a head has given to this machine?

`part.json` in the state folder, for its owner only: there are commands in it, and what stands in them. It is kept there
and not in a `--config-dir`, which may be read-only, under version control, or another instance's as well.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Final

from claracore.core.cluster.beside import TakenPart
from claracore.core.cluster.part import PartUnreadable, part_as_json, part_of_json
from claracore.host.disk import keep_private, private_folder
from claracore.host.store.files import unwritable

FILE: Final = "part.json"

logger = logging.getLogger("claracore.cluster")


class PartFile:
    """A part on the disk; without a state folder it is in memory only, and the head sends it again after a restart."""

    def __init__(self, state_dir: Path | None) -> None:
        self._path = state_dir / FILE if state_dir is not None else None

    def load(self) -> TakenPart:
        """Return what is kept; none, and a line in the log, for what cannot be read: the head sends it again."""
        if self._path is None:
            return TakenPart()
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return TakenPart(part_of_json(found), {str(name): str(path) for name, path in found["paths"].items()})
        except FileNotFoundError:
            return TakenPart()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, PartUnreadable) as error:
            logger.warning("%s cannot be read (%s): the head sends it again", self._path, type(error).__name__)
            return TakenPart()

    def save(self, taken: TakenPart) -> None:
        """Keep a part, at once and whole; one without models is none. Raises FileUnusable, DiskFull."""
        if self._path is None:
            return
        try:
            if not taken.part.models:
                self._path.unlink(missing_ok=True)
                return
            private_folder(self._path.parent)
            text = json.dumps({**part_as_json(taken.part), "paths": dict(taken.paths)}, indent=2)
            keep_private(self._path, text.encode("utf-8", "surrogatepass"))
        except OSError as error:
            raise unwritable(self._path, error) from error
