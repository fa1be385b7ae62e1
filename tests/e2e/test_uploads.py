"""Who sends many large bodies that name no model gets no more of this machine's memory than bodies may have."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_port

MIB = 1 << 20
UPLOADS = 12
EACH = 24 * MIB
BUFFER = 64
"""Megabytes; two of the uploads fit."""
LARGE_PAGE = 2 * MIB
"""What is kept of an upload lies in large pages where the kernel has some: the last one of each is not full."""
BESIDES = 8 * MIB
"""What has been read from the sockets and is not in a buffer yet, and what Python has loaded meanwhile."""


class Rude:
    """One client that sends all of its body but the last byte, and then waits."""

    def __init__(self, here: Instance, enough: threading.Semaphore) -> None:
        url = urlsplit(here.url)
        self.socket = socket.create_connection((url.hostname or "", url.port or 0), timeout=60)
        self.answer = b""
        self._enough = enough
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self) -> None:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
        try:
            self.socket.sendall(head + b"Content-Length: %d\r\n\r\n" % EACH + b'{"image":"')
            for _ in range(EACH // MIB - 1):
                self.socket.sendall(b"A" * MIB)
        except OSError:
            pass  # refused in the middle of it
        try:
            self.answer = self.socket.recv(200)
        except OSError:
            self.answer = b"reset"
        self._enough.release()

    def end(self) -> None:
        """Go away."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's word for how much memory there was at most")
@pytest.mark.parametrize("by_hand", [False, True], ids=["bodyBuffer", "--body-buffer"])
def test_twelve_uploads_without_a_model(tmp_path: Path, by_hand: bool) -> None:  # noqa: FBT001 - drawn
    option = "" if by_hand else f"bodyBuffer: {BUFFER}\n"
    config = configured(tmp_path, f"{option}startPort: {free_port()}\nmodels:\n  m: {{cmd: '{fake()}'}}\n")
    with instance(tmp_path, "--config", str(config), *(["--body-buffer", str(BUFFER)] if by_hand else [])) as here:
        assert here.chat("m").status == 200
        before = psutil.Process(here.process.pid).memory_info().rss
        refused = threading.Semaphore(0)
        clients = []
        with ExitStack() as all_end:
            for _ in range(UPLOADS):
                clients.append(Rude(here, refused))
                all_end.callback(clients[-1].end)
            for _ in range(UPLOADS - BUFFER * MIB // EACH):
                assert refused.acquire(timeout=60)
            assert most_memory(here.process.pid) - before < BUFFER * MIB + UPLOADS * LARGE_PAGE + BESIDES
        answers = [client.answer for client in clients if client.answer]
        assert len(answers) >= UPLOADS - BUFFER * MIB // EACH
        assert any(answer.startswith(b"HTTP/1.1 503 ") for answer in answers)
        assert here.chat("m").status == 200


def most_memory(pid: int) -> int:
    """Return how many bytes of memory a process had at most."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
