"""Which numbers may a person plan with, on the command line and by the API?"""

from __future__ import annotations

from typing import Final

MOST_GB: Final = 100_000
"""Of memory that is planned with, in GiB."""
LEAST_CONTEXT: Final = 256
"""Tokens, as the next."""
MOST_CONTEXT: Final = 10_000_000
MOST_PARALLEL: Final = 1024
"""Requests that one model answers at a time."""
