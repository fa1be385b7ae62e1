"""Where are the engines of this user?"""

from __future__ import annotations

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
