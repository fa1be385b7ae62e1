"""Is a conversation saved while its model is idle, so that no swap has to wait for that?

Only where nobody notices: after a pause, and if it takes a moment. Saving to memory is meant: a disk would wear out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from claracore.core.conversations.worth import KeepingSpeeds, is_worth_saving

IDLE_SECONDS: Final = 5.0
"""After most answers an agent comes back sooner, and makes an old state of what was saved."""
MOST_SECONDS: Final = 0.25
"""For one conversation: as long may a request wait that comes meanwhile."""
MEMORY_BYTES_PER_SECOND: Final = 1e9
"""Written to memory, where that was not measured yet."""


def is_due(idle_since: float | None, looked_since: float | None, now: float) -> bool:
    """Whether a model is idle for long enough, in another pause than the one in which it was looked at last.

    Both are when the pause began, in seconds of the clock of `now`; None for a model that is busy, or never was idle.
    """
    return idle_since is not None and idle_since != looked_since and now - idle_since >= IDLE_SECONDS


def is_saved_ahead(tokens: int, least: int, speeds: KeepingSpeeds, room: int) -> bool:
    """Whether a conversation that is worth saving is saved in a moment; arguments as of `is_worth_saving`."""
    if not speeds.bytes_per_second:
        speeds = replace(speeds, bytes_per_second=MEMORY_BYTES_PER_SECOND)
    return is_worth_saving(tokens, least, speeds, room) and speeds.writing_seconds(tokens) <= MOST_SECONDS
