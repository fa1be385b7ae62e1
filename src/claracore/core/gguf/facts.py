"""What does a GGUF header say about its model?

Reads nothing, guesses nothing: what the header does not say is None or empty. Meanings follow llama.cpp's
`llama_model::load_hparams`; what differs from one architecture to the next is data in `architectures.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import Final, Literal, NamedTuple

from claracore.core.gguf import abilities, architectures
from claracore.core.gguf.header import Array, Header, Tensor, Value
from claracore.core.gguf.model import Kind, LatentAttention, ModelFacts, TensorBytes
from claracore.core.gguf.quantization import quantization_of

MAX_LAYERS: Final = 4096
"""More blocks than this are a broken file, not a model; per-layer tuples are cut there."""

LAYER: Final = re.compile(r"(?:enc\.|dec\.)?blk\.(\d{1,5})\.")
EXPERT: Final = re.compile(r"\.ffn_(?:gate|up|down|gate_up)_(?:ch)?exps\.|\.ffn_(?:gate|up|down)\.\d+\.")
INPUT: Final = re.compile(r"(?:token_embd|position_embd|token_types|per_layer_token_embd)\b|token_embd_norm")
OUTPUT: Final = re.compile(r"output|cls|dense_\d|altup_|per_layer_(?:model_proj|proj_norm)")

Group = Literal["input", "output", "layer", "expert", "other"]


def facts_of(header: Header, *more_shards: Header) -> ModelFacts:
    """Return the facts of one model: its header, and those of its further shards in order.

    Pure; never fails on a header that `read_header` accepted.
    """
    tensors = tuple(chain(header.tensors, *(shard.tensors for shard in more_shards)))
    settings = _Settings(header.metadata)
    kind = abilities.kind_of(header, tensors)
    predicting = settings.number("nextn_predict_layers") or 0
    blocks = 0 if kind is Kind.MMPROJ else min(settings.number("block_count") or 0, MAX_LAYERS)
    layers = max(0, blocks - predicting)
    experts, used = settings.number("expert_count") or 0, settings.number("expert_used_count") or 0
    weights = _weigh(tensors, layers, predicting)
    idle = weights.expert_elements - weights.expert_elements * used // experts if experts and used else 0
    facts = ModelFacts(
        architecture=settings.architecture,
        kind=kind,
        quantization=quantization_of(header.metadata.get("general.file_type"), tensors),
        parameters=weights.elements,
        parameters_active=weights.elements - idle,
        layers=layers,
        prediction_layers=predicting,
        tensor_bytes=weights.bytes,
        file_bytes=header.file_size + sum(shard.file_size for shard in more_shards),
        experts=experts,
        experts_used=used,
        expert_feed_forward=settings.number("expert_feed_forward_length"),
        shards=_count(header.metadata, "split.count") or 1,
        shard_number=_count(header.metadata, "split.no") or 0,
    )
    return _with_abilities(_with_attention(_with_names(facts, settings), settings), settings)


def _with_names(facts: ModelFacts, settings: _Settings) -> ModelFacts:
    return replace(
        facts,
        name=settings.general("name"),
        basename=settings.general("basename"),
        finetune=settings.general("finetune"),
        size_label=settings.general("size_label"),
        version=settings.general("version"),
        organization=settings.general("organization"),
        description=settings.general("description"),
        license=settings.general("license"),
    )


def _with_attention(facts: ModelFacts, settings: _Settings) -> ModelFacts:
    cache = _cache_of(settings, facts.layers)
    return replace(
        facts,
        context_trained=settings.number("context_length"),
        embedding_length=settings.number("embedding_length"),
        embedding_length_out=settings.number("embedding_length_out") or _projection(settings.metadata),
        feed_forward=settings.per_layer("feed_forward_length", facts.layers),
        heads=settings.per_layer("attention.head_count", facts.layers),
        kv_heads=cache.kv_heads,
        head_dim_k=cache.head_dim_k,
        head_dim_v=cache.head_dim_v,
        has_kv_cache=cache.present,
        sliding_window=cache.window,
        sliding=cache.sliding,
        latent_attention=_latent_attention(settings),
        causal=settings.get("attention.causal") is not False,
        recurrent=cache.recurrent,
        state_conv_elements=_conv_state(settings) if any(cache.recurrent) else 0,
        state_ssm_elements=_ssm_state(settings) if any(cache.recurrent) else 0,
        rope_scaling=settings.text("rope.scaling.type"),
        rope_scaling_factor=settings.fraction("rope.scaling.factor"),
        rope_original_context=settings.number("rope.scaling.original_context_length"),
    )


def _with_abilities(facts: ModelFacts, settings: _Settings) -> ModelFacts:
    template = abilities.template_of(settings.metadata)
    vision, audio = _senses(settings, facts.kind, template)
    return replace(
        facts,
        vocab_size=_vocab_size(settings),
        tokenizer=_tokenizer(settings.metadata),
        chat_template=template.present,
        tools=template.tools,
        reasoning=template.reasoning,
        vision=vision,
        audio=audio,
        pooling=abilities.pooling_of(settings.metadata, settings.architecture),
        labels=settings.texts("classifier.output_labels"),
    )


class _Settings:
    """The keys of one architecture, by their short names and with their types checked."""

    def __init__(self, metadata: Mapping[str, Value]) -> None:
        self.metadata = metadata
        architecture = metadata.get("general.architecture")
        self.architecture = architecture if isinstance(architecture, str) else ""

    def get(self, key: str) -> Value | None:
        return self.metadata.get(f"{self.architecture}.{key}")

    def number(self, key: str) -> int | None:
        return _whole(self.get(key))

    def fraction(self, key: str) -> float | None:
        value = self.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def text(self, key: str) -> str | None:
        value = self.get(key)
        return value if isinstance(value, str) else None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.get(key)
        values = value.values if isinstance(value, Array) else None
        return tuple(item for item in values or () if isinstance(item, str))

    def general(self, key: str) -> str | None:
        value = self.metadata.get(f"general.{key}")
        return value.strip() or None if isinstance(value, str) else None

    def per_layer(self, key: str, layers: int) -> tuple[int, ...]:
        """Return a scalar repeated for each layer, or an array cut or filled (with its last value) to `layers`."""
        value = self.get(key)
        if isinstance(value, Array):
            numbers = tuple(_whole(item) or 0 for item in value.values or ())
            return (numbers + numbers[-1:] * (layers - len(numbers)))[:layers]
        number = _whole(value)
        return () if number is None else (number,) * layers


def _whole(value: Value | None) -> int | None:
    """Return a count; None for what is no non-negative whole number of at most 48 bits."""
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int) and 0 <= value < 1 << 48 else None


def _count(metadata: Mapping[str, Value], key: str) -> int | None:
    return _whole(metadata.get(key))


class _Cache(NamedTuple):
    """What each layer keeps of the tokens it has seen."""

    kv_heads: tuple[int, ...]
    head_dim_k: tuple[int, ...]
    head_dim_v: tuple[int, ...]
    present: tuple[bool, ...]
    recurrent: tuple[bool, ...]
    window: int | None
    sliding: tuple[bool, ...]


def _cache_of(settings: _Settings, layers: int) -> _Cache:
    heads = settings.per_layer("attention.head_count", layers)
    kv_heads = settings.per_layer("attention.head_count_kv", layers) or heads
    window, sliding = _sliding(settings, layers)
    recurrent = _recurrent(settings, kv_heads, layers)
    default = (settings.number("embedding_length") or 0) // max(heads, default=0) if any(heads) else 0
    dims = [_head_dims(settings, part, default, sliding) for part in ("key", "value")]
    both = settings.architecture in architectures.BOTH_IN_EACH_LAYER
    own = _layers_with_own_cache(settings, layers)
    present = tuple(
        index < own and index < len(kv_heads) and kv_heads[index] > 0 and (both or not recurrent[index])
        for index in range(layers)
    )
    return _Cache(kv_heads, dims[0], dims[1], present, recurrent, window, sliding)


def _head_dims(settings: _Settings, part: str, default: int, sliding: Sequence[bool]) -> tuple[int, ...]:
    full = settings.number(f"attention.{part}_length") or default
    short = settings.number(f"attention.{part}_length_swa") or full
    return tuple(short if slides else full for slides in sliding)


def _layers_with_own_cache(settings: _Settings, layers: int) -> int:
    if settings.architecture in architectures.WITHOUT_CACHE:
        return 0
    shared = settings.number("attention.shared_kv_layers")
    if shared is not None:
        return max(0, layers - shared)
    return architectures.SHARED_CACHE_FROM_LAYER.get(settings.architecture, layers)


def _sliding(settings: _Settings, layers: int) -> tuple[int | None, tuple[bool, ...]]:
    """Return the window and which layers have it."""
    rule = architectures.SLIDING.get(settings.architecture)
    said = settings.number("attention.sliding_window")
    window = said if said is not None else rule.default_window if rule else None
    pattern = settings.get("attention.sliding_window_pattern")
    if not window or (rule is None and pattern is None):
        return None, (False,) * layers
    window = rule.fixed_window or window if rule else window
    if isinstance(pattern, Array) and pattern.values:
        flags = tuple(bool(flag) for flag in pattern.values)
        return window, tuple(flags[index % len(flags)] for index in range(layers))
    period = _whole(pattern)
    if period is None:
        period = rule.period if rule else 1
    dense = 0 if rule and rule.dense_first else period - 1
    return window, tuple(period == 0 or index % period != dense for index in range(layers))


def _recurrent(settings: _Settings, kv_heads: Sequence[int], layers: int) -> tuple[bool, ...]:
    """Return which layers keep a recurrent state."""
    architecture = settings.architecture
    if architecture in architectures.RECURRENT or architecture in architectures.BOTH_IN_EACH_LAYER:
        return (True,) * layers
    if architecture not in architectures.HYBRID:
        return (False,) * layers
    if architecture.startswith(("qwen3next", "qwen35")):
        interval = settings.number("full_attention_interval") or 4
        return tuple((index + 1) % interval != 0 for index in range(layers))
    feed_forward = settings.per_layer("feed_forward_length", layers)
    if architecture.startswith("nemotron_h"):
        return tuple(
            kv == 0 and feed == 0 for kv, feed in zip(kv_heads, feed_forward or (0,) * layers, strict=False)
        ) or ((False,) * layers)
    return tuple(kv == 0 for kv in kv_heads) or (False,) * layers


def _conv_state(settings: _Settings) -> int:
    """Return llama.cpp's n_embd_r."""
    embedding = settings.number("embedding_length") or 0
    if settings.number("wkv.head_size"):
        return (settings.number("token_shift_count") or 2) * embedding
    if (length := settings.number("shortconv.l_cache")) is not None:
        return embedding * max(0, length - 1)
    kept = max(0, (settings.number("ssm.conv_kernel") or 0) - 1)
    if (head := settings.number("kda.head_dim")) is not None:
        return 3 * kept * head * (settings.per_layer("attention.head_count", 1) or (0,))[0]
    inner, state = settings.number("ssm.inner_size") or 0, settings.number("ssm.state_size") or 0
    return kept * (inner + 2 * (settings.number("ssm.group_count") or 0) * state)


