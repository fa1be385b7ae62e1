"""How is a file that a node needs for its head's models shown?"""

from __future__ import annotations

from pydantic import BaseModel

from claracore.core.cluster.model import NodeFile
from claracore.core.cluster.wanted import words_of


class NodeFileView(BaseModel):
    """A file that a model of the head's needs on a node."""

    name: str
    size_bytes: int
    done_bytes: int
    fetching: bool
    left_seconds: int | None
    why: str
    """Why it does not come, or what it waits for to pass; empty when it is here, or comes."""
    words: str
    """How it is, in words; empty when it is here."""


def file_view(file: NodeFile) -> NodeFileView:
    """Return a file as JSON shows it."""
    return NodeFileView(
        name=file.name,
        size_bytes=file.size,
        done_bytes=file.done,
        fetching=file.fetching,
        left_seconds=whole(file.left_seconds),
        why=file.why,
        words="" if file.is_here else words_of(file),
    )


def whole(seconds: float | None) -> int | None:
    """Return a time in whole seconds, where it is known."""
    return None if seconds is None else round(seconds)
