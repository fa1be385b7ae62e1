"""What is added to the command of an engine so that the conversations of all its slots can be saved?

Only flags that the engine knows, and none of which the command says something itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

SAVE_PATH: Final = "--slot-save-path"
CACHE_IDLE, NO_CACHE_IDLE = "--cache-idle-slots", "--no-cache-idle-slots"
SIMILARITY: Final = frozenset({"-sps", "--slot-prompt-similarity"})
ALIKE: Final = "0.5"
"""The part of a prompt that must be in a slot for it to be taken. With the engine's own 0.1 agents with the same system
prompt take one slot from each other, and read again with each turn what they have said (docs/conversations.md). With
this either mistake costs as much again at most: a turn that is longer than all that was before it is read with that."""


def added_words(words: Sequence[str], folder: str, knows: Callable[[str], bool]) -> tuple[str, ...]:
    """Return what is added; `folder` ends in a slash, `knows` tells which flags the engine has.

    As the engine does by itself, the start of one conversation moves all others from their slots to a cache of which
    nothing comes out.
    """
    written = {word.partition("=")[0] for word in words}
    idle = (NO_CACHE_IDLE,) if knows(NO_CACHE_IDLE) and not {CACHE_IDLE, NO_CACHE_IDLE} & written else ()
    apart = (
        ("--slot-prompt-similarity", ALIKE) if knows("--slot-prompt-similarity") and not SIMILARITY & written else ()
    )
    return (SAVE_PATH, folder, *idle, *apart)
