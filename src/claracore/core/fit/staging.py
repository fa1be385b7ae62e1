"""How much does the first GPU need to compute with matrices that lie in RAM?

llama.cpp copies them there one at a time for prompts of 32 tokens and more (`op_offload`). What its allocator cannot
use of the gaps that they leave counts as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claracore.core.fit.cache import cache_bytes
from claracore.core.fit.places import RAM

if TYPE_CHECKING:
    from claracore.core.fit.batch import Batch
    from claracore.core.fit.places import LayerPlaces


def taking_over(batch: Batch, places: LayerPlaces) -> int:
    """Return what the first GPU needs to compute with matrices that lie in RAM, one of them at a time."""
    steps = [0]
    if RAM in places.experts and batch.facts.experts:
        steps.append(4 * batch.stream + _experts_staged(batch, places))
    if RAM in places.layers:
        steps += _layers_staged(batch)
    return batch.masks(range(batch.facts.layers)) + batch.aside() + max(steps)


def _layers_staged(batch: Batch) -> list[int]:
    """Return what each step of a layer in RAM needs: the feed-forward part, its matrices, and attention."""
    widths = batch.facts.widths
    inner = batch.floats(widths.feed_forward)
    entering = 7 * batch.stream + 2 * inner if batch.is_doubled else 4 * batch.stream + inner
    copies = _copies(batch)
    beside = 2 * (batch.input() - batch.stream)
    # The keys and values of a layer in RAM are copied to where its attention is computed. Where all layers have as many
    # they do not fit well into what the layer before has left: half of them are there once more.
    copied = max(cache_bytes(batch.facts, batch.settings), default=0)
    again = copied // 2 if len({*batch.kinds}) == 1 else 0
    # Of attention in parallel with the feed-forward part, half of them and the answers are still there.
    parallel = copied // 2 + batch.floats(widths.query) if widths.parallel else 0
    waiting = copies + (2 if batch.is_doubled else 0)
    return [
        entering + widths.entering_bytes,
        4 * batch.stream + widths.leaving_bytes + inner,
        copies * batch.stream + beside + batch.widest(range(batch.facts.layers)) + parallel,
        waiting * batch.stream + batch.attention + copied + again + widths.expert_leaving_bytes,
    ]


def _copies(batch: Batch) -> int:
    """Return how often the stream is there while a layer in RAM is computed."""
    if not batch.is_doubled:
        return 4
    if any(batch.facts.recurrent) and not batch.facts.state_ssm_elements:
        return 3  # A short convolution is computed in RAM, where the stream waits meanwhile.
    return 2 if batch.has_states_only else 5


def _experts_staged(batch: Batch, places: LayerPlaces) -> int:
    """Return what routed experts in RAM need beside the stream, and attention where it comes after some of them."""
    widths, inner = batch.facts.widths, batch.expert()
    leaving = widths.expert_leaving_bytes
    out = batch.facts.experts_used * batch.stream
    if not widths.experts_gated:
        return ungated(widths.expert_entering_bytes, leaving, inner, out)
    most = staged(widths.expert_entering_bytes, leaving, inner, out)
    if not _is_interrupted(batch, places):
        return most
    # The mask takes the gap that a matrix has left, which is too small for the next one, and then for what the experts
    # put out, unless that was so large that its own gap holds them both.
    kept = leaving + (out if leaving < out < leaving * 3 // 2 else 0)
    attention = batch.attention if batch.scores else 0
    return max(most, kept + leaving + inner, leaving + attention)


def _is_interrupted(batch: Batch, places: LayerPlaces) -> bool:
    """Whether a mask comes only after some layers whose experts are staged, and fits into no other gap.

    Without a shared expert, or a feed-forward part beside the experts, which is computed last, gaps of matrices are at
    the end and grow.
    """
    widths, kinds, experts = batch.facts.widths, batch.kinds, batch.facts.tensor_bytes.experts
    is_beside = widths.shared_expert or (widths.feed_forward and all(experts))
    if not is_beside or places.experts[0] != RAM or RAM in places.layers:
        return False
    late = next((kind for kind in kinds if kind not in (None, kinds[0])), None)
    users = [layer for layer, kind in enumerate(kinds) if kind == late and places.layers[layer] == places.gpus[0]]
    if late is None or not users:
        return False
    # It lies there from its first use to its last. Are matrices of the larger size staged meanwhile?
    meanwhile = [experts[layer] for layer in range(users[0], users[-1]) if places.experts[layer] == RAM]
    if max(meanwhile, default=0) < max(experts):
        return False
    mask = batch.masks(users[:1])
    if mask <= (batch.stream // 2 if None in kinds else batch.stream):
        return False
    # Beside a smaller matrix in the same gap there may be room for the mask, until the last layers, whose
    # matrices are all of the larger size.
    beside = widths.expert_leaving_bytes - widths.expert_entering_bytes
    return (
        None in kinds
        or beside < 0
        or mask + batch.stream <= beside
        or (len(places.gpus) == 1 and places.experts[-1] == RAM)
    )


def staged(entering: int, leaving: int, inner: int, out: int) -> int:
    """Return what routed experts need whose matrices are copied to a GPU one at a time, with the gaps between.

    `entering` and `leaving` are bytes of matrices, `inner` and `out` of what they put out. Gate and up come one after
    the other in the same place. Their product goes there next if it fits, and all behind it is free again; otherwise
    it goes to the end, and what follows has to fit into the gap before it.
    """
    if entering >= inner:
        return max(entering + 2 * inner, inner + leaving + out)
    gap = entering + 2 * inner
    end = gap + inner
    if leaving > gap:
        return end + leaving + (out if out > gap else 0)
    return end + (out if out > gap - leaving else 0)


def ungated(entering: int, leaving: int, inner: int, out: int) -> int:
    """Return the same for experts without a gate: what the first matrix puts out stands right behind it."""
    gap, end = entering, entering + inner
    if leaving > gap:
        return end + leaving + (out if out > gap else 0)
    return end + (out if out > gap - leaving else 0)
