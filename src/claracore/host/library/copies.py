"""Which of these model files hold the same bytes? Blocking; reads only files that have a rival of their size.

Never a whole file: its header, and a page out of the middle of each tensor (of `MOST_SAMPLES` at most). A model that
was trained further on another has other numbers in many of its tensors; one with the same header and size, and changes
in a few tensors only that are not looked at, would be taken for a copy. Zeros prove nothing: a file whose space is
reserved has its header and nothing else yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from claracore.core.gguf.errors import GGUFError
from claracore.core.gguf.header import Header, read_header
from claracore.core.gguf.model import ModelFacts
from claracore.host.library.cache import ReadingCache
from claracore.host.library.found_files import ModelFiles
from claracore.host.library.read import without_readahead

MOST_SAMPLES: Final = 256
SAMPLE_BYTES: Final = 4096
SLICE_BYTES: Final = 1 << 20


class Rival(NamedTuple):
    """A model that may be a copy of another."""

    files: ModelFiles
    facts: ModelFacts


def same_contents(models: Iterable[Rival], cache: ReadingCache) -> list[list[ModelFiles]]:
    """Return groups of two or more models with the same contents."""
    by_size: dict[object, list[ModelFiles]] = {}
    for files, facts in models:
        if not files.adapters:
            by_size.setdefault((tuple(stamp.size for stamp in files.stamps), facts), []).append(files)
    alike = _groups(by_size.values(), cache, header_print)
    return _groups(alike, cache, fingerprint)


def _groups(
    rivals: Iterable[Sequence[ModelFiles]], cache: ReadingCache, look: Callable[[Sequence[str]], str]
) -> list[list[ModelFiles]]:
    """Divide groups by what `look` says of each file; those that are alone, or of which nothing can be said, go."""
    found: list[list[ModelFiles]] = []
    for group in rivals:
        if len(group) > 1:
            by_print: dict[str, list[ModelFiles]] = {}
            for files in group:
                if mark := cache.mark(files, look):
                    by_print.setdefault(mark, []).append(files)
            found += [same for same in by_print.values() if len(same) > 1]
    return found


def header_print(paths: Sequence[str]) -> str:
    """Return what only files with the same header have in common; empty when that cannot be said."""
    return _print(paths, _take_header)


def fingerprint(paths: Sequence[str]) -> str:
    """Return what only files with the same contents have in common; empty when that cannot be said."""
    return _print(paths, _take_samples)


def _print(paths: Sequence[str], take: Callable[[BinaryIO, Header, blake2b], bool]) -> str:
    digest = blake2b(digest_size=16)
    try:
        for path in paths:
            with Path(path).open("rb", buffering=0) as stream:
                without_readahead(stream.fileno())
                header = read_header(stream, size=Path(path).stat().st_size)
                if not take(stream, header, digest):
                    return ""
    except (OSError, GGUFError):
        return ""
    return digest.hexdigest()


def _take_header(stream: BinaryIO, header: Header, digest: blake2b) -> bool:
    stream.seek(0)
    left = header.data_offset
    while left and (data := stream.read(min(left, SLICE_BYTES))):
        digest.update(data)
        left -= len(data)
    return not left


def _take_samples(stream: BinaryIO, header: Header, digest: blake2b) -> bool:
    """Hash the header and samples of the tensors; return whether they say anything."""
    tensors = sorted(header.tensors, key=lambda tensor: tensor.offset)
    sampled = tensors[:: -(-len(tensors) // MOST_SAMPLES) or 1]
    telling = 0
    for tensor in sampled:
        stream.seek(header.data_offset + tensor.offset + max(0, tensor.size - SAMPLE_BYTES) // 2)
        data = stream.read(min(tensor.size, SAMPLE_BYTES))
        digest.update(data)
        telling += data != bytes(len(data))
    return telling * 2 > len(sampled) and _take_header(stream, header, digest)
