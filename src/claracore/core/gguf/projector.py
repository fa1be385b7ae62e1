"""How large are the encoders of a projector (mmproj), and what do they read at once when a server starts?

A projector makes pictures or sound into what a model reads. llama.cpp tries each encoder once when it loads it, with a
picture whose size depends on the projector's type, and keeps the buffer that this took (clip.cpp, b11434).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from claracore.core.gguf.header import Value
from claracore.core.gguf.keys import count_of
from claracore.core.gguf.tensors import Tensor

SIDES: Final = {
    "dots3note_v": 46, "dots_ocr": 46, "exaone4_5": 46, "glm4v": 46, "glm5v": 46, "hunyuanvl": 32, "kimik25": 64,
    "kimivl": 16, "lfm2": 16, "lightonocr": 16, "ling3vl": 46, "mimovl": 46, "minimax_m3": 16, "muse-glimmer": 32,
    "paddleocr": 28, "phi4": 16, "pixtral": 16, "qwen2.5o": 46, "qwen2.5vl_merger": 46, "qwen2vl_merger": 46,
    "qwen3vl_merger": 46, "youtuvl": 16, "gemma4v": 16,
}  # fmt: skip
"""Tokens along each side of the picture that is tried, where pictures have any size; other types have one size."""
MERGES: Final = {
    "exaone4_5": 2, "gemma3": 4, "gemma4v": 3, "glm4v": 2, "glm5v": 2, "hunyuanvl": 2, "ling3vl": 2, "mimovl": 2,
    "minimax_m3": 2, "muse-glimmer": 2, "paddleocr": 2, "qwen2.5o": 2, "qwen2.5vl_merger": 2, "qwen2vl_merger": 2,
    "qwen3vl_merger": 2, "step3vl": 4, "youtuvl": 2,
}  # fmt: skip
"""Patches along each side of a token, where the file does not say."""
OTHER_PICTURES: Final = frozenset({"deepseekocr", "deepseekocr2", "gemma3nv", "gemma4uv", "yasa2"})
"""No plain vision transformers: convolutions, or a second encoder before it."""
LIKE_WHISPER: Final = frozenset({"glma", "meralion", "musicflamingo", "qwen2.5o", "qwen2a", "ultravox", "voxtral"})
"""Their sound encoder is Whisper's."""
FRAMES: Final = 3000
"""Of sound, 30 seconds; Whisper reads two at a time."""
FLOAT: Final = 4


@dataclass(frozen=True, slots=True)
class Encoder:
    """One encoder, and what it reads at once."""

    positions: int
    """Patches of a picture, or frames of sound, at the size that is tried."""
    input_bytes: int
    """Pixels or frames as floats."""
    width: int
    inner: int
    """Inside its feed-forward part."""
    heads: int
    gated: bool = False
    windowed: bool = False
    """Some layers see only a window, by a mask over all pairs of positions."""
    merged: int = 1
    """Positions that become one token of the model."""
    widest: int = 0
    """The widest of what its last matrices put out, which make tokens of positions."""
    deep: int = 0
    """Layers whose features are kept for the model beside those of the last one."""
    side: int = 0
    """Pixels along each side; 0 for sound."""
    any_size: bool = False
    """Later pictures may be larger than the one that is tried."""


@dataclass(frozen=True, slots=True)
class ProjectorFacts:
    """A projector: its weights, and its encoders if they are such as we know."""

    weight_bytes: int
    encoders: tuple[Encoder, ...] = ()


def projector_of(metadata: Mapping[str, Value], tensors: Sequence[Tensor]) -> ProjectorFacts:
    """Return what a projector's header says; without encoders where one of them is of another kind."""
    size = sum(tensor.size for tensor in tensors)
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    found = []
    if metadata.get("clip.has_vision_encoder") is True:
        found.append(_vision(metadata, shapes))
    if metadata.get("clip.has_audio_encoder") is True:
        found.append(_audio(metadata, shapes))
    encoders = tuple(encoder for encoder in found if encoder is not None)
    return ProjectorFacts(size, encoders if len(encoders) == len(found) else ())


def _vision(metadata: Mapping[str, Value], shapes: Mapping[str, Sequence[int]]) -> Encoder | None:
    kind = _kind(metadata, "vision")
    patch = count_of(metadata, "clip.vision.patch_size")
    sizes = _sizes(metadata, "vision")
    if kind in OTHER_PICTURES or not patch or sizes is None:
        return None
    merge = count_of(metadata, "clip.vision.spatial_merge_size") or MERGES.get(kind, 1)
    merge = count_of(metadata, "clip.vision.projector.scale_factor") or merge
    side = SIDES[kind] * patch * merge if kind in SIDES else count_of(metadata, "clip.vision.image_size") or 0
    if not 0 < side <= MOST_PIXELS:
        return None
    deep = [shape for name, shape in shapes.items() if name.startswith("v.deepstack.") and name.endswith("fc2.weight")]
    return Encoder(
        positions=(side // patch) ** 2 + ("v.class_embd" in shapes),
        input_bytes=side * side * 3 * FLOAT,
        width=sizes[0],
        inner=sizes[1],
        heads=sizes[2],
        gated="v.blk.0.ffn_gate.weight" in shapes,
        windowed=bool(count_of(metadata, "clip.vision.n_wa_pattern")),
        merged=merge * merge,
        widest=_widest(shapes, "mm."),
        deep=len(deep),
        side=side,
        any_size=kind in SIDES,
    )


def _audio(metadata: Mapping[str, Value], shapes: Mapping[str, Sequence[int]]) -> Encoder | None:
    sizes = _sizes(metadata, "audio")
    bins = count_of(metadata, "clip.audio.num_mel_bins")
    if _kind(metadata, "audio") not in LIKE_WHISPER or sizes is None or not bins:
        return None
    return Encoder(
        positions=FRAMES // 2,
        input_bytes=FRAMES * bins * FLOAT,
        width=sizes[0],
        inner=sizes[1],
        heads=sizes[2],
        gated="a.blk.0.ffn_gate.weight" in shapes,
        merged=count_of(metadata, "clip.audio.projector.stack_factor") or 2,
        widest=_widest(shapes, "mm.a."),
    )


MOST_PIXELS: Final = 8192
"""llama.cpp takes no larger side."""


def _kind(metadata: Mapping[str, Value], sense: str) -> str:
    """Return the type of a projector; a file with several encoders names each one's."""
    kind = metadata.get("clip.projector_type") or metadata.get(f"clip.{sense}.projector_type")
    return kind if isinstance(kind, str) else ""


def _sizes(metadata: Mapping[str, Value], sense: str) -> tuple[int, int, int] | None:
    """Return width, inner width and heads; None if one of them is missing."""
    keys = ("embedding_length", "feed_forward_length", "attention.head_count")
    width, inner, heads = (count_of(metadata, f"clip.{sense}.{key}") for key in keys)
    return (width, inner, heads) if width and inner and heads else None


def _widest(shapes: Mapping[str, Sequence[int]], prefix: str) -> int:
    matrices: Iterable[Sequence[int]] = (shape for name, shape in shapes.items() if name.startswith(prefix))
    return max((shape[1] for shape in matrices if len(shape) > 1), default=0)
