"""Published shapes with layers whose memory does not grow with the context."""

from __future__ import annotations

from published import published

QK = ("query norms",)
Q4 = "Q4_K_M"


def every(kv_heads: int, layers: int, chosen: set[int]) -> tuple[int, ...]:
    """Return KV heads per layer: none but in the chosen layers, which are counted from 0."""
    return tuple(kv_heads if layer in chosen else 0 for layer in range(layers))


def ssm(*, inner: int, state: int, rank: int, groups: int, kernel: int = 4) -> dict[str, object]:
    return {
        ".ssm.conv_kernel": kernel, ".ssm.inner_size": inner, ".ssm.state_size": state,
        ".ssm.time_step_rank": rank, ".ssm.group_count": groups,
    }  # fmt: skip


GRANITE_ATTENTION = {5, 15, 25, 35}
NEMOTRON = "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME"
"""Mamba, experts, or attention (`*`): one of them in each layer."""


def at(value: int, pattern: str, kind: str) -> tuple[int, ...]:
    """Return the value per layer: 0 but in layers of this kind."""
    return tuple(value if letter == kind else 0 for letter in pattern)


HYBRIDS = (
    published(
        "mamba2-2.7b-Q4_K_M", "state-spaces/mamba2-2.7b", has=("older names",),
        arch="mamba2", layers=64, embedding=2560, heads=0, kv_heads=0, ff=0, vocab=50288, context=1048576, quant=Q4,
        tied=True, keys=ssm(inner=5120, state=128, rank=80, groups=1),
    ),
    published(
        "granite-4-h-small-Q4_K_M", "ibm-granite/granite-4.0-h-small", has=("older names",),
        arch="granitehybrid", layers=40, embedding=4096, heads=32, kv_heads=every(8, 40, GRANITE_ATTENTION), ff=768,
        vocab=100352, context=131072, quant=Q4, tied=True, experts=72, used=10, expert_ff=768,
        keys=ssm(inner=8192, state=128, rank=128, groups=1)
        | {".expert_shared_feed_forward_length": 1536, ".rope.dimension_count": 128},
    ),
    published(
        "falcon-h1-7b-Q4_K_M", "tiiuae/Falcon-H1-7B-Instruct", has=("older names",),
        arch="falcon-h1", layers=44, embedding=3072, heads=12, kv_heads=2, head_dim=128, ff=12288, vocab=130048,
        context=262144, quant=Q4, keys=ssm(inner=3072, state=256, rank=24, groups=1),
    ),
    published(
        "lfm2-1.2b-Q4_K_M", "LiquidAI/LFM2-1.2B", has=QK,
        arch="lfm2", layers=16, embedding=2048, heads=32, kv_heads=every(8, 16, {2, 5, 8, 10, 12, 14}), ff=8192,
        vocab=65536, context=128000, quant=Q4, tied=True, keys={".shortconv.l_cache": 3},
    ),
    published(
        "nemotron-3-nano-30b-a3b-Q4_K_M", "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
        has=("older names",), lacks="ffn_latent",
        arch="nemotron_h_moe", layers=52, embedding=2688, heads=32, kv_heads=at(2, NEMOTRON, "*"), head_dim=128,
        ff=at(1856, NEMOTRON, "E"), vocab=131072, context=262144, quant=Q4, experts=128, used=6, expert_ff=1856,
        keys=ssm(inner=4096, state=128, rank=64, groups=8)
        | {
            ".expert_shared_feed_forward_length": 3712, ".expert_shared_count": 1, ".expert_weights_norm": True,
            ".expert_weights_scale": 2.5, ".rope.dimension_count": 84,
        },
    ),
    published(
        "qwen3-next-80b-a3b-Q4_K_M", "Qwen/Qwen3-Next-80B-A3B-Instruct", has=QK,
        arch="qwen3next", layers=48, embedding=2048, heads=16, kv_heads=2, head_dim=256, ff=5120, vocab=151936,
        context=262144, quant=Q4, experts=512, used=10, expert_ff=512,
        keys=ssm(inner=4096, state=128, rank=32, groups=16)
        | {
            ".expert_shared_feed_forward_length": 512, ".full_attention_interval": 4, ".rope.dimension_count": 64,
        },
    ),
    published(
        "qwen3.5-27b-Q4_K_M", "Qwen/Qwen3.5-27B", has=QK,
        arch="qwen35", layers=64, embedding=5120, heads=24, kv_heads=4, head_dim=256, ff=17408, vocab=248320,
        context=262144, quant=Q4,
        keys=ssm(inner=6144, state=128, rank=48, groups=16)
        | {".full_attention_interval": 4, ".rope.dimension_count": 64, ".rope.dimension_sections": [11, 11, 10, 0]},
    ),
    published(
        "qwen3.5-35b-a3b-Q4_K_M", "Qwen/Qwen3.5-35B-A3B", has=QK,
        arch="qwen35moe", layers=40, embedding=2048, heads=16, kv_heads=2, head_dim=256, ff=512, vocab=248320,
        context=262144, quant=Q4, experts=256, used=8, expert_ff=512,
        keys=ssm(inner=4096, state=128, rank=32, groups=16)
        | {
            ".expert_shared_feed_forward_length": 512, ".full_attention_interval": 4, ".rope.dimension_count": 64,
            ".rope.dimension_sections": [11, 11, 10, 0],
        },
    ),
    published(
        "kimi-linear-48b-a3b-Q4_K_M", "moonshotai/Kimi-Linear-48B-A3B-Instruct",
        arch="kimi-linear", layers=27, embedding=2304, heads=32, kv_heads=every(1, 27, {3, 7, 11, 15, 19, 23, 26}),
        ff=9216, vocab=163840, context=1048576, quant=Q4, experts=256, used=8, expert_ff=1024,
        keys={
            ".attention.kv_lora_rank": 512, ".attention.key_length": 576, ".attention.value_length": 512,
            ".attention.key_length_mla": 192, ".attention.value_length_mla": 128, ".rope.dimension_count": 64,
            ".ssm.conv_kernel": 4, ".kda.head_dim": 128, ".expert_shared_count": 1, ".leading_dense_block_count": 1,
            ".expert_weights_scale": 2.446, ".expert_gating_func": 2,
        },
    ),
)  # fmt: skip
