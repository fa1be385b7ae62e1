"""In which ways can a start fail that is then made once more?"""

from __future__ import annotations


class BindFailed(Exception):
    """The server could not have its port; `args` says what it printed."""


class HeldFromIt(Exception):
    """The server ended before it was ready, perhaps because we held its port."""


class DiedRestoring(Exception):
    """The server ended while its conversations were restored; without them it may live."""
