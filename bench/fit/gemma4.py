"""Published shapes of Gemma 4: every sixth layer sees all tokens, with wider heads and keys that serve as values."""

from __future__ import annotations

from published import Published, published

PERIOD = 6
SCALES = ("query norms", "layer scales", "rope factors")


def gemma4(name: str, source: str, *, layers: int, kv_heads: tuple[int, int], **more: object) -> Published:
    """Return a shape; `kv_heads` of the sliding layers and of the others."""
    full = [layer for layer in range(layers) if layer % PERIOD == PERIOD - 1]
    keys = {
        ".attention.key_length_swa": 256, ".attention.value_length_swa": 256, ".attention.sliding_window": 1024,
        ".attention.sliding_window_pattern": [layer not in full for layer in range(layers)],
        ".attention.shared_kv_layers": 0, ".embedding_length_per_layer_input": 0, ".rope.dimension_count": 512,
        ".rope.dimension_count_swa": 256, ".final_logit_softcapping": 30.0,
    }  # fmt: skip
    return published(
        name, source, has=(*SCALES, "expert scales") if "experts" in more else SCALES, fused=True,
        lacks=rf"blk\.({'|'.join(map(str, full))})\.attn_v\.weight$",
        arch="gemma4", layers=layers, kv_heads=tuple(kv_heads[layer in full] for layer in range(layers)), head_dim=512,
        vocab=262144, context=262144, quant="Q4_K_M", tied=True, keys=keys, **more,
    )  # fmt: skip


GEMMA4 = (
    gemma4(
        "gemma-4-31b-Q4_K_M", "google/gemma-4-31B-it", layers=60, kv_heads=(16, 4), embedding=5376, heads=32, ff=21504
    ),
    gemma4(
        "gemma-4-26b-a4b-Q4_K_M", "google/gemma-4-26B-A4B-it", layers=30, kv_heads=(8, 2), embedding=2816, heads=16,
        ff=2112, experts=128, used=8, expert_ff=704,
    ),
)  # fmt: skip
