"""By which name is what a command takes remembered, so that another command has another name?

What decides nothing about memory is left out: where the server listens, what it is called, who may ask it. What its
files looked like is part of the name, as are the engine and the devices: another file under the same path, another
build or another card may take more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

LEFT_OUT_WITH_VALUE = frozenset(
    {
        "--port", "--host", "-a", "--alias", "--api-key", "--api-key-file", "--api-prefix", "--path", "--timeout",
        "--ssl-key-file", "--ssl-cert-file", "--log-file", "--tags", "--verbosity", "-lv", "--log-verbosity",
        "-to", "--threads-http", "--temp", "--top-k", "--top-p", "--min-p", "--seed", "-s",
    }
)  # fmt: skip
LEFT_OUT = frozenset(
    {
        "--reuse-port", "--metrics", "--props", "--slots", "--no-slots", "--webui", "--no-webui", "--ui", "--no-ui",
        "--no-jinja", "-v", "--verbose", "--log-verbose", "--log-disable", "--log-prefix", "--jinja",
    }
)  # fmt: skip


def command_key(
    argv: Sequence[str], env: Iterable[str], *, files: object = (), engine: str = "", devices: str = ""
) -> str:
    """Return the name under which to remember what `argv` takes (32 hexadecimal digits).

    `files` is what the files that it names look like, `engine` which build of it, `devices` what there is.
    """
    parts = ("\0".join(_telling(argv)), "\0".join(sorted(env)), repr(files), engine, devices)
    return hashlib.blake2b("\1".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _telling(argv: Sequence[str]) -> Iterator[str]:
    """Yield the words that may decide about memory."""
    words = iter(argv)
    for word in words:
        name, equals, _ = word.partition("=")
        if word in LEFT_OUT_WITH_VALUE:
            next(words, None)
        elif word not in LEFT_OUT and not (equals and name in LEFT_OUT_WITH_VALUE):
            yield word
