"""What does it cost a head to follow 200 nodes with 25 models each, and each of them to be followed?

python bench/follow.py: a real ClaraCore as the head; the nodes are one server in this process at 200 ports, which
answers what a ClaraCore with 25 models answers.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from e2e.instance import configured, instance

NODES, MODELS, SECONDS = 200, 25, 20


class Nodes:
    """All nodes."""

    def __init__(self) -> None:
        self.looks = self.received = self.sent = 0
        self.ports: list[int] = []

    async def begin(self) -> None:
        """Listen at so many ports."""
        for number in range(NODES):
            server = await asyncio.start_server(
                lambda reader, writer, number=number: self._serve(number, reader, writer),  # type: ignore[misc]
                "127.0.0.1",
                0,
            )
            self.ports.append(server.sockets[0].getsockname()[1])

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while asked := await reader.readuntil(b"\r\n\r\n"):
                answer = self._answer(number)
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
                writer.write(head + answer)
                self.looks += 1
                self.received += len(asked)
                self.sent += len(head) + len(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, number: int) -> bytes:
        """Return what a node says; its free memory is another one every time."""
        model = {
            "state": "stopped",
            "fit": "now",
            "requests": 0,
            "slots": 4,
            "context": 4096,
            "why": "",
            "revision": "",
        }
        models = [{"name": f"model-{number}-{each}", **model} for each in range(MODELS)]
        memory = [{"device": "ram", "total_bytes": 1 << 36, "free_bytes": (1 << 35) + self.looks}]
        own = {"kind": "claracore", "identity": f"{number:016x}", "version": "1", "hardware": "Linux x86_64, 8 cores"}
        return json.dumps({**own, "memory": memory, "models": models}).encode()


async def main() -> None:
    """Measure."""
    nodes = Nodes()
    await nodes.begin()
    peers = "".join(
        f"  n{n}: {{proxy: 'http://127.0.0.1:{port}', models: auto}}\n" for n, port in enumerate(nodes.ports)
    )
    with tempfile.TemporaryDirectory() as folder:
        config = configured(Path(folder), f"models:\n  z: {{cmd: 'none ${{PORT}}'}}\npeers:\n{peers}")
        running = instance(Path(folder), "--config", str(config))
        head = await asyncio.to_thread(running.__enter__)
        try:
            await asyncio.sleep(15)  # everything is found, and taken over
            process = psutil.Process(head.process.pid)
            before, used = (nodes.looks, nodes.received, nodes.sent), sum(process.cpu_times()[:2])
            await asyncio.sleep(SECONDS)
            looks, received, sent = nodes.looks - before[0], nodes.received - before[1], nodes.sent - before[2]
            used = sum(process.cpu_times()[:2]) - used
            memory = process.memory_info().rss / 1e6
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
    print(f"{looks / SECONDS / NODES:.2f} looks a second at each of {NODES} nodes with {MODELS} models")
    print(f"a node, for each head: {received / SECONDS / NODES:.0f} B/s in, {sent / SECONDS / NODES:.0f} B/s out")
    traffic, percent = (received + sent) / SECONDS / 1e6, used / SECONDS * 100
    print(f"the head: {traffic:.2f} MB/s, {percent:.1f} % of a processor, {memory:.0f} MB")


if __name__ == "__main__":
    asyncio.run(main())
