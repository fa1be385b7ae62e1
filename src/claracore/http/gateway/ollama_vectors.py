"""How do the vectors of a model server become Ollama's?

`AnswerEdit`s for `/api/embed` and the older `/api/embeddings`. The numbers keep their bytes, unless fewer of them are
wanted than there are: then the first ones are taken, and are given length 1 again.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import msgspec

from claracore.http.gateway.heads import with_headers
from claracore.http.gateway.ollama_answers import JSON, Clock, their_error
from claracore.http.wire.engine_answers import EngineVectors, read_vector, read_vectors
from claracore.http.wire.ollama_lines import error_line

if TYPE_CHECKING:
    from claracore.host.activity.record import Record
    from claracore.http.wire.head import ResponseHead

_SAID = ("total_duration", "load_duration", "prompt_eval_count")


class _OneOfVectors(ABC):
    """What both have in common: the answer is understood as a whole."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.clock = Clock(record)
        self._pieces: list[bytes] = []

    @abstractmethod
    def shaped(self, vectors: EngineVectors) -> dict[str, Any]:
        """Return the answer; the vectors are in the order of the texts."""

    def head(self, head: ResponseHead) -> ResponseHead:
        """Say what follows."""
        return with_headers(head, {b"content-type": JSON})

    def piece(self, data: bytes) -> bytes:
        """Keep it."""
        self._pieces.append(data)
        return b""

    def end(self) -> bytes:
        """Return the answer."""
        body, self._pieces = b"".join(self._pieces), []
        try:
            found = read_vectors(body)
            if all(bytes(vector.embedding).startswith(b"[") for vector in found.data):
                found.data.sort(key=lambda vector: vector.index)
                return msgspec.json.encode(self.shaped(found))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
        return their_error(body) or error_line("the model server's answer has no vectors")


class VectorsAnswer(_OneOfVectors):
    """The vectors of several texts."""

    def __init__(self, record: Record, dimensions: int | None) -> None:
        super().__init__(record)
        self._dimensions = dimensions

    def shaped(self, vectors: EngineVectors) -> dict[str, Any]:
        """Return the vectors, with what they took."""
        spent = self.clock.spent(vectors.usage, None).known()
        embeddings = [shortened(row.embedding, self._dimensions) for row in vectors.data]
        answer: dict[str, Any] = {"model": self.record.requested, "embeddings": embeddings}
        return answer | {name: spent[name] for name in _SAID if name in spent}


class VectorAnswer(_OneOfVectors):
    """The vector of one text."""

    def shaped(self, vectors: EngineVectors) -> dict[str, Any]:
        """Return it."""
        return {"embedding": vectors.data[0].embedding if vectors.data else []}


def shortened(vector: msgspec.Raw, dimensions: int | None) -> msgspec.Raw | list[float]:
    """Return a vector with at most so many dimensions. Raises msgspec's errors for what is none."""
    if not dimensions:
        return vector
    numbers = read_vector(vector)
    if len(numbers) <= dimensions:
        return vector
    kept = numbers[:dimensions]
    length = math.hypot(*kept)
    return [number / length for number in kept] if length else kept
