"""Who is this ClaraCore among others?"""

from __future__ import annotations

import hashlib
import secrets
import socket
from typing import Final

IDENTITY: Final = secrets.token_hex(8)
"""Names this run: in `Via` of requests to peers, and in what a node says of itself. Told to peers, so no secret."""


def head_name(configuration: str) -> str:
    """Return what names the ClaraCore of a configuration on this machine to other machines, over its restarts."""
    return hashlib.sha256(f"{socket.gethostname()}\n{configuration}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
