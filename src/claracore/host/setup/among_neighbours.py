"""How would a set-up of the folder that one model lies in place it, among all that lie beside it? Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from claracore.core.fit.budget import Budget
from claracore.core.fit.case import EMBEDDERS, Case, Wishes
from claracore.core.fit.catalog import LIGHT_CONTEXT, Candidate, Catalog, Chosen, Refused, choose, is_light
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.memory import Companions
from claracore.core.fit.plan import Placement
from claracore.core.memory.measured import Learnt
from claracore.errors import BadRequest
from claracore.host.library.cache import ReadingCache
from claracore.host.library.model import Library, LibraryModel
from claracore.host.library.scan import scan
from claracore.host.library.walk import around
from claracore.host.setup.survey import candidates_of


@dataclass(frozen=True, slots=True)
class AmongNeighbours:
    """One model, what it was planned for, and how it is placed."""

    model: LibraryModel
    case: Case
    """With the memory that it was planned into, and no more context than a set-up gives it."""
    placement: Placement
    helpers: Sequence[str]
    """Ids of the embedders and rerankers beside it whose memory was set apart first."""


def among_neighbours(
    file: Path, budget: Budget, wishes: Wishes, known_flags: KnownFlags, *, learnt: Learnt, cache: ReadingCache
) -> AmongNeighbours:
    """Read a model with what lies beside it, and place all. Raises BadRequest with the reason why it is not served."""
    library = scan(around(file), cache=cache)
    model = _model(file, library)
    candidates, unnameable = candidates_of(library.models, learnt)
    catalog = choose(candidates, budget, wishes, known_flags)
    placed: list[Chosen | Refused] = [*catalog.chosen, *catalog.refused]
    found = next((one for one in placed if one.candidate.path == str(model.path)), None)
    if found is None:
        reason = next(left.reason for left in unnameable if left.path == model.path)
        raise BadRequest(f"{file} cannot be served: it {reason}")
    candidate, placement = found.candidate, found.placement
    companions = Companions(candidate.projector, learnt=candidate.learnt)
    wishes = replace(wishes, comfort=_comfort(candidate, placement, budget))
    case = Case(candidate.facts, placement.budget, wishes, known_flags, companions)
    return AmongNeighbours(model, case, placement, _helpers(candidate, placement, catalog, budget))


def _comfort(candidate: Candidate, placement: Placement, budget: Budget) -> int | None:
    """Return the most context with which a set-up plans a model."""
    if candidate.facts.kind in EMBEDDERS:
        return placement.settings.context  # inputs may have been shortened for the sake of others
    return LIGHT_CONTEXT if is_light(candidate.facts, budget) else None


def _helpers(candidate: Candidate, placement: Placement, catalog: Catalog, budget: Budget) -> list[str]:
    if candidate.facts.kind in EMBEDDERS or placement.budget == budget:
        return []
    return [one.candidate.id for one in catalog.chosen if one.candidate.facts.kind in EMBEDDERS]


def _model(file: Path, library: Library) -> LibraryModel:
    """Return the model that a file is of: with its other shards, its projector and its id among its neighbours."""
    real = file.resolve()
    for model in library.models:
        if real in {path.resolve() for path in (*model.paths, *model.copies)}:
            return model
    reasons = [left.reason for left in library.left_out if left.path.resolve() == real]
    owners = [one.id for one in library.models if one.projector is not None and one.projector.path.resolve() == real]
    reasons += [f"a projector (mmproj), which is served with {owner}: name the model's file" for owner in owners]
    reasons.append("it is no model file (*.gguf), or only a part of one")
    raise BadRequest(f"{file} cannot be served: {reasons[0]}")
