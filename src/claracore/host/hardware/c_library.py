"""How is a library called that comes with a driver, and may not be there? (ctypes)"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any, Protocol


class CLibrary(Protocol):
    """A loaded library: its functions as attributes."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a C function has no Python type
        ...


def load_first(names: Iterable[str]) -> CLibrary | None:
    """Load the first library of these names or paths that the loader finds; None when it finds none."""
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
