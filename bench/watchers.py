"""What do 200 people who watch cost the models? `python bench/watchers.py [SECONDS]`

A ClaraCore with a fake model; 16 keep-alive clients ask it as fast as they can. Three rounds each without anybody at
/api/stream and with 200 followers, 50 of which never read. Processor time of the server per request of both, and the
difference: requests per second say nothing on a machine where others work.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import psutil

from e2e.instance import configured, fake, instance

CLIENTS, FOLLOWERS, STALLED = 16, 200, 50
BODY = b'{"model":"one","messages":[]}'
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


async def load(host: str, port: int, seconds: float) -> float:
    """Return requests per second."""
    done = 0

    async def client() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection(host, port)
        try:
            while True:
                writer.write(REQUEST)
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
                )
                await reader.readexactly(length)
                done += 1
        finally:
            writer.close()

    tasks = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return done / seconds


async def follow(host: str, port: int, *, stalled: bool) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    if stalled:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writer.transport.pause_reading()
    writer.write(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while True:
        if stalled:
            await asyncio.sleep(3600)
        elif not await reader.read(1 << 20):
            return


async def compare(host: str, port: int, pid: int, seconds: float) -> None:
    process = psutil.Process(pid)

    async def cost() -> float:
        """Return microseconds of processor time per request."""
        before = sum(process.cpu_times()[:2])
        rate = await load(host, port, seconds)
        return (sum(process.cpu_times()[:2]) - before) / (rate * seconds) * 1e6

    alone, watched = [], []
    await load(host, port, 1.0)
    for _ in range(3):
        alone.append(await cost())
        followers = [asyncio.create_task(follow(host, port, stalled=n < STALLED)) for n in range(FOLLOWERS)]
        await asyncio.sleep(1.0)
        watched.append(await cost())
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
        await asyncio.sleep(1.0)
    print(f"alone   {statistics.median(alone):8.0f} us/request   {[round(rate) for rate in alone]}")
    print(f"watched {statistics.median(watched):8.0f} us/request   {[round(rate) for rate in watched]}")
    print(f"cost    {100 * (statistics.median(watched) / statistics.median(alone) - 1):8.1f} %")


def main() -> None:
    seconds = float(sys.argv[1]) if sys.argv[1:] else 5.0
    with tempfile.TemporaryDirectory() as folder:
        configured(Path(folder), f"models:\n  one:\n    cmd: '{fake()}'\n")
        with instance(Path(folder)) as server:
            server.ask("POST", "/api/models/load/one")
            where = urlsplit(server.url)
            asyncio.run(compare(where.hostname or "127.0.0.1", where.port or 80, server.process.pid, seconds))


if __name__ == "__main__":
    main()
