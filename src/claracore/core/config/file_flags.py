"""Behind which flags of llama-server does a file stand that belongs to the model, and what is it?

As `llama-server --help` of b11434 says, with what earlier builds had besides. Files that belong to whoever runs it
(keys, certificates, logs) are not here: these lists decide what other machines get, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

MODELS: Final = frozenset(
    {"-m", "--model", "-md", "--model-draft", "--spec-draft-model", "-mm", "--mmproj"}
)  # fmt: skip
"""One GGUF file, without which a server ends."""
ADAPTERS: Final = frozenset({"--lora"})
"""GGUF files with commas between them, without which a server ends."""
NEEDED: Final = MODELS | ADAPTERS
VECTORS: Final = frozenset({"--control-vector"})
"""GGUF files with commas between them."""
WEIGHTS: Final = NEEDED | VECTORS | {"-mv", "--model-vocoder"}
"""Behind these stands a path and nothing else."""
ALL: Final = WEIGHTS | {"--lora-scaled", "--control-vector-scaled", "--chat-template-file", "--grammar-file"}
"""The scaled ones are `FILE:SCALE`, with commas between them."""


def named_behind(flags: frozenset[str], words: Sequence[str]) -> Iterator[str]:
    """Give the files that a command's words name behind some of `WEIGHTS`, as `-m FILE` or `-m=FILE`."""
    for word, following in pairwise([*words, ""]):
        flag, equals, inline = word.partition("=")
        if flag in flags:
            value = inline if equals else following
            files = value.split(",") if flag in ADAPTERS or flag in VECTORS else [value]
            yield from filter(None, files)
