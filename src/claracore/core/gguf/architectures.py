"""What does llama.cpp do differently from one architecture to the next, that a header does not say?

Data only. Sources: llama.cpp `llama_model::load_hparams` (sliding window patterns and defaults), `create_memory` (which
architectures have no cache), `llama-arch.cpp` (recurrent and hybrid architectures), as of 2026.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Sliding(NamedTuple):
    """Which layers slide: of `period` layers all but the last (or all but the first with `dense_first`)."""

    period: int
    dense_first: bool = False
    default_window: int | None = None
    """The window where the file gives none; None means that such a file does not slide."""
    fixed_window: int | None = None
    """llama.cpp uses this, whatever the file says."""


SLIDING: Final[dict[str, Sliding]] = {
    "gemma2": Sliding(2, default_window=4096),
    "gemma3": Sliding(6),
    "gemma3n": Sliding(5),
    "gemma4": Sliding(6),
    "gemma-embedding": Sliding(6),
    "cohere2": Sliding(4),
    "gpt-oss": Sliding(2),
    "llama4": Sliding(4, default_window=8192, fixed_window=8192),
    "olmo2": Sliding(4),
    "exaone4": Sliding(4),
    "exaone-moe": Sliding(4),
    "smallthinker": Sliding(4, dense_first=True),
    "afmoe": Sliding(4),
    "plamo3": Sliding(8),
    "modern-bert": Sliding(3, dense_first=True),
}
"""Others slide only when the file has a `sliding_window_pattern`; phi3's window is ignored by llama.cpp."""

WITHOUT_CACHE: Final = frozenset(
    [
        "bert",
        "jina-bert-v2",
        "jina-bert-v3",
        "nomic-bert",
        "nomic-bert-moe",
        "neo-bert",
        "eurobert",
        "modern-bert",
        "gemma-embedding",
        "wavtokenizer-dec",
        "dream",
        "llada",
        "llada-moe",
        "rnd1",
        "t5encoder",
    ]
)
"""No KV cache: encoders and diffusion language models."""

ENCODERS: Final = frozenset(
    [
        "bert",
        "jina-bert-v2",
        "jina-bert-v3",
        "nomic-bert",
        "nomic-bert-moe",
        "neo-bert",
        "eurobert",
        "modern-bert",
        "gemma-embedding",
        "t5encoder",
        "llama-embed",
    ]
)
"""Made for embeddings (rerankers when they have a classifier head)."""

WITHOUT_OUTPUT: Final = frozenset(
    ["bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "neo-bert", "modern-bert", "eurobert"]
)
"""No output matrix, nor one made of the token embedding."""

RECURRENT: Final = frozenset(["mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"])
"""Every layer keeps a state, none a KV cache."""

HYBRID: Final = frozenset(
    [
        "jamba",
        "falcon-h1",
        "plamo2",
        "granitehybrid",
        "lfm2",
        "lfm2moe",
        "nemotron_h",
        "nemotron_h_moe",
        "qwen3next",
        "qwen35",
        "qwen35moe",
        "kimi-linear",
    ]
)
"""Some layers keep a state: those with no KV heads, or all but every `full_attention_interval`-th."""

BOTH_IN_EACH_LAYER: Final = frozenset({"falcon-h1"})

SHARED_CACHE_FROM_LAYER: Final[dict[str, int]] = {"gemma3n": 20}
"""Layers from this one on reuse an earlier layer's cache, whatever the file says."""

VISION: Final = frozenset(
    [
        "qwen2vl",
        "qwen3vl",
        "qwen3vlmoe",
        "mllama",
        "cogvlm",
        "chameleon",
        "paddleocr",
        "hunyuan_vl",
        "deepseek2-ocr",
        "glm4v",
        "glm4vmoe",
    ]
)
"""Language halves of vision models; the other half is their mmproj file."""

SPEECH: Final = frozenset(
    ["whisper", "wavtokenizer-dec", "snac", "kokoro", "parler-tts", "dia", "orpheus", "encodec", "mimi", "csm"]
)
"""Speech encoders, vocoders and speech models of other engines."""

IMAGE: Final = frozenset(
    [
        "flux",
        "flux2",
        "sd1",
        "sdxl",
        "sd3",
        "aura",
        "hidream",
        "cosmos",
        "ltxv",
        "hyvid",
        "wan",
        "lumina2",
        "qwen_image",
        "z_image",
        "pig",
        "vae",
        "chroma",
        "kandinsky5",
        "omnigen2",
    ]
)
"""Image and video generators (ComfyUI, stable-diffusion.cpp)."""

ENCODER_DECODERS: Final = frozenset({"t5"})

DIFFUSION: Final = frozenset(["dream", "llada", "llada-moe", "rnd1"])
"""Language models that write all tokens at once, in rounds: llama-diffusion-cli runs them, llama-server cannot."""

DRAFT_HEADS: Final = frozenset(["eagle", "eagle2", "eagle3", "dflash", "medusa"])
"""Heads that only draft for another model."""
