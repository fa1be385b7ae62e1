"""How large are the buffers in which llama.cpp computes one batch?

llama.cpp reserves them for the worst case when it loads a model: one physical batch (`micro_batch` tokens) with the
cache full. What is alive at the same time in the widest place of the graph decides the size. The formulas below were
fitted to what llama.cpp prints (`sched_reserve: ... compute buffer size`) for real and synthetic models of many
shapes; tests/fit holds them against recorded and live output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claracore.core.fit.cache import at, cells

if TYPE_CHECKING:
    from claracore.core.fit.settings import Settings
    from claracore.core.gguf.model import ModelFacts

FLOAT = 4


def compute_bytes(facts: ModelFacts, settings: Settings) -> int:
    """Return the bytes of the compute buffer of a device that holds all layers."""
    tokens = min(settings.micro_batch, max(1, settings.context))
    rows = output_rows(facts, settings)
    # While the logits are made, the residual stream that feeds them is still alive, but only in the rows that count.
    output = rows * ((facts.vocab_size or 0) + 5 * (facts.embedding_length or 0))
    widest = max(_feed_forward(facts), _experts(facts), _attention(facts, settings), _recurrent(facts))
    return max(tokens * widest, output) * FLOAT + _masks(facts, settings, tokens)


def output_rows(facts: ModelFacts, settings: Settings) -> int:
    """Return how many rows of logits one batch makes: one per slot, or every token when embedding."""
    return min(settings.micro_batch, settings.context) if settings.embeddings and facts.causal else settings.parallel


def _feed_forward(facts: ModelFacts) -> int:
    """Elements per token: gate, up and their product, and five copies of the residual stream."""
    return 3 * max(facts.feed_forward, default=0) + 5 * (facts.embedding_length or 0)


def _experts(facts: ModelFacts) -> int:
    """Elements per token: the same for every expert that works on it, and what each adds to the stream.

    Exact for Qwen 3 MoE; OLMoE, Mixtral and gpt-oss get by without the latter, which is 1 % of their whole.
    """
    if not facts.experts_used:
        return 0
    inner = (facts.expert_feed_forward or 0) * 3
    return facts.experts_used * (inner + (facts.embedding_length or 0)) + 5 * (facts.embedding_length or 0)


def _attention(facts: ModelFacts, settings: Settings) -> int:
    """Elements per token: queries, keys, values; without flash attention also a score for every cell and head."""
    heads = max(facts.heads, default=0)
    query = heads * max(facts.head_dim_k, default=0)
    stored = max(facts.kv_heads, default=0) * (max(facts.head_dim_k, default=0) + max(facts.head_dim_v, default=0))
    scores = 0 if settings.flash_attention else heads * cells(facts, settings).full
    return 5 * (facts.embedding_length or 0) + 2 * query + stored + scores


def _recurrent(facts: ModelFacts) -> int:
    """Elements per token: twice the rolling state, which is a few times the inner width."""
    return 2 * facts.state_conv_elements + 5 * (facts.embedding_length or 0) if any(facts.recurrent) else 0


def _masks(facts: ModelFacts, settings: Settings, tokens: int) -> int:
    """One mask over the cells per kind of layer; f16 with flash attention, f32 without."""
    size = cells(facts, settings)
    kinds = {at(facts.sliding, layer, default=False) for layer in range(facts.layers)}
    columns = size.full * (False in kinds) + size.sliding * (True in kinds)
    return columns * tokens * (2 if settings.flash_attention else FLOAT)
