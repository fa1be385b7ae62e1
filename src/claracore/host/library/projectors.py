"""Which mmproj file belongs to which language model?

A projector is paired with a model of the same folder (or the folder above it) when their widths agree and either their
names do, or there is no other model that it could belong to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from claracore.core.gguf.model import Kind, ModelFacts
from claracore.core.gguf.names import slug, stem_of
from claracore.core.gguf.quantization import PROJECTOR_ORDER, without_quantization
from claracore.host.library.model import Projector

MARK: Final = re.compile(
    r"(?:^|[-_.])(?:mm-?proj(?:ector)?|clip|vision|encoder|model|vit|audio)(?=$|[-_.])", re.IGNORECASE
)
LISTENERS: Final = frozenset({Kind.CHAT, Kind.BASE, Kind.VISION})


class Speaker(NamedTuple):
    """A language model that a projector may belong to."""

    key: str
    folder: str
    base: str
    facts: ModelFacts


def pair(speakers: Sequence[Speaker], projectors: Iterable[Projector]) -> Mapping[str, Sequence[Projector]]:
    """Return for each model's `key` the projectors that fit it, if any, the best first."""
    paired: dict[str, list[Projector]] = {}
    for projector in projectors:
        for speaker in _owners(projector, speakers):
            paired.setdefault(speaker.key, []).append(projector)
    return {key: sorted(choices, key=_preference) for key, choices in paired.items()}


def _owners(projector: Projector, speakers: Sequence[Speaker]) -> list[Speaker]:
    folders = {str(projector.path.parent), str(projector.path.parent.parent)}
    near = [
        speaker
        for speaker in speakers
        if speaker.folder in folders and speaker.facts.kind in LISTENERS and _fits(projector.facts, speaker.facts)
    ]
    named = [speaker for speaker in near if _same_name(projector, speaker)]
    if named:
        longest = max(len(speaker.base) for speaker in named)
        exact = [speaker for speaker in named if speaker.base == _base(projector)]
        return exact or [speaker for speaker in named if len(speaker.base) == longest]
    same_folder = [speaker for speaker in near if speaker.folder == str(projector.path.parent)] or near
    return same_folder if len({speaker.base for speaker in same_folder}) == 1 else []


def _fits(projector: ModelFacts, model: ModelFacts) -> bool:
    """Whether the widths agree, as far as both are known."""
    widths = (projector.embedding_length_out, model.embedding_length)
    return None in widths or widths[0] == widths[1]


def _base(projector: Projector) -> str:
    return slug(MARK.sub("-", without_quantization(stem_of(projector.path))))


def _same_name(projector: Projector, speaker: Speaker) -> bool:
    base = _base(projector)
    if base and (speaker.base.startswith(base) or base.startswith(speaker.base)):
        return True
    told, own = projector.facts.name, speaker.facts.name
    return not base and told is not None and told == own


def _preference(projector: Projector) -> tuple[int, str]:
    quantization = projector.facts.quantization
    rank = PROJECTOR_ORDER.index(quantization) if quantization in PROJECTOR_ORDER else len(PROJECTOR_ORDER)
    return rank, str(projector.path)
