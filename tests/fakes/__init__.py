"""How does a test get a scriptable model server? (flags: `fake_server.py`'s docstring)."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("fake_server.py")


def command(*flags: str) -> list[str]:
    """Return the argv of a fake model server."""
    return [sys.executable, "-E", "-S", str(SCRIPT), *flags]
