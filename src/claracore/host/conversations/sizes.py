"""How many bytes does a token of a conversation take, before one was saved?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from claracore.core.fit.cache import cache_bytes

if TYPE_CHECKING:
    from claracore.host.footprints.command_reader import ReadCommand


def token_bytes(command: ReadCommand | None) -> float | None:
    """Return the most that each token of a conversation leaves in the caches of all layers; None if that is not known.

    Layers with a window leave nothing more once it is full.
    """
    if command is None or command.expected is None:
        return None
    facts, settings = command.expected.case.facts, command.expected.found.settings
    return sum(cache_bytes(facts, replace(settings, full_window=True))) / max(1, settings.context)
