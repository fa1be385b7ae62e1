"""What do we want to know about a model file before it runs?

Values only; `facts.py` fills them in. Bytes are bytes in the file, "per layer" tuples have one entry for each of
`ModelFacts.layers` blocks, and `None` or an empty tuple means that the file does not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from claracore.core.gguf.projector import ProjectorFacts
from claracore.core.gguf.widths import NO_WIDTHS, Widths


class Kind(StrEnum):
    """What a file is good for. Those in `SERVABLE` llama-server can serve; the rest is recognised and reported."""

    CHAT = "chat"
    BASE = "base"
    VISION = "vision"
    AUDIO = "audio"
    EMBEDDING = "embedding"
    RERANKER = "reranker"
    DRAFT = "draft"
    DRAFT_HEAD = "draft-head"
    MMPROJ = "mmproj"
    LORA = "lora"
    CONTROL_VECTOR = "control-vector"
    IMATRIX = "imatrix"
    VOCAB_ONLY = "vocab-only"
    IMAGE = "image"
    SPEECH = "speech"
    DIFFUSION = "diffusion"
    OTHER = "other"

    @property
    def servable(self) -> bool:
        """Whether llama-server can serve such a file by itself."""
        return self in SERVABLE


SERVABLE = frozenset(
    {Kind.CHAT, Kind.BASE, Kind.VISION, Kind.AUDIO, Kind.EMBEDDING, Kind.RERANKER, Kind.DRAFT},
)


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek V2 and later): one compressed key for all heads."""

    kv_lora_rank: int
    rope_dimensions: int
    absorbed: bool
    """True when the file has the split `attn_k_b`/`attn_v_b` form: the cache then holds only `kv_lora_rank +
    rope_dimensions` elements per token and layer (kv_heads is 1) and no values. False for old conversions, which cache
    full keys and values."""


@dataclass(frozen=True, slots=True)
class TensorBytes:
    """Bytes of the weights, grouped as they are placed on devices."""

    token_embedding: int
    """`token_embd.weight` and its kind (position, token type, per-layer embeddings): kept in RAM by llama.cpp."""
    output: int
    """`output.*`, `output_norm`, heads (`cls.*`). When tied there is no `output.weight`: llama.cpp then puts a second
    copy of `token_embd.weight` where the output layer is placed; see `tied_output`."""
    layers: tuple[int, ...]
    """Per layer, without the experts."""
    experts: tuple[int, ...]
    """Per layer, routed experts only (`ffn_*_exps`): what `--cpu-moe`/`--n-cpu-moe` keeps in RAM."""
    other: int
    """What belongs to no layer and is neither embedding nor output (`rope_freqs`, projectors, ...)."""
    tied_output: bool
    """No `output.weight` of its own, but the embedding a second time in its place; encoders have neither."""
    token_embedding_weight: int = 0
    """`token_embd.weight` alone: the size of the second copy when tied."""

    prediction: int = 0
    """Next-token-prediction (MTP) layers after the last ordinary one; older engines do not load them."""

    @property
    def total(self) -> int:
        """All weights, each counted once."""
        return self.token_embedding + self.output + sum(self.layers) + sum(self.experts) + self.other + self.prediction


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """All that a header (or the headers of all shards) says about one model."""

    architecture: str
    """`general.architecture`, e.g. `qwen3moe`; "" when the file does not say."""
    kind: Kind
    quantization: str
    """As people write it: `Q4_K_M`, `IQ3_XXS`, `BF16`, `MXFP4`, `UD-Q4_K_XL` needs the file name: `names.py`."""
    parameters: int
    """Counted from the tensors' shapes."""
    parameters_active: int
    """Of these used for one token: routed experts counted as `experts_used / experts`."""
    layers: int
    """`block_count`, without the extra next-token-prediction layers."""
    tensor_bytes: TensorBytes
    file_bytes: int
    """Size of all shards together."""
    widths: Widths = NO_WIDTHS
    prediction_layers: int = 0
    """Next-token-prediction (MTP) layers that follow the ordinary ones."""

    projector: ProjectorFacts | None = None
    """Of an mmproj file."""

    name: str | None = None
    basename: str | None = None
    finetune: str | None = None
    size_label: str | None = None
    version: str | None = None
    organization: str | None = None
    description: str | None = None
    license: str | None = None

    context_trained: int | None = None
    embedding_length: int | None = None
    embedding_length_out: int | None = None
    deepstack_layers: int = 0
    """Layers that pictures enter beside the first one: the input is so many embeddings wider."""
    layer_input_length: int = 0
    """Elements per token that each layer gets of its own, beside the stream (gemma3n)."""
    streams: int = 1
    """Residual streams side by side (gemma3n's AltUp)."""
    feed_forward: tuple[int, ...] = ()
    """Per layer."""
    heads: tuple[int, ...] = ()
    """Query heads per layer; 0 in layers without attention."""
    kv_heads: tuple[int, ...] = ()
    """Per layer; 0 in layers without attention."""
    head_dim_k: tuple[int, ...] = ()
    """Key elements per head, per layer (sliding layers may differ). K elements per token = kv_heads * head_dim_k."""
    head_dim_v: tuple[int, ...] = ()
    has_kv_cache: tuple[bool, ...] = ()
    """Per layer: False in recurrent layers, in layers that share the cache of an earlier one (gemma3n), in encoders."""
    sliding_window: int | None = None
    """Tokens; None when every layer sees the whole context (also where llama.cpp ignores the key)."""
    sliding: tuple[bool, ...] = ()
    """Per layer: sees only `sliding_window` tokens."""
    latent_attention: LatentAttention | None = None
    causal: bool = True

    recurrent: tuple[bool, ...] = ()
    """Per layer: keeps a state of fixed size instead of (falcon-h1: beside) a KV cache."""
    state_conv_elements: int = 0
    """Elements (f32) of rolling state per recurrent layer and sequence; llama.cpp's n_embd_r."""
    state_ssm_elements: int = 0
    """Elements (f32) of recurrent state per recurrent layer and sequence; llama.cpp's n_embd_s."""

    target_width: int | None = None
    """Of a head that drafts for another model: the width of that model's stream."""
    target_layers: tuple[int, ...] = ()
    """The layers of that model which it reads."""

    experts: int = 0
    experts_used: int = 0
    expert_feed_forward: int | None = None

    rope_scaling: str | None = None
    rope_scaling_factor: float | None = None
    rope_original_context: int | None = None

    vocab_size: int | None = None
    tokenizer: str | None = None
    """`tokenizer.ggml.model`/`pre`, e.g. `gpt2/qwen2`: different means different vocabularies."""
    vocab_hash: str | None = None
    """None until asked for: hashing a vocabulary reads all of it. `library/vocabulary.py` proves sameness."""

    chat_template: bool = False
    tools: bool = False
    vision: bool = False
    """Takes images itself or with its mmproj file."""
    audio: bool = False
    reasoning: bool = False
    pooling: str | None = None
    """`none`, `mean`, `cls`, `last` or `rank`."""
    labels: tuple[str, ...] = ()
    """Output labels of a classifier head."""

    shards: int = 1
    shard_number: int = 0
    """0-based number of this file when only one shard was read."""

    def __hash__(self) -> int:
        """Return a number of a few fields that differ between models: what is remembered by facts asks very often."""
        return hash((self.architecture, self.name, self.parameters, self.file_bytes))

    @property
    def dealt_layers(self) -> int:
        """Layers that llama.cpp deals out to devices: those that only predict are among them, though not loaded."""
        return self.layers + self.prediction_layers
