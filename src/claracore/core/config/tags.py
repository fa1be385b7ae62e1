"""Which two spellings of a model's name mean the same to Ollama's clients?

To them every name has a tag behind its last colon, and `latest` may be left away: `llama3.2` is `llama3.2:latest`. What
stands before the last slash is no part of it, so the port of `host:5000/model` is no tag.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LATEST: Final = ":latest"


def has_tag(name: str) -> bool:
    """Whether a name says its tag."""
    return ":" in name.rpartition("/")[2]


def tagged(name: str) -> str:
    """Return a name with its tag, as Ollama lists it.

    >>> tagged("org/llama3.2"), tagged("llama3.2:1b")
    ('org/llama3.2:latest', 'llama3.2:1b')
    """
    return name if has_tag(name) else name + LATEST


def other_spelling(name: str) -> str:
    """Return how else a name may be spelled: without `latest`, or with it; empty for a name with another tag.

    >>> other_spelling("llama3.2:latest"), other_spelling("llama3.2"), other_spelling("llama3.2:1b")
    ('llama3.2', 'llama3.2:latest', '')
    """
    if name.endswith(LATEST):
        return name.removesuffix(LATEST)
    return "" if has_tag(name) else name + LATEST


def resolved(name: str, resolve: Callable[[str], str | None]) -> str | None:
    """Return what a name resolves to, spelled as it is or otherwise; None when it means nothing."""
    other = other_spelling(name)
    return resolve(name) or (resolve(other) if other else None)
