"""Which program of an installed build is in use? Asked by every start: where none is installed, cheaply."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import platformdirs

from claracore.host.state import user_folder

USE: Final = "use.json"
"""Says which builds are in use; in the folder of engines."""


def engines_folder() -> Path | None:
    """Return what the user's folder of engines is called, whether it is there or not; None without a home."""
    data = user_folder(platformdirs.user_data_path)
    return data / "engines" if data is not None else None


def program_called(binary: str) -> str | None:
    """Return the path of the program in use that is called `binary` (`llama-server`); None where none is installed."""
    root = engines_folder()
    if root is None or not os.path.exists(root / USE):  # noqa: PTH110 - Path's raises where one may not look
        return None
    from claracore.core.engines.sources import SOURCES  # noqa: PLC0415 - see above
    from claracore.host.engines.installed import EngineFolders  # noqa: PLC0415 - see above

    folders = EngineFolders(root)
    named = (folders.in_use(source.name) for source in SOURCES.values() if source.binary == binary)
    return next((str(folders.program(engine)) for engine in named if engine is not None), None)
