"""Do two models have the same vocabulary, so that one can draft for the other?

Proven by the bytes of `tokenizer.ggml.tokens`, not by names. Reads a few megabytes of each file; blocking.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final

from claracore.core.gguf.errors import GGUFError
from claracore.core.gguf.header import Array, Header, read_header

TOKENS: Final = "tokenizer.ggml.tokens"
MAX_BYTES: Final = 1 << 26
MAX_DIFFERENCE: Final = 128
"""llama.cpp drafts with a vocabulary that has so many tokens more or fewer (padding), the rest being equal."""
SPECIAL: Final = tuple(f"tokenizer.ggml.{name}" for name in ("model", "bos_token_id", "eos_token_id"))


def vocabulary_hash(path: Path) -> str | None:
    """Return a hash of all tokens of the model file at `path`, and which of them begin and end; None without tokens.

    Raises `GGUFError` or `OSError`.
    """
    header, data = _tokens(path)
    if data is None:
        return None
    special = "\0".join(str(header.metadata.get(key, "")) for key in SPECIAL)
    return blake2b(special.encode("utf-8", "replace") + b"\0" + data, digest_size=16).hexdigest()


def same_vocabulary(one: Path, other: Path) -> bool:
    """Whether all tokens (of the smaller one, when the larger has at most `MAX_DIFFERENCE` more) are the same.

    Raises `GGUFError` or `OSError`.
    """
    (first, first_data), (second, second_data) = _tokens(one), _tokens(other)
    if first_data is None or second_data is None or first.byte_order != second.byte_order:
        return False
    if any(first.metadata.get(key) != second.metadata.get(key) for key in SPECIAL):
        return False
    if abs(_count(first) - _count(second)) > MAX_DIFFERENCE:
        return False
    # Length-prefixed strings: one list of tokens begins with the other exactly when its bytes do.
    return first_data.startswith(second_data) or second_data.startswith(first_data)


class Vocabularies:
    """Gives models that can draft for each other the same name."""

    def __init__(self) -> None:
        self._named: dict[str, str] = {}
        self._first: dict[str, Path] = {}

    def name_of(self, path: Path) -> str | None:
        """Return the name of the vocabulary of the model file at `path`; None when it has none or cannot be read."""
        try:
            own = vocabulary_hash(path)
            if own is None:
                return None
            if own not in self._named:
                self._named[own] = next(
                    (name for name, first in self._first.items() if same_vocabulary(path, first)), own
                )
                self._first.setdefault(self._named[own], path)
            return self._named[own]
        except (GGUFError, OSError):
            return None


def _count(header: Header) -> int:
    array = header.metadata.get(TOKENS)
    return array.count if isinstance(array, Array) else 0


def _tokens(path: Path) -> tuple[Header, bytes | None]:
    with path.open("rb", buffering=0) as stream:
        header = read_header(stream, size=path.stat().st_size)
        array = header.metadata.get(TOKENS)
        if not isinstance(array, Array):
            return header, None
        if array.size > MAX_BYTES:
            raise GGUFError(f"a vocabulary of {array.size} bytes is not believable")
        stream.seek(array.offset)
        data = stream.read(array.size)
    return header, data
