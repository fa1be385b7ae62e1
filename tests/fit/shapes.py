"""Facts of models by hand: the two real ones, and shapes of public families, so that tests of fit/ need no file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from claracore.core.fit.memory import estimate
from claracore.core.fit.settings import Settings
from claracore.core.gguf.model import Kind, ModelFacts, TensorBytes
from claracore.core.gguf.widths import Widths

MIB = 1024**2


def loaded(facts: ModelFacts, settings: Settings) -> int:
    """Bytes that we expect when a model is loaded, without what comes later."""
    return estimate(facts, settings).loaded.total


def spread(total: int, layers: int) -> tuple[int, ...]:
    return tuple(total // layers + (1 if layer < total % layers else 0) for layer in range(layers))


def dense(
    *,
    layers: int,
    embedding: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    feed_forward: int,
    vocab: int,
    weight_bytes: int,
    embedding_bytes: int,
    tied: bool = False,
    **more: Any,
) -> ModelFacts:
    values: dict[str, Any] = {
        "architecture": "llama",
        "kind": Kind.CHAT,
        "quantization": "Q4_K_M",
        "parameters": weight_bytes * 8 // 5,
        "parameters_active": weight_bytes * 8 // 5,
        "layers": layers,
        "tensor_bytes": TensorBytes(
            token_embedding=embedding_bytes,
            output=0 if tied else embedding_bytes,
            layers=spread(weight_bytes, layers),
            experts=(0,) * layers,
            other=0,
            tied_output=tied,
            token_embedding_weight=embedding_bytes,
        ),
        "file_bytes": weight_bytes + embedding_bytes * (1 if tied else 2),
        "context_trained": 131072,
        "embedding_length": embedding,
        "feed_forward": (feed_forward,) * layers,
        "heads": (heads,) * layers,
        "kv_heads": (kv_heads,) * layers,
        "head_dim_k": (head_dim,) * layers,
        "head_dim_v": (head_dim,) * layers,
        "has_kv_cache": (True,) * layers,
        "sliding": (False,) * layers,
        "recurrent": (False,) * layers,
        "vocab_size": vocab,
        "widths": Widths(
            feed_forward=feed_forward,
            gated=True,
            query=heads * head_dim,
            entering_bytes=weight_bytes // layers // 4,
            leaving_bytes=weight_bytes // layers // 4,
        ),
        "chat_template": True,
    }
    return ModelFacts(**(values | more))


SMOLLM2 = dense(
    layers=30, embedding=576, heads=9, kv_heads=3, head_dim=64, feed_forward=1536, vocab=49152,
    weight_bytes=int(92.10 * MIB) - 30081024, embedding_bytes=30081024, tied=True, context_trained=8192,
    name="SmolLM2 135M Instruct", parameters=134_515_008, quantization="Q4_1",
)  # fmt: skip
GEMMA = dense(
    layers=18, embedding=640, heads=4, kv_heads=1, head_dim=256, feed_forward=2048, vocab=262144,
    weight_bytes=int(235.16 * MIB) - 178257920, embedding_bytes=178257920, tied=True, context_trained=32768,
    sliding_window=512, sliding=tuple((layer + 1) % 6 != 0 for layer in range(18)),
    architecture="gemma3", name="Gemma 3 270m It", parameters=268_098_176,
)  # fmt: skip
LLAMA_8B = dense(
    layers=32, embedding=4096, heads=32, kv_heads=8, head_dim=128, feed_forward=14336, vocab=128256,
    weight_bytes=4_200 * MIB, embedding_bytes=300 * MIB, name="Llama 3.1 8B Instruct", parameters=8_030_000_000,
)  # fmt: skip
LLAMA_70B = dense(
    layers=80, embedding=8192, heads=64, kv_heads=8, head_dim=128, feed_forward=28672, vocab=128256,
    weight_bytes=39_000 * MIB, embedding_bytes=600 * MIB, name="Llama 3.3 70B Instruct", parameters=70_600_000_000,
)  # fmt: skip
QWEN3_30B_A3B = replace(
    dense(
        layers=48, embedding=2048, heads=32, kv_heads=4, head_dim=128, feed_forward=6144, vocab=151936,
        weight_bytes=900 * MIB, embedding_bytes=240 * MIB, context_trained=40960, architecture="qwen3moe",
        name="Qwen3 30B A3B", parameters=30_500_000_000, experts=128, experts_used=8, expert_feed_forward=768,
    ),
    tensor_bytes=TensorBytes(
        token_embedding=240 * MIB, output=240 * MIB, layers=spread(900 * MIB, 48), experts=spread(16_300 * MIB, 48),
        other=0, tied_output=False, token_embedding_weight=240 * MIB,
    ),
    file_bytes=17_680 * MIB,
    widths=Widths(
        query=4096, expert=768, expert_entering_bytes=16_300 * MIB // 48 // 3,
        expert_leaving_bytes=16_300 * MIB // 48 // 3,
    ),
)  # fmt: skip
NOMIC = dense(
    layers=12, embedding=768, heads=12, kv_heads=12, head_dim=64, feed_forward=3072, vocab=30522,
    weight_bytes=110 * MIB, embedding_bytes=24 * MIB, tied=True, context_trained=2048, architecture="nomic-bert",
    kind=Kind.EMBEDDING, name="nomic embed text v1.5", parameters=136_000_000, causal=False, pooling="mean",
    has_kv_cache=(False,) * 12, chat_template=False,
)  # fmt: skip
