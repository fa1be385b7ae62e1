"""What does each layer of a model keep of the tokens it has seen: keys and values, a window of them, or a state?

Meanings follow llama.cpp's `llama_model::load_hparams`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from claracore.core.gguf import architectures
from claracore.core.gguf.header import Array
from claracore.core.gguf.keys import ArchitectureKeys, whole
from claracore.core.gguf.model import LatentAttention


class LayerCache(NamedTuple):
    """What each layer keeps of the tokens it has seen."""

    kv_heads: tuple[int, ...]
    head_dim_k: tuple[int, ...]
    head_dim_v: tuple[int, ...]
    present: tuple[bool, ...]
    recurrent: tuple[bool, ...]
    window: int | None
    sliding: tuple[bool, ...]


def layer_cache(keys: ArchitectureKeys, layers: int) -> LayerCache:
    """Return what each of `layers` layers keeps."""
    heads = keys.per_layer("attention.head_count", layers)
    kv_heads = keys.per_layer("attention.head_count_kv", layers) or heads
    window, sliding = _sliding(keys, layers)
    recurrent = _recurrent(keys, kv_heads, layers)
    default = (keys.number("embedding_length") or 0) // max(heads, default=0) if any(heads) else 0
    dims = [_head_dims(keys, part, default, sliding) for part in ("key", "value")]
    both = keys.architecture in architectures.BOTH_IN_EACH_LAYER
    own = _layers_with_own_cache(keys, layers)
    present = tuple(
        index < own and index < len(kv_heads) and kv_heads[index] > 0 and (both or not recurrent[index])
        for index in range(layers)
    )
    return LayerCache(kv_heads, dims[0], dims[1], present, recurrent, window, sliding)


def _head_dims(keys: ArchitectureKeys, part: str, default: int, sliding: Sequence[bool]) -> tuple[int, ...]:
    full = keys.number(f"attention.{part}_length") or default
    short = keys.number(f"attention.{part}_length_swa") or full
    return tuple(short if slides else full for slides in sliding)


def _layers_with_own_cache(keys: ArchitectureKeys, layers: int) -> int:
    if keys.architecture in architectures.WITHOUT_CACHE:
        return 0
    shared = keys.number("attention.shared_kv_layers")
    if shared is not None:
        return max(0, layers - shared)
    return architectures.SHARED_CACHE_FROM_LAYER.get(keys.architecture, layers)


def _sliding(keys: ArchitectureKeys, layers: int) -> tuple[int | None, tuple[bool, ...]]:
    """Return the window and which layers have it."""
    rule = architectures.SLIDING.get(keys.architecture)
    named = keys.number("attention.sliding_window")
    window = named if named is not None else rule.default_window if rule else None
    pattern = keys.get("attention.sliding_window_pattern")
    if not window or (rule is None and pattern is None):
        return None, (False,) * layers
    window = rule.fixed_window or window if rule else window
    if isinstance(pattern, Array) and pattern.values:
        flags = tuple(bool(flag) for flag in pattern.values)
        return window, tuple(flags[index % len(flags)] for index in range(layers))
    period = whole(pattern)
    if period is None:
        period = rule.period if rule else 1
    dense = 0 if rule and rule.dense_first else period - 1
    return window, tuple(period == 0 or index % period != dense for index in range(layers))


def _recurrent(keys: ArchitectureKeys, kv_heads: Sequence[int], layers: int) -> tuple[bool, ...]:
    """Return which layers keep a recurrent state."""
    architecture = keys.architecture
    if architecture in architectures.RECURRENT or architecture in architectures.BOTH_IN_EACH_LAYER:
        return (True,) * layers
    if architecture not in architectures.HYBRID:
        return (False,) * layers
    if architecture.startswith(("qwen3next", "qwen35")):
        interval = keys.number("full_attention_interval") or 4
        return tuple((index + 1) % interval != 0 for index in range(layers))
    feed_forward = keys.per_layer("feed_forward_length", layers)
    if architecture.startswith("nemotron_h"):
        return tuple(
            kv == 0 and feed == 0 for kv, feed in zip(kv_heads, feed_forward or (0,) * layers, strict=False)
        ) or ((False,) * layers)
    return tuple(kv == 0 for kv in kv_heads) or (False,) * layers


def conv_state(keys: ArchitectureKeys) -> int:
    """Return llama.cpp's n_embd_r."""
    embedding = keys.number("embedding_length") or 0
    if keys.number("wkv.head_size"):
        return (keys.number("token_shift_count") or 2) * embedding
    if (length := keys.number("shortconv.l_cache")) is not None:
        return embedding * max(0, length - 1)
    kept = max(0, (keys.number("ssm.conv_kernel") or 0) - 1)
    if (head := keys.number("kda.head_dim")) is not None:
        return 3 * kept * head * (keys.per_layer("attention.head_count", 1) or (0,))[0]
    inner, state = keys.number("ssm.inner_size") or 0, keys.number("ssm.state_size") or 0
    return kept * (inner + 2 * (keys.number("ssm.group_count") or 0) * state)


def ssm_state(keys: ArchitectureKeys) -> int:
    """Return llama.cpp's n_embd_s."""
    if (head := keys.number("wkv.head_size")) is not None:
        return head * (keys.number("embedding_length") or 0)
    if (head := keys.number("kda.head_dim")) is not None:
        return head * head * (keys.per_layer("attention.head_count", 1) or (0,))[0]
    return (keys.number("ssm.state_size") or 0) * (keys.number("ssm.inner_size") or 0)


def latent_attention(keys: ArchitectureKeys) -> LatentAttention | None:
    """Return the shape of the compressed cache of multi-head latent attention; None for any other attention."""
    rank = keys.number("attention.kv_lora_rank")
    if not rank:
        return None
    absorbed = keys.number("attention.key_length_mla") is not None
    return LatentAttention(rank, keys.number("rope.dimension_count") or 0, absorbed)
