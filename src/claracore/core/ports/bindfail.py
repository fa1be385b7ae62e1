"""Did a model's server end because it could not bind its port?

Told from its last lines. Only asked after a process ended early; a bind failure is retried on another port and never
counted as a crash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MESSAGES = (
    # llama-server and the embedded engine (tools/server: "couldn't bind HTTP server socket, hostname: %s, port: %d")
    r"couldn'?t bind (?:HTTP )?(?:server )?socket",
    r"failed to bind (?:HTTP )?(?:server )?socket",
    # errno 98 (Linux), 48 (macOS) of the C library: Python (uvicorn, vLLM, gunicorn), Go, Rust, Java, C
    r"address already in use",
    r"\bEADDRINUSE\b",  # node, bun, deno
    r"Errno (?:98|48)\]",
    r"os error (?:98|48)\b",
    # Windows: WSAEADDRINUSE, WSAEACCES (the port lies in an excluded range)
    r"only one usage of each socket address",
    r"(?:Errno|WinError) 10048\b",
    r"access a socket in a way forbidden",
    r"WinError 10013",
    r"java\.net\.BindException",
    r"Connection in use: \(",  # gunicorn
    # container runtimes: docker, podman
    r"port is already allocated",
    r"ports are not available",
)
BIND_FAILURE = re.compile("|".join(MESSAGES), re.IGNORECASE)
PORT_IN_MESSAGE = re.compile(r"(?:port[:=]? ?|[\]):\w*]:|['\"], ?)(\d{2,5})\b(?![.\d])", re.IGNORECASE)
"""`port: 8100`, `127.0.0.1:8100`, `[::1]:8100`, `('127.0.0.1', 8100)`."""


def is_bind_failure(lines: Iterable[str], *, port: int | None = None) -> bool:
    """Whether one of the lines says that an address could not be bound.

    With `port`, a line that names only other ports does not count: the server then fought for a port of its own, and
    another ${PORT} would not help it.
    """
    return any(BIND_FAILURE.search(line) and _means(line, port) for line in lines)


def _means(line: str, port: int | None) -> bool:
    named = {int(number) for number in PORT_IN_MESSAGE.findall(line)}
    return port is None or not named or port in named