def _ssm_state(settings: _Settings) -> int:
    """Return llama.cpp's n_embd_s."""
    if (head := settings.number("wkv.head_size")) is not None:
        return head * (settings.number("embedding_length") or 0)
    if (head := settings.number("kda.head_dim")) is not None:
        return head * head * (settings.per_layer("attention.head_count", 1) or (0,))[0]
    return (settings.number("ssm.state_size") or 0) * (settings.number("ssm.inner_size") or 0)


def _latent_attention(settings: _Settings) -> LatentAttention | None:
    rank = settings.number("attention.kv_lora_rank")
    if not rank:
        return None
    absorbed = settings.number("attention.key_length_mla") is not None
    return LatentAttention(rank, settings.number("rope.dimension_count") or 0, absorbed)


def _senses(settings: _Settings, kind: Kind, template: abilities.Template) -> tuple[bool, bool]:
    """Return whether the model takes images and sound."""
    if kind is Kind.MMPROJ:
        metadata = settings.metadata
        sound = metadata.get("clip.has_audio_encoder") is True
        return metadata.get("clip.has_vision_encoder") is True or not sound, sound
    return kind is Kind.VISION or template.images, template.sound


def _projection(metadata: Mapping[str, Value]) -> int | None:
    """Return the width in which an mmproj file hands its embeddings to the language model."""
    found = (_count(metadata, f"clip.{sense}.projection_dim") for sense in ("vision", "audio"))
    return next((width for width in found if width), None)


