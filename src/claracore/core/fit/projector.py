"""How much does a projector take while it looks at a picture or listens, and where?

Read off llama.cpp's own allocator (b11434), as in `compute`. Weights and steps lie on the first GPU, pictures and masks
come from RAM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from claracore.core.units import gib

if TYPE_CHECKING:
    from claracore.core.gguf.projector import Encoder, ProjectorFacts

FLOAT: Final = 4
HALF: Final = 2
SHARE: Final = 6
"""An encoder that we do not know computes in about a sixth of its weights."""


def computing_bytes(projector: ProjectorFacts, *, flash_attention: bool) -> int:
    """Return the bytes that the projector's encoders compute in, on the device that has its weights."""
    if not projector.encoders:
        return projector.weight_bytes // SHARE
    return sum(_encoding(encoder, flash_attention=flash_attention) for encoder in projector.encoders)


def input_bytes(projector: ProjectorFacts) -> int:
    """Return the bytes of RAM for what the encoders read."""
    return sum(encoder.input_bytes + _mask(encoder) for encoder in projector.encoders)


def working(projector: ProjectorFacts, *, flash_attention: bool) -> str:
    """Say in words what the projector's bytes are, and up to which size of picture they are counted."""
    weights, size = gib(projector.weight_bytes), computing_bytes(projector, flash_attention=flash_attention)
    if not projector.encoders:
        return f"{weights} of weights and a sixth of it to compute in"
    pictures = [encoder for encoder in projector.encoders if encoder.side]
    what = [f"a picture of {encoder.side} x {encoder.side}" for encoder in pictures]
    if len(pictures) < len(projector.encoders):
        what.append("30 seconds of sound")
    more = "; larger pictures take more" if any(encoder.any_size for encoder in pictures) else ""
    return f"{weights} of weights, {gib(size)} for {' and '.join(what)}{more}"


def _encoding(encoder: Encoder, *, flash_attention: bool) -> int:
    """Return the largest of: attention, the feed-forward part, and making tokens of what came out."""
    stream = encoder.positions * encoder.width * FLOAT
    inner = encoder.positions * encoder.inner * FLOAT
    tokens = encoder.positions // encoder.merged * encoder.widest * FLOAT
    forward = 4 * stream + 3 * inner if encoder.gated else 3 * stream + inner
    if flash_attention:
        # The mask comes as floats and is made into half ones; the gap that it leaves takes one of the inner ones.
        halves = encoder.positions**2 * HALF if encoder.windowed else 0
        steps = [forward + halves, _mask(encoder) + halves + 2 * (stream + inner) if halves else 0]
    else:
        scores = encoder.heads * encoder.positions**2 * FLOAT
        steps = [forward + _mask(encoder), scores + _mask(encoder) + 6 * stream]
    kept = (encoder.deep + 1) * tokens if encoder.deep else 0
    return max(*steps, 2 * tokens + 2 * stream) + kept


def _mask(encoder: Encoder) -> int:
    return encoder.positions**2 * FLOAT if encoder.windowed else 0
