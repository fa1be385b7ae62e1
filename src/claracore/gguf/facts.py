"""What does a GGUF header say about its model?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from claracore.gguf.header import Header
    from claracore.gguf.model import ModelFacts


def facts_of(header: Header, *more_shards: Header) -> ModelFacts:
    """Return the facts of one model: its header, and those of its further shards in order.

    Pure; never fails on a header that `read_header` accepted.
    """
    raise NotImplementedError
