"""With which settings is llama.cpp asked about each shape? In the words of llama-server's command line, without `-m`.

All placements with all contexts and micro-batches, and everything else (slots, types of the cache, attention without
flash attention, whole windows) in a few rows of the placements where it makes a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple

from published import EMBEDDER, RERANKER, Published

MOST_CONTEXT = 131072
CONTEXTS = (4096, 32768)
USUAL = 32768
READING_CONTEXTS = (512, 2048, 8192)
CARD_MIB = 1_000_000
"""No card is too small: nothing is decided by it."""
POOLED = {1: "mean", 2: "cls", 3: "last"}


class Row(NamedTuple):
    """One question: how many cards there are, and what llama-server is told."""

    cards: int
    args: tuple[str, ...]

    @property
    def request(self) -> dict[str, object]:
        """What oracle.cpp reads, without the model."""
        return {"devices": [CARD_MIB] * self.cards, "args": list(self.args)}


def rows(shape: Published) -> list[Row]:
    """Return the questions about a shape, each once."""
    found = _reading(shape) if shape.serves in (EMBEDDER, RERANKER) else _writing(shape)
    return list(dict.fromkeys(found))


def placements(shape: Published) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return the cards and the words of each way to place a shape."""
    layers = shape.shape.layers
    whole, half = ("-ngl", str(layers + 1)), ("-ngl", str(layers // 2))
    equal, uneven = ("-ts", "1,1"), ("-ts", "3,1")
    found = {
        "one": (1, whole),
        "half": (1, half),
        "two": (2, (*whole, *equal)),
        "uneven": (2, (*whole, *uneven)),
        "two, half": (2, (*half, *equal)),
        "cpu": (0, ()),
    }
    if shape.shape.experts:
        every, some = ("--n-cpu-moe", str(layers)), ("--n-cpu-moe", str(layers // 2))
        found |= {
            "experts": (1, (*whole, *every)),
            "half the experts": (1, (*whole, *some)),
            "two, experts": (2, (*whole, *equal, *every)),
            "uneven, half the experts": (2, (*whole, *uneven, *some)),
        }
    return found


def _writing(shape: Published) -> Iterator[Row]:
    trained = min(shape.shape.context, MOST_CONTEXT)
    contexts = sorted({*(size for size in CONTEXTS if size <= trained), trained})
    usual = min(trained, USUAL)
    where = placements(shape)
    for (cards, place), context, micro in product(where.values(), contexts, (512, 2048)):
        yield Row(cards, (*_words(context, micro), "-np", "4", "-kvu", "-fa", "on", *place))
    for name in _of(where, "one", "experts", "two", "cpu"):
        cards, place = where[name]
        for more in (("-np", "1"), ("-np", "4")):
            yield Row(cards, (*_words(usual, 512), *more, "-fa", "on", *place))
        yield Row(cards, (*_words(usual, 512), "-np", "4", "-kvu", "-fa", "off", *place))
    for name in _of(where, "one", "half", "experts", "two", "cpu"):
        cards, place = where[name]
        quantized = ("-ctk", "q8_0", "-ctv", "q8_0")
        yield Row(cards, (*_words(usual, 512), "-np", "4", "-kvu", *quantized, "-fa", "on", *place))
    cards, place = where["one"]
    yield Row(cards, (*_words(trained, 512), "-np", "1", "-ctk", "q8_0", "-ctv", "q8_0", "-fa", "on", *place))
    yield Row(cards, (*_words(trained, 512), "-np", "1", "-fa", "off", *place))
    if ".attention.sliding_window" in shape.shape.keys:
        yield Row(cards, (*_words(usual, 512), "-np", "4", "-kvu", "--swa-full", "-fa", "on", *place))
    for name in _of(where, "experts", "half the experts", "two, experts"):
        cards, place = where[name]
        for context in sorted({usual, trained}):
            yield Row(cards, (*_words(context, 4096), "-np", "4", "-kvu", "-fa", "on", *place))


def _of(where: Iterable[str], *names: str) -> list[str]:
    return [name for name in names if name in where]


def _reading(shape: Published) -> Iterator[Row]:
    where = placements(shape)
    pooling = shape.shape.keys[".pooling_type"]
    kind = ("--reranking",) if shape.serves == RERANKER else ("--embeddings", "--pooling", POOLED[int(str(pooling))])
    contexts = [size for size in READING_CONTEXTS if size <= shape.shape.context]
    for name, context in product(("one", "half", "two", "cpu"), contexts):
        cards, place = where[name]
        yield Row(cards, (*_words(context, context), "-np", "1", *kind, "-fa", "on", *place))
    for name in ("one", "cpu"):
        cards, place = where[name]
        longest = contexts[-1]
        yield Row(cards, (*_words(longest, 512), "-np", "1", *kind, "-fa", "on", *place))
        yield Row(cards, (*_words(longest, longest), "-np", "4", "-kvu", *kind, "-fa", "on", *place))
        yield Row(cards, (*_words(longest, longest), "-np", "4", *kind, "-fa", "on", *place))
        yield Row(cards, (*_words(longest, 2048), "-np", "1", *kind, "-fa", "off", *place))


def _words(context: int, micro: int) -> tuple[str, ...]:
    return ("-c", str(context), "-b", str(max(2048, micro)), "-ub", str(micro))