def _vocab_size(settings: _Settings) -> int | None:
    tokens = settings.metadata.get("tokenizer.ggml.tokens")
    return tokens.count if isinstance(tokens, Array) else settings.number("vocab_size")


def _tokenizer(metadata: Mapping[str, Value]) -> str | None:
    model, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    return "/".join(part for part in (model, pre) if isinstance(part, str)) or None


class _Weights(NamedTuple):
    elements: int
    expert_elements: int
    bytes: TensorBytes


def _weigh(tensors: Iterable[Tensor], layers: int, prediction_layers: int) -> _Weights:
    """Sum elements and bytes by where llama.cpp places them."""
    per_layer = [0] * layers
    per_expert_layer = [0] * layers
    sums = {"input": 0, "output": 0, "other": 0, "prediction": 0}
    elements = expert_elements = embedding = 0
    tied = True
    for name, _shape, _type, _offset, count, size in tensors:
        group, layer = _placement(name)
        elements += count
        if group == "expert":
            expert_elements += count
        if 0 <= layer < layers:
            (per_expert_layer if group == "expert" else per_layer)[layer] += size
        elif layer >= layers:
            sums["prediction" if layer < layers + prediction_layers else "other"] += size
        else:
            sums[group] += size
            if name == "token_embd.weight":
                embedding = size
            elif name == "output.weight":
                tied = False
    placed = TensorBytes(
        token_embedding=sums["input"],
        output=sums["output"],
        layers=tuple(per_layer),
        experts=tuple(per_expert_layer),
        other=sums["other"],
        tied_output=tied,
        token_embedding_weight=embedding,
        prediction=sums["prediction"],
    )
    return _Weights(elements, expert_elements, placed)


@lru_cache(maxsize=1 << 14)
def _placement(name: str) -> tuple[Group, int]:
    """Return group and layer (-1 for none) of a tensor. Cached: all models use the same names."""
    match = LAYER.match(name)
    if match:
        return ("expert" if EXPERT.search(name) else "layer"), int(match[1])
    if INPUT.match(name):
        return "input", -1
    return ("output" if OUTPUT.match(name) else "other"), -1
