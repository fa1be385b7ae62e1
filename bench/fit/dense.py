"""Published shapes whose every token passes through all weights, and which keep keys and values of all tokens."""

from __future__ import annotations

from published import Published, published

QK = ("query norms",)
Q4 = "Q4_K_M"


def gemma3(size: str, **numbers: int) -> Published:
    name, source = f"gemma-3-{size}-Q4_K_M", f"google/gemma-3-{size}-it"
    keys = {".attention.sliding_window": 1024, ".rope.dimension_count": numbers["head_dim"]}
    return published(
        name, source, has=QK, arch="gemma3", vocab=262144, context=131072, tied=True, quant=Q4, keys=keys, **numbers
    )


DENSE = (
    published(
        "llama-3.1-8b-Q4_K_M", "meta-llama/Llama-3.1-8B-Instruct", has=("rope factors",),
        arch="llama", layers=32, embedding=4096, heads=32, kv_heads=8, ff=14336, vocab=128256, context=131072,
        quant=Q4, keys={".rope.dimension_count": 128},
    ),
    published(
        "llama-3.3-70b-Q4_K_M", "meta-llama/Llama-3.3-70B-Instruct", has=("rope factors",),
        arch="llama", layers=80, embedding=8192, heads=64, kv_heads=8, ff=28672, vocab=128256, context=131072,
        quant=Q4, keys={".rope.dimension_count": 128},
    ),
    published(
        "smollm2-135m-Q8_0", "HuggingFaceTB/SmolLM2-135M-Instruct",
        arch="llama", layers=30, embedding=576, heads=9, kv_heads=3, ff=1536, vocab=49152, context=8192,
        quant="Q8_0", tied=True, keys={".rope.dimension_count": 64},
    ),
    published(
        "mistral-small-3.2-24b-Q4_K_M", "mistralai/Mistral-Small-3.2-24B-Instruct-2506",
        arch="llama", layers=40, embedding=5120, heads=32, kv_heads=8, head_dim=128, ff=32768, vocab=131072,
        context=131072, quant=Q4, keys={".rope.dimension_count": 128},
    ),
    published(
        "qwen2.5-7b-Q4_K_M", "Qwen/Qwen2.5-7B-Instruct", has=("qkv biases",),
        arch="qwen2", layers=28, embedding=3584, heads=28, kv_heads=4, ff=18944, vocab=152064, context=32768, quant=Q4,
    ),
    published(
        "qwen3-32b-Q4_K_M", "Qwen/Qwen3-32B", has=QK,
        arch="qwen3", layers=64, embedding=5120, heads=64, kv_heads=8, head_dim=128, ff=25600, vocab=151936,
        context=40960, quant=Q4, keys={".rope.dimension_count": 128},
    ),
    published(
        "qwen3-vl-8b-Q4_K_M", "Qwen/Qwen3-VL-8B-Instruct", has=QK,
        arch="qwen3vl", layers=36, embedding=4096, heads=32, kv_heads=8, head_dim=128, ff=12288, vocab=151936,
        context=262144, quant=Q4, keys={".rope.dimension_sections": [24, 20, 20, 0], ".n_deepstack_layers": 3},
    ),
    published(
        "phi-4-Q4_K_M", "microsoft/phi-4", joined=True,
        arch="phi3", layers=40, embedding=5120, heads=40, kv_heads=10, ff=17920, vocab=100352, context=16384,
        quant=Q4, keys={".rope.dimension_count": 128, ".attention.sliding_window": 0},
    ),
    published(
        "gemma-2-9b-Q4_K_M", "google/gemma-2-9b-it",
        arch="gemma2", layers=42, embedding=3584, heads=16, kv_heads=8, head_dim=256, ff=14336, vocab=256000,
        context=8192, quant=Q4, tied=True,
        keys={
            ".attention.sliding_window": 4096, ".attn_logit_softcapping": 50.0, ".final_logit_softcapping": 30.0,
        },
    ),
    gemma3("4b", layers=34, embedding=2560, heads=8, kv_heads=4, head_dim=256, ff=10240),
    gemma3("12b", layers=48, embedding=3840, heads=16, kv_heads=8, head_dim=256, ff=15360),
    gemma3("27b", layers=62, embedding=5376, heads=32, kv_heads=16, head_dim=128, ff=21504),
    published(
        "command-r7b-Q4_K_M", "CohereLabs/c4ai-command-r7b-12-2024",
        arch="cohere2", layers=32, embedding=4096, heads=32, kv_heads=8, head_dim=128, ff=14336, vocab=256000,
        context=132096, quant=Q4, tied=True,
        keys={".attention.sliding_window": 4096, ".logit_scale": 0.25, ".rope.dimension_count": 128},
    ),
    published(
        "gemma-3n-e4b-Q4_K_M", "google/gemma-3n-E4B-it", has=QK,
        arch="gemma3n", layers=35, embedding=2048, heads=8, kv_heads=2, head_dim=256, ff=16384, vocab=262400,
        context=32768, quant=Q4, tied=True,
        keys={
            ".attention.sliding_window": 512, ".attention.shared_kv_layers": 15, ".altup.active_idx": 0,
            ".altup.num_inputs": 4, ".embedding_length_per_layer_input": 256,
            ".attention.sliding_window_pattern": [layer % 5 != 4 for layer in range(35)],
        },
    ),
)  # fmt: skip
