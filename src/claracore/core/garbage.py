"""Why does the garbage collector wait while a file is read, and while ClaraCore starts?

A large file becomes some hundred thousand objects that refer to each other in one direction only, so reference counts
free them. The collector would walk all of them again and again while they are made, for a third of the time, and find
nothing. What start-up makes stays (`host/memory.py`).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the collector from running for the length of a block; if it is off already, it stays off."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
