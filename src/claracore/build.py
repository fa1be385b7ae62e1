"""How was this ClaraCore built?"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from claracore import __version__


def version_text() -> str:
    """Return the version for people; it says so when the modules that tools/compile.py lists are machine code."""
    gateway = find_spec("claracore.http.gateway.exchange")
    compiled = gateway is not None and Path(gateway.origin or "").suffix not in {"", ".py", ".pyc"}
    return f"{__version__} (compiled)" if compiled else __version__
