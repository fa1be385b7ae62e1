"""Who follows logs or events and does not read stalls nobody, and is told that something is missing."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.instance import WAIT_SECONDS, configured, fake, instance
from fakes.ports import free_port


@pytest.mark.parametrize(
    ("path", "told"),
    [("/logs/stream/loud", rb"\.\.\. \d+ lines were lost: the reader was too slow"), ("/api/stream", b"event: resync")],
)
def test_a_stalled_reader_stalls_no_model_and_is_told_what_it_missed(tmp_path: Path, path: str, told: bytes) -> None:
    configured(tmp_path, f"startPort: {free_port()}\nmodels:\n  loud:\n    cmd: '{fake('--flood-forever')}'\n")
    with instance(tmp_path) as server, contextlib.ExitStack() as stack:
        where = urlsplit(server.url)
        stalled = socket.create_connection((where.hostname or "", where.port or 0), WAIT_SECONDS)
        stack.enter_context(contextlib.closing(stalled))
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        stalled.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
        for _ in range(20):
            assert server.chat("loud").status == 200
        seen = b""
        while re.search(told, seen) is None:
            piece = stalled.recv(65_536)
            assert piece, seen[-2000:]
            seen = seen[-100_000:] + piece
