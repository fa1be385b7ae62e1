"""WebSockets that a model ignores: an open tab neither takes a place, nor keeps the model, nor brings it back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from e2e.instance import WAIT_SECONDS, Instance, configured, fake, instance
from fakes.ports import free_run

CONFIG = f"""
startPort: {free_run(8).start}
unloadTimeout: 1
models:
  page: {{cmd: '{fake()}', concurrencyLimit: 1, compat: {{ignoreWebsockets: true}}}}
  idle: {{cmd: '{fake()}', ttl: 1, compat: {{ignoreWebsockets: true}}}}
  comfyui_auto: {{cmd: '{fake()}'}}
  other: {{cmd: '{fake()}'}}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("websockets")
    with instance(folder, "--config", str(configured(folder, CONFIG))) as running:
        yield running


def tab(served: Instance, path: str) -> tuple[socket.socket, str]:
    """Open a WebSocket; return it and the first line of the answer."""
    where = urlsplit(served.url)
    connection = socket.create_connection((where.hostname or "", where.port or 0), timeout=WAIT_SECONDS)
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        assert piece, head
        head += piece
    return connection, head.partition(b"\r\n")[0].decode()


@pytest.mark.parametrize(
    ("model", "path", "ask"),
    [("page", "/upstream/page/ws", "/upstream/page/x"), ("comfyui_auto", "/comfyui/ws", "/comfyui/api/prompt")],
)
def test_an_open_tab_takes_no_place_and_blocks_no_swap(served: Instance, model: str, path: str, ask: str) -> None:
    assert served.ask("POST", ask, {}).status == 200
    connection, status = tab(served, path)
    with connection:
        assert " 101 " in status
        connection.sendall(b"hello")
        assert connection.recv(5, socket.MSG_WAITALL) == b"hello"
        assert served.running()[model]["serving"] == 0
        assert served.ask("POST", ask, {}).status == 200
        assert served.chat("other").status == 200
        assert connection.recv(1) == b"", "the tab is closed with its model"
    assert model not in served.running()
    again, status = tab(served, path)
    with again:
        assert " 409 " in status


def test_an_open_tab_does_not_keep_a_model_beyond_its_ttl(served: Instance) -> None:
    assert served.chat("idle").status == 200
    connection, status = tab(served, "/upstream/idle/ws")
    with connection:
        assert " 101 " in status
        assert connection.recv(1) == b"", "closed when the ttl is over"
