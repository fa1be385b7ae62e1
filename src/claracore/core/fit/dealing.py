"""Which layers go to which of several GPUs?

llama.cpp deals layers out in order, by shares (`--tensor-split`). Shares by memory alone leave a card empty when layers
differ: with the experts of the first layers in RAM these hardly take anything. So layers are counted out by bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate


def balanced(sizes: Sequence[int], free: Sequence[int]) -> tuple[int, ...]:
    """Return how many of the layers, in order, each GPU gets, so that all are filled alike.

    `sizes` are the bytes of each layer (the output layer last), `free` those that each GPU has for layers.
    """
    whole, space = sum(sizes), sum(max(0, size) for size in free) or 1
    bounds = [whole * filled / space for filled in accumulate(max(0, size) for size in free)]
    counts = [0] * len(free)
    done = 0
    for size in sizes:
        middle = done + size / 2
        gpu = next((index for index, bound in enumerate(bounds) if middle < bound), len(free) - 1)
        counts[gpu] += 1
        done += size
    return tuple(counts)


def filled(sizes: Sequence[int], free: Sequence[int]) -> tuple[int, ...]:
    """Return how many of the layers each GPU gets when one is filled to the brim before the next.

    The last one takes all that is left, fitting or not.
    """
    counts = [0] * len(free)
    gpu, left = 0, free[0]
    for size in sizes:
        while size > left and gpu < len(free) - 1:
            gpu += 1
            left = free[gpu]
        counts[gpu] += 1
        left -= size
    return tuple(counts)
