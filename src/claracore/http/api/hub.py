"""How does somebody without a model find one that suits this machine?

Searches the hub, suggests models, and says how what the hub has would run here. Fetching is `downloads`.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from claracore.core.fit.size import SizeVerdict
from claracore.core.pull.found import FoundRepository
from claracore.core.pull.suggestions import Suited
from claracore.host.library.download_files import free_bytes
from claracore.host.library.suggested import Checked
from claracore.host.setup.prospects import Prospect
from claracore.http.api.dependencies import DestinationsDep, ProspectsDep

router = APIRouter(prefix="/api/hub", tags=["downloads"])

LEAST_WORDS, MOST_WORDS = 2, 200
MOST_FOUND = 50


class SearchView(BaseModel):
    """What a search has found, the most used first."""

    words: str
    repositories: list[FoundRepository]


class ProspectsView(BaseModel):
    """Those of the model that a reference means, the smallest first; sums are made by the header of one of them."""

    ref: str
    variants: list[Prospect]


class SuggestionView(BaseModel):
    """A model that suits this machine; `ref` asks for it, `writing` is tokens per second where that can be known."""

    ref: str
    repo: str
    quantization: str
    name: str
    good_for: str
    licence: str
    bytes: int
    parameters: int
    sees: bool
    fit: SizeVerdict
    writing: float | None
    recommended: bool
    gated: bool
    """Whether the hub wants to know first who fetches it; known after a check only."""


class SuggestionsView(BaseModel):
    """Suggestions for this machine, the recommended one first, and where downloads go."""

    suggestions: list[SuggestionView]
    checked: bool
    """Whether the hub has been asked about all of them."""
    unreachable: str | None
    """Why the hub could not be asked; what is listed is then what came with the program."""
    folder: str
    free_bytes: int


@router.get("/search")
async def search(
    prospects: ProspectsDep,
    words: Annotated[str, Query(min_length=LEAST_WORDS, max_length=MOST_WORDS)],
    limit: Annotated[int, Query(ge=1, le=MOST_FOUND)] = 20,
) -> SearchView:
    """Search the hub for models in .gguf files."""
    found = await prospects.hub.found(words.strip(), limit)
    return SearchView(words=words, repositories=found)


@router.get("/prospects")
async def prospects(
    prospects: ProspectsDep, ref: Annotated[str, Query(min_length=1, max_length=2000)]
) -> ProspectsView:
    """Say how each quantization of a model would run here; the header of one is read from the hub."""
    found = await prospects.of(ref)
    return ProspectsView(ref=ref, variants=found)


@router.get("/suggestions")
async def suggested(
    prospects: ProspectsDep,
    destinations: DestinationsDep,
    check: Annotated[bool, Query(description="Ask the hub whether they are as the list says.")] = False,  # noqa: FBT002 - a query parameter
) -> SuggestionsView:
    """Suggest models that suit this machine."""
    shown = await prospects.suggested()
    answers = await prospects.checked(shown) if check else Checked({}, frozenset(), {})
    folder = destinations.usual()
    return SuggestionsView(
        suggestions=[_view(each, answers) for each in shown if each.suggestion not in answers.gone],
        checked=check and not answers.trouble,
        unreachable=answers.trouble or None,
        folder=str(folder),
        free_bytes=await asyncio.to_thread(free_bytes, folder),
    )


def _view(suited: Suited, answers: Checked) -> SuggestionView:
    listed = suited.suggestion
    now = answers.there.get(listed, listed)
    return SuggestionView(
        ref=str(now.reference),
        repo=now.repo,
        quantization=now.quantization,
        name=now.name,
        good_for=now.good_for,
        licence=now.licence,
        bytes=now.total_bytes,
        parameters=now.parameters,
        sees=now.projector_bytes > 0,
        fit=suited.fit,
        writing=round(suited.writing, 1) if suited.writing else None,
        recommended=suited.recommended,
        gated=listed in answers.gated,
    )
