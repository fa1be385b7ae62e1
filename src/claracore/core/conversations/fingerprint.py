"""With which servers does what was kept of a conversation fit?

A cache is read back only into a server that would have made the same one: same files, same engine, same flags. Flags
that are known to change nothing of it are left out; whatever is not known counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Final

WITH_VALUE: Final = frozenset(
    (
        *("--host", "--port", "-a", "--alias", "--api-key", "--api-key-file", "-to", "--timeout", "--threads-http"),
        *("-t", "--threads", "-tb", "--threads-batch", "--prio", "--prio-batch", "--poll", "--path", "--log-file"),
        *("--slot-save-path", "-sps", "--slot-prompt-similarity", "-cram", "--cache-ram", "--sleep-idle-seconds"),
        *("--temp", "--top-k", "--top-p", "--min-p", "--repeat-penalty", "--presence-penalty", "--frequency-penalty"),
        *("-s", "--seed", "-n", "--predict", "--n-predict", "--reasoning-format", "-lv", "--verbosity"),
    )
)
"""Flags that have a value and change nothing of what a cache means."""
ALONE: Final = frozenset(
    (
        *("--reuse-port", "--metrics", "--props", "--slots", "--no-webui", "--mlock", "--mmap", "--no-mmap", "-v"),
        *("--verbose", "--log-timestamps", "--log-prefix", "--cache-idle-slots", "--no-cache-idle-slots", "--warmup"),
        *("--no-warmup", "-cb", "--cont-batching", "--no-cont-batching", "--jinja", "--no-jinja", "--check-tensors"),
    )
)
"""Those that stand alone."""


def fingerprint(words: Sequence[str], env: Iterable[str], files: Hashable, engine: str) -> str:
    """Return what two servers have in common that make the same cache of the same conversation.

    `words` are those of the command, `files` what the files look like that it names, `engine` is program and build.
    """
    parts = (tuple(telling(words)), tuple(sorted(env)), files, engine)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def telling(words: Sequence[str]) -> Iterator[str]:
    """Give the words of a command that may change what a cache means."""
    rest = iter(words)
    for word in rest:
        if word in WITH_VALUE:
            next(rest, None)
        elif word not in ALONE:
            yield word
