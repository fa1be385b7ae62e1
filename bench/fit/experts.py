"""Published shapes with routed experts, which may stay in RAM."""

from __future__ import annotations

from published import Published, published

QK = ("query norms",)
Q4 = "Q4_K_M"


def gpt_oss(name: str, source: str, layers: int, experts: int) -> Published:
    return published(
        name, source, has=("qkv biases", "output biases", "feed-forward biases"),
        arch="gpt-oss", layers=layers, embedding=2880, heads=64, kv_heads=8, head_dim=64, ff=2880, vocab=201088,
        context=131072, quant="MXFP4", experts=experts, used=4, expert_ff=2880,
        keys={".attention.sliding_window": 128, ".rope.dimension_count": 64, ".rope.freq_base": 150000.0},
    )  # fmt: skip


def latent(rank: int, *, nope: int, rope: int, value: int) -> dict[str, object]:
    """Return the keys of multi-head latent attention, in the form whose cache holds the compressed keys."""
    return {
        ".attention.kv_lora_rank": rank, ".attention.key_length": rank + rope, ".attention.value_length": rank,
        ".attention.key_length_mla": nope + rope, ".attention.value_length_mla": value, ".rope.dimension_count": rope,
    }  # fmt: skip


EXPERTS = (
    published(
        "mixtral-8x7b-Q4_K_M", "mistralai/Mixtral-8x7B-Instruct-v0.1",
        arch="llama", layers=32, embedding=4096, heads=32, kv_heads=8, ff=14336, vocab=32000, context=32768, quant=Q4,
        experts=8, used=2, expert_ff=14336, keys={".rope.dimension_count": 128},
    ),
    published(
        "olmoe-1b-7b-Q4_K_M", "allenai/OLMoE-1B-7B-0924-Instruct", has=QK,
        arch="olmoe", layers=16, embedding=2048, heads=16, kv_heads=16, ff=1024, vocab=50304, context=4096, quant=Q4,
        experts=64, used=8, expert_ff=1024,
    ),
    published(
        "qwen3-30b-a3b-Q4_K_M", "Qwen/Qwen3-30B-A3B-Instruct-2507", has=QK,
        arch="qwen3moe", layers=48, embedding=2048, heads=32, kv_heads=4, head_dim=128, ff=6144, vocab=151936,
        context=262144, quant=Q4, experts=128, used=8, expert_ff=768, keys={".rope.dimension_count": 128},
    ),
    published(
        "qwen3-235b-a22b-Q4_K_M", "Qwen/Qwen3-235B-A22B", has=QK,
        arch="qwen3moe", layers=94, embedding=4096, heads=64, kv_heads=4, head_dim=128, ff=12288, vocab=151936,
        context=40960, quant=Q4, experts=128, used=8, expert_ff=1536, keys={".rope.dimension_count": 128},
    ),
    gpt_oss("gpt-oss-20b-mxfp4", "openai/gpt-oss-20b", 24, 32),
    gpt_oss("gpt-oss-120b-mxfp4", "openai/gpt-oss-120b", 36, 128),
    published(
        "deepseek-v2-lite-Q4_K_M", "deepseek-ai/DeepSeek-V2-Lite-Chat",
        arch="deepseek2", layers=27, embedding=2048, heads=16, kv_heads=1, ff=10944, vocab=102400, context=163840,
        quant=Q4, experts=64, used=6, expert_ff=1408,
        keys=latent(512, nope=128, rope=64, value=128)
        | {".expert_shared_count": 2, ".leading_dense_block_count": 1, ".expert_gating_func": 1},
    ),
    published(
        "deepseek-r1-671b-Q4_K_M", "deepseek-ai/DeepSeek-R1", has=("query compression",),
        arch="deepseek2", layers=61, embedding=7168, heads=128, kv_heads=1, ff=18432, vocab=129280, context=163840,
        quant=Q4, experts=256, used=8, expert_ff=2048,
        keys=latent(512, nope=128, rope=64, value=128)
        | {
            ".attention.q_lora_rank": 1536, ".expert_shared_count": 1, ".leading_dense_block_count": 3,
            ".expert_gating_func": 2, ".expert_weights_norm": True, ".expert_weights_scale": 2.5,
            ".expert_group_count": 8, ".expert_group_used_count": 4,
        },
    ),
    published(
        "llama-4-scout-Q4_K_M", "meta-llama/Llama-4-Scout-17B-16E-Instruct", has=("rope factors",),
        arch="llama4", layers=48, embedding=5120, heads=40, kv_heads=8, head_dim=128, ff=16384, vocab=202048,
        context=10485760, quant=Q4, experts=16, used=1, expert_ff=8192,
        keys={".interleave_moe_layer_step": 1, ".rope.dimension_count": 128},
    ),
    published(
        "glm-4.5-air-Q4_K_M", "zai-org/GLM-4.5-Air", has=("qkv biases",),
        arch="glm4moe", layers=47, embedding=4096, heads=96, kv_heads=8, head_dim=128, ff=10944, vocab=151552,
        context=131072, quant=Q4, experts=128, used=8, expert_ff=1408,
        keys={
            ".nextn_predict_layers": 1, ".expert_shared_count": 1, ".leading_dense_block_count": 1,
            ".expert_gating_func": 2, ".expert_weights_norm": True, ".rope.dimension_count": 64,
        },
    ),
    published(
        "minimax-m2-Q4_K_M", "MiniMaxAI/MiniMax-M2", has=QK,
        arch="minimax-m2", layers=62, embedding=3072, heads=48, kv_heads=8, head_dim=128, ff=1536, vocab=200064,
        context=196608, quant=Q4, experts=256, used=8, expert_ff=1536,
        keys={".expert_gating_func": 2, ".rope.dimension_count": 64},
    ),
)  # fmt: skip
