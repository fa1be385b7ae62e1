"""Which models are suggested, and what does the hub say about them now?

The list comes with the program (`suggestions.toml`), so that it is there without a network. Where the hub can be
reached, those that are shown are looked at: sizes become those of the files as they are, what is gone is left out, and
what has become gated is marked.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from claracore.core.pull.suggestions import Suggestion, suggestions_of
from claracore.errors import ClaraCoreError, NotFound
from claracore.host.library.hub_access import HubAccess
from claracore.host.library.hub_errors import Gated, HubUnreachable

FILE: Final = Path(__file__).with_name("suggestions.toml")
LOOKING_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Checked:
    """What the hub says of suggestions."""

    there: dict[Suggestion, Suggestion]
    """Each that is there, with the sizes that it has now."""
    gated: frozenset[Suggestion]
    gone: dict[Suggestion, str]
    """What is there no longer, and in which words the hub says so."""
    trouble: str = ""
    """Why the hub could not be asked about all of them; empty when it could."""


@cache
def suggestions() -> tuple[Suggestion, ...]:
    """Return the list that came with the program."""
    with FILE.open("rb") as stream:
        return tuple(suggestions_of(tomllib.load(stream)))


async def checked(hub: HubAccess, wanted: Sequence[Suggestion]) -> Checked:
    """Ask the hub about suggestions, about all at once."""
    answers = await asyncio.gather(*(_looked_at(hub, each) for each in wanted))
    pairs = list(zip(wanted, answers, strict=True))
    return Checked(
        there={each: answer for each, answer in pairs if isinstance(answer, Suggestion)},
        gated=frozenset(each for each, answer in pairs if isinstance(answer, Gated)),
        gone={each: answer.message for each, answer in pairs if isinstance(answer, NotFound)},
        trouble=next(
            (
                answer.message
                for _each, answer in pairs
                if isinstance(answer, ClaraCoreError) and not isinstance(answer, (Gated, NotFound))
            ),
            "",
        ),
    )


async def _looked_at(hub: HubAccess, suggestion: Suggestion) -> Suggestion | ClaraCoreError:
    try:
        async with asyncio.timeout(LOOKING_SECONDS):
            plan, _files = await hub.look(str(suggestion.reference))
    except TimeoutError:
        return HubUnreachable(f"the hub does not answer within {LOOKING_SECONDS:.0f} s")
    except ClaraCoreError as error:
        return error
    return replace(suggestion, bytes=plan.variant.size, projector_bytes=plan.size - plan.variant.size)
