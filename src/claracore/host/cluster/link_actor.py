"""Does the ClaraCore of this node answer?

Runs in a process of Ray, one on each node, and holds nothing: when it is killed, Ray makes another. It asks over the
Unix socket that ClaraCore has opened for it.
"""

from __future__ import annotations

import os
import socket
from typing import Final

from claracore.core.cluster.ray_words import SOCKET

ANSWER_SECONDS: Final = 1.0


class Link:
    """An actor of Ray (`ray_helper.py` makes it one)."""

    def look(self) -> bool:
        """Whether ClaraCore answers on its socket."""
        path = os.environ.get(SOCKET, "")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(ANSWER_SECONDS)
                connection.connect(path)
                return connection.recv(1) == b"+"
        except OSError:
            return False

    def pid(self) -> int:
        """Return the process in which it runs."""
        return os.getpid()
