"""Which program of an installed build is in use? Asked by every start: where none is installed, cheaply."""

from __future__ import annotations

import os

from claracore.host.engines.folder import USE, engines_folder


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
