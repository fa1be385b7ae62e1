"""Which of the conversations that are kept may stay, and which go into which slot of a server that has just started?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

LEAST_DISK_LEFT: Final = 5 << 30
"""Bytes of a disk that stay free."""
PART_OF_RAM: Final = 4
"""At most one part in so many of the RAM that is available is taken."""


@dataclass(frozen=True, slots=True)
class KeptConversation:
    """The cache of one conversation as a file."""

    model: str
    file: str
    """Its name, in the model's folder."""
    fingerprint: str
    tokens: int
    size: int
    """In bytes."""
    saved_at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """Which conversations go into which slots, and which fit no server of their model any more."""

    into: tuple[tuple[int, KeptConversation], ...]
    stale: tuple[KeptConversation, ...]


def fitting(
    kept: Iterable[KeptConversation], slots: Sequence[int], *, fingerprint: str, now: float, ttl_seconds: float
) -> Fitting:
    """Return where the conversations of a model go: the newest first, in the order of the slots."""
    newest = sorted(kept, key=lambda one: -one.saved_at)
    fresh = [one for one in newest if one.fingerprint == fingerprint and now - one.saved_at <= ttl_seconds]
    return Fitting(tuple(zip(slots, fresh, strict=False)), tuple(one for one in newest if one not in fresh))


def most_in_memory(limit: int, available: int, held: int) -> int:
    """Return the bytes that conversations may take of RAM, of which they hold some already."""
    return min(limit, max(0, available + held) // PART_OF_RAM)


def most_on_disk(limit: int, free: int, held: int) -> int:
    """Return the bytes that conversations may take of a disk, of which they hold some already."""
    return max(0, min(limit, free + held - LEAST_DISK_LEFT))


def too_many(kept: Iterable[KeptConversation], most: int) -> list[KeptConversation]:
    """Return those that go, the oldest first, so that the rest takes no more than so many bytes."""
    gone, size = [], 0
    for one in sorted(kept, key=lambda one: -one.saved_at):
        size += one.size
        if size > most:
            gone.append(one)
            size -= one.size
    return gone[::-1]


def expired(kept: Iterable[KeptConversation], *, now: float, ttl_seconds: float) -> list[KeptConversation]:
    """Return those that were kept for longer than they are to be."""
    return [one for one in kept if now - one.saved_at > ttl_seconds]
