"""Our estimate against llama.cpp's where memory is not a plain cache: latent attention, recurrent state, both, windows.

All tensors that llama.cpp insists on are there; the data is a hole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from claracore.core.fit.cache import cache_bytes, state_bytes
from claracore.core.fit.memory import estimate
from claracore.core.fit.settings import Settings
from claracore.core.gguf.types import ValueType
from claracore.host.library.scan import scan
from fit.oracle import ask
from zoo.synthetic import Image, TensorSpec, Typed, build, write

MIB = 1024**2
MAIN = "Q8_0"


def matrix(name: str, *shape: int, kind: str = MAIN) -> TensorSpec:
    return TensorSpec(f"{name}.weight", shape, kind)


def vector(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, shape)


def feed_forward(block: str, suffix: str, width: int, inner: int, *more: int, kind: str = MAIN) -> list[TensorSpec]:
    down = matrix(f"{block}.ffn_down{suffix}", inner, width, *more, kind=kind)
    return [*(matrix(f"{block}.ffn_{part}{suffix}", width, inner, *more, kind=kind) for part in ("gate", "up")), down]


def ends(width: int, vocab: int, *, tied: bool = False, norm: str = "output_norm") -> list[TensorSpec]:
    ends = [matrix("token_embd", width, vocab), vector(f"{norm}.weight", width)]
    return ends if tied else [*ends, matrix("output", width, vocab)]


def image(architecture: str, layers: int, width: int, keys: dict[str, Any], tensors: list[TensorSpec]) -> Image:
    own = {"block_count": layers, "embedding_length": width, "attention.layer_norm_rms_epsilon": 1e-5, **keys}
    head = {"general.architecture": architecture, "general.type": "model", "tokenizer.ggml.model": "no_vocab"}
    return build(head | {f"{architecture}.{key}": value for key, value in own.items()}, tensors)


def deepseek2() -> Image:
    """V2 Lite as it is converted today: the cache holds one compressed key of 512 + 64 elements, and no values."""
    layers, width, heads = 27, 2048, 16
    keys = {
        "context_length": 163840, "feed_forward_length": 10944, "attention.head_count": heads, "vocab_size": 102400,
        "attention.head_count_kv": 1, "attention.kv_lora_rank": 512, "attention.key_length": 576,
        "attention.value_length": 512, "attention.key_length_mla": 192, "attention.value_length_mla": 128,
        "rope.dimension_count": 64, "expert_count": 64, "expert_used_count": 6, "expert_shared_count": 2,
        "expert_feed_forward_length": 1408, "leading_dense_block_count": 1, "expert_weights_scale": 1.0,
        "expert_weights_norm": False, "expert_gating_func": 1,
    }  # fmt: skip
    tensors = ends(width, 102400)
    for block in (f"blk.{layer}" for layer in range(layers)):
        tensors += [vector(f"{block}.{name}.weight", width) for name in ("attn_norm", "ffn_norm")]
        tensors += [
            vector(f"{block}.attn_kv_a_norm.weight", 512),
            matrix(f"{block}.attn_q", width, heads * 192),
            matrix(f"{block}.attn_kv_a_mqa", width, 576),
            matrix(f"{block}.attn_k_b", 128, 512, heads),
            matrix(f"{block}.attn_v_b", 512, 128, heads),
            matrix(f"{block}.attn_output", heads * 128, width),
        ]
        if block == "blk.0":
            tensors += feed_forward(block, "", width, 10944)
        else:
            tensors += feed_forward(block, "_exps", width, 1408, 64) + feed_forward(block, "_shexp", width, 2816)
            tensors.append(vector(f"{block}.ffn_gate_inp.weight", width, 64))
    return image("deepseek2", layers, width, keys, tensors)


def mamba() -> Image:
    """A state of fixed size in every layer, and no cache."""
    layers, width, inner, state, rank = 64, 2560, 5120, 16, 160
    keys = {
        "context_length": 1048576, "feed_forward_length": 0, "attention.head_count": 0, "ssm.conv_kernel": 4,
        "ssm.inner_size": inner, "ssm.state_size": state, "ssm.time_step_rank": rank, "vocab_size": 50280,
    }  # fmt: skip
    tensors = ends(width, 50280, tied=True)
    for block in (f"blk.{layer}" for layer in range(layers)):
        tensors += [
            vector(f"{block}.attn_norm.weight", width),
            matrix(f"{block}.ssm_in", width, 2 * inner),
            vector(f"{block}.ssm_conv1d.weight", 4, inner),
            vector(f"{block}.ssm_conv1d.bias", inner),
            matrix(f"{block}.ssm_x", inner, rank + 2 * state),
            matrix(f"{block}.ssm_dt", rank, inner),
            vector(f"{block}.ssm_dt.bias", inner),
            vector(f"{block}.ssm_a", state, inner),
            vector(f"{block}.ssm_d", inner),
            matrix(f"{block}.ssm_out", inner, width),
        ]
    return image("mamba", layers, width, keys, tensors)


def lfm2() -> Image:
    """A cache in 6 layers, a rolling state in the other 10."""
    layers, width, caching = 16, 2048, {2, 5, 8, 10, 12, 14}
    kv_heads = [8 if layer in caching else 0 for layer in range(layers)]
    keys = {
        "context_length": 128000, "feed_forward_length": 8192, "attention.head_count": 32, "vocab_size": 65536,
        "attention.head_count_kv": Typed(ValueType.INT32, kv_heads), "shortconv.l_cache": 3,
    }  # fmt: skip
    tensors = ends(width, 65536, tied=True, norm="token_embd_norm")
    for layer in range(layers):
        block = f"blk.{layer}"
        tensors += [vector(f"{block}.{name}.weight", width) for name in ("attn_norm", "ffn_norm")]
        tensors += feed_forward(block, "", width, 8192)
        if layer in caching:
            tensors += [vector(f"{block}.attn_{part}_norm.weight", 64) for part in "qk"]
            tensors += [matrix(f"{block}.attn_{part}", width, 512) for part in "kv"]
            tensors += [matrix(f"{block}.attn_{part}", width, width) for part in ("q", "output")]
        else:
            tensors += [
                vector(f"{block}.shortconv.conv.weight", 3, width),
                matrix(f"{block}.shortconv.in_proj", width, 3 * width),
                matrix(f"{block}.shortconv.out_proj", width, width),
            ]
    return image("lfm2", layers, width, keys, tensors)


def gpt_oss() -> Image:
    """Every other layer sees 128 tokens."""
    layers, width, experts = 24, 2880, 32
    keys = {
        "context_length": 131072, "feed_forward_length": width, "attention.head_count": 64, "vocab_size": 201088,
        "attention.head_count_kv": 8, "attention.key_length": 64, "attention.value_length": 64,
        "attention.sliding_window": 128, "expert_count": experts, "expert_used_count": 4,
        "expert_feed_forward_length": width,
    }  # fmt: skip
    tensors = ends(width, 201088)
    for block in (f"blk.{layer}" for layer in range(layers)):
        tensors += [vector(f"{block}.{name}.weight", width) for name in ("attn_norm", "post_attention_norm")]
        tensors += [vector(f"{block}.attn_sinks.weight", 64), vector(f"{block}.ffn_gate_inp.weight", width, experts)]
        tensors += [vector(f"{block}.ffn_gate_inp.bias", experts), vector(f"{block}.attn_output.bias", width)]
        for part, size in (("q", 4096), ("k", 512), ("v", 512)):
            tensors += [matrix(f"{block}.attn_{part}", width, size), vector(f"{block}.attn_{part}.bias", size)]
        tensors.append(matrix(f"{block}.attn_output", 4096, width))
        tensors += feed_forward(block, "_exps", width, width, experts, kind="MXFP4")
        tensors += [vector(f"{block}.ffn_{part}_exps.bias", width, experts) for part in ("gate", "up", "down")]
    return image("gpt-oss", layers, width, keys, tensors)


@pytest.mark.processes
@pytest.mark.parametrize("context", [8192, 32768])
@pytest.mark.parametrize("make", [deepseek2, mamba, lfm2, gpt_oss], ids=lambda make: make.__name__)
def test_what_llama_cpp_would_take(make: Any, context: int, tmp_path: Path) -> None:
    path = write(tmp_path / "model-7b.gguf", make())
    (model,) = scan([path]).models
    answer = ask(path, n_ctx=context)
    assert answer.complete, "".join(answer.lines)
    settings = Settings(context)
    assert sum(cache_bytes(model.facts, settings)) / MIB == pytest.approx(sum(answer.cache_mib), abs=0.1)
    assert sum(state_bytes(model.facts, settings)) / MIB == pytest.approx(answer.state_mib, abs=0.1)
    assert estimate(model.facts, settings).total / MIB == pytest.approx(answer.total_mib, rel=0.02)
