"""Why did a model's server not start: cause, the line that says so, and the way out?

Asked only after a server has ended before it was ready: a line of `known_failures.py` is no failure by itself. Memory
is read elsewhere (`core.memory.allocation_errors`), where bytes and devices count.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from claracore.core.loading.container_failures import KNOWN_OF_CONTAINERS
from claracore.core.loading.failure_kinds import FailureKind, plain_line
from claracore.core.loading.known_failures import KNOWN
from claracore.errors import Explained

SIGNALS: Final = {
    "SIGILL": (
        FailureKind.PROCESSOR,
        "the engine was built for a newer processor than this one",
        "Take a build for this processor; the embedded engine runs on all",
    ),
}


def explain(lines: Collection[str], ended: str = "") -> Explained | None:
    """Return what a server's lines say of why it ended, as `Exit` has it in `ended`; None where none is known."""
    for known in (*KNOWN, *KNOWN_OF_CONTAINERS):
        for line in lines:
            if (match := known.pattern.search(line)) is not None:
                words = _words(match)
                cause, way_out = known.cause.format_map(words), known.way_out.format_map(words)
                return Explained(known.kind, cause, plain_line(line), way_out)
    for signal, (kind, cause, way_out) in SIGNALS.items():
        if signal in ended:
            return Explained(kind, cause, f"the server was {ended}", way_out)
    return None


def not_started(message: str, hint: str = "") -> Explained:
    """Return what it means that a program could not be started; `message` has the way out in parentheses, if any."""
    cause, _, way_out = message.partition(" (")
    way_out = way_out.removesuffix(")")
    ways = "; ".join(filter(None, (way_out, hint.removeprefix("; ")))) or "correct the command"
    return Explained(FailureKind.PROGRAM, cause, "", f"{ways[:1].upper()}{ways[1:]}")


def _words(match: re.Match[str]) -> dict[str, str]:
    """Return the groups by name, those of alternatives (`what2`) by the name of the first."""
    found = {"what": "it", "file": "the file", "flag": "it"}
    return found | {name.rstrip("2345"): text for name, text in match.groupdict().items() if text}
