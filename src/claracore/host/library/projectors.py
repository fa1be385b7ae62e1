"""Which mmproj file belongs to which language model?

A projector is paired with a model of the same folder (or the folder above it) when their widths agree and either their
names do (`mmproj-gemma3-4b` is of `gemma-3-4b-it`), or there is no other model that it could belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from claracore.core.gguf.model import Kind, ModelFacts
from claracore.core.gguf.names import slug, stem_of
from claracore.core.gguf.quantization import PROJECTOR_ORDER, PROJECTOR_WORDS, without_quantization
from claracore.host.library.model import Projector

TAKES_PROJECTOR: Final = frozenset({Kind.CHAT, Kind.BASE, Kind.VISION})


class LanguageModel(NamedTuple):
    """A language model that a projector may belong to."""

    key: str
    folder: str
    base: str
    facts: ModelFacts


def pair(models: Sequence[LanguageModel], projectors: Iterable[Projector]) -> Mapping[str, Sequence[Projector]]:
    """Return for each model's `key` the projectors that fit it, if any, the best first."""
    paired: dict[str, list[Projector]] = {}
    for projector in projectors:
        for model in _owners(projector, models):
            paired.setdefault(model.key, []).append(projector)
    return {key: sorted(choices, key=_preference) for key, choices in paired.items()}


def _owners(projector: Projector, models: Sequence[LanguageModel]) -> list[LanguageModel]:
    folders = {str(projector.place.parent), str(projector.place.parent.parent)}
    near = [
        model
        for model in models
        if model.folder in folders and model.facts.kind in TAKES_PROJECTOR and _fits(projector.facts, model.facts)
    ]
    named = [model for model in near if _same_name(projector, model)]
    if named:
        longest = max(len(model.base) for model in named)
        exact = [model for model in named if _letters(model.base) == _letters(_base(projector))]
        return exact or [model for model in named if len(model.base) == longest]
    same_folder = [model for model in near if model.folder == str(projector.place.parent)] or near
    return same_folder if len({model.base for model in same_folder}) == 1 else []


def _fits(projector: ModelFacts, model: ModelFacts) -> bool:
    """Whether the widths agree, as far as both are known."""
    widths = (projector.embedding_length_out, model.embedding_length)
    return None in widths or widths[0] == widths[1]


def _base(projector: Projector) -> str:
    return slug(PROJECTOR_WORDS.sub("-", without_quantization(stem_of(projector.place))))


def _letters(name: str) -> str:
    """Return a name without the dashes, which not everybody puts in the same places."""
    return name.replace("-", "")


def _same_name(projector: Projector, model: LanguageModel) -> bool:
    base, other = _letters(_base(projector)), _letters(model.base)
    if base and (other.startswith(base) or base.startswith(other)):
        return True
    return not base and projector.facts.name is not None and projector.facts.name == model.facts.name


def _preference(projector: Projector) -> tuple[int, str]:
    quantization = projector.facts.quantization
    rank = PROJECTOR_ORDER.index(quantization) if quantization in PROJECTOR_ORDER else len(PROJECTOR_ORDER)
    return rank, str(projector.path)
