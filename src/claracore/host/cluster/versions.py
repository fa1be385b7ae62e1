"""Which versions run here that must go together with those of other machines?"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from claracore import __version__ as own
from claracore.core.cluster.invitation import Versions


def own_versions() -> Versions:
    """Return them; asking for Ray's does not import it."""
    return Versions(own, platform.python_version(), ray_version())


def ray_version() -> str:
    """Return the version of Ray; empty where it is not installed, or is of no use."""
    try:
        return version("ray") if sys.platform == "linux" else ""
    except PackageNotFoundError:
        return ""
