"""Which files must be there, and be GGUF, for a llama-server to start: what its command line says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from claracore.core.config.file_flags import NEEDED, named_behind
from claracore.core.gguf.errors import GGUFError, HeaderTruncated, NotGGUF

FETCHING: Final = (
    "-hf",
    "--hf-",
    "-mu",
    "--model-url",
    "-mmu",
    "--mmproj-url",
    "-dr",
    "--docker-repo",
    "--spec-draft-hf",
)
"""With one of these the server fetches files itself, perhaps to where the others say."""


def needed_files(words: Sequence[str]) -> Iterator[str]:
    """Yield the paths that a llama-server's arguments name and without which it ends."""
    if any(word.startswith(FETCHING) for word in words):
        return
    yield from (path for path in named_behind(NEEDED, words) if "${" not in path)


def failing_line(path: str, error: GGUFError) -> str | None:
    """Return what is said of a file whose header was read with this error; None where an engine may read it yet."""
    match error:
        case NotGGUF():
            return f"{path}: is not a GGUF file ({error})"
        case HeaderTruncated():
            return f"{path}: failed to read key-value pairs: {error}"
        case _:
            return None


def cut_line(path: str, missing_bytes: int) -> str:
    """Return what is said of a file that is shorter than it says of itself."""
    return f"{path}: tensor data is not within the file bounds: {missing_bytes} bytes are missing"
