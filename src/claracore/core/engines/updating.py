"""Is what a project offers an update of the build in use?"""

from __future__ import annotations

import re
from typing import Final

from claracore.core.engines.installed import EngineUse, InstalledEngine
from claracore.errors import Conflict

BY_ITSELF: Final = "latest"
"""The version that a person who names none means: then nothing older is taken."""
_NUMBERS: Final = re.compile(r"\d+")


def is_older(tag: str, present: str) -> bool:
    """Whether a tag is of an earlier build (`b11434` before `b11435`); not where the two are of different kinds."""
    if _NUMBERS.sub("", tag) != _NUMBERS.sub("", present):
        return False
    return [int(number) for number in _NUMBERS.findall(tag)] < [int(number) for number in _NUMBERS.findall(present)]


def why_to_stay(present: InstalledEngine, offered: InstalledEngine, use: EngineUse, version: str) -> str | None:
    """Return why the build in use stays, although another one is offered; None where that is to be taken.

    Raises Conflict for a build that was given up.
    """
    given_up = use.rolled_back.get(present.name)
    if given_up is not None and given_up.given_up == offered.id:
        raise Conflict(
            f"{offered.id} was given up because it could not load {given_up.model!r}; "
            f"`claracore engines use {offered.id}` takes it all the same, if it is still installed"
        )
    if version == BY_ITSELF and is_older(offered.version, present.version):
        return f"it is newer than the project's latest release ({offered.version})"
    return None
