"""What must change in an old file so that it works here without surprises?

One thing: llama-swap and the first ClaraCore gave models ports from 5800, which is where ClaraCore itself listens. A
file that really conflicts with the listen port gets another startPort; comments and all other bytes stay. A pure
function of the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from claracore.core.config.edit import EditRefused, put
from claracore.core.config.lines import read_plain
from claracore.core.config.model import DEFAULT_START_PORT
from claracore.core.config.tree import Unreadable


@dataclass(frozen=True, slots=True)
class Migrated:
    """The new text and a sentence for each change; the same text and no sentence if nothing needs to change."""

    text: str
    changes: tuple[str, ...]


def migrate(text: str, *, listen_port: int, says: Mapping[str, object] | None = None) -> Migrated:
    """Return `text` without a startPort that is `listen_port`. A text that is no YAML, or edits itself badly, stays.

    A startPort that comes from a macro is left alone: the web port is never handed out anyway. `says` is the text as
    plain data, where it has been read already.
    """
    try:
        found = (read_plain(text) if says is None else says).get("startPort")
        if isinstance(found, bool) or found not in (listen_port, str(listen_port)):
            return Migrated(text, ())
        start = DEFAULT_START_PORT if listen_port != DEFAULT_START_PORT else DEFAULT_START_PORT + 1
        changed = put(text, ("startPort",), start)
    except (Unreadable, EditRefused):
        return Migrated(text, ())
    sentence = f"startPort {listen_port} -> {start}: port {listen_port} is ClaraCore's own"
    return Migrated(changed, (sentence,))
