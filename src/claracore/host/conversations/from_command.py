"""What do a model's command and file tell of its conversations, before one was saved and when none came back?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from claracore.core.fit.cache import cache_bytes, state_bytes

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


def way_out(command: ReadCommand | None) -> str:
    """Say what would bring conversations back that an engine restores without its layers' windows; empty for others."""
    if command is None or command.expected is None:
        return ""
    facts, settings = command.expected.case.facts, command.expected.found.settings
    if settings.full_window or not any(facts.sliding) or any(state_bytes(facts, settings)):
        return ""
    return "; with --swa-full it could use them, which is one of the choices for this model where memory allows"
