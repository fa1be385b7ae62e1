"""Does an upgrade lose a request, and how long does one wait?

    make bench-upgrade [STREAMS=200]

STREAMS streams are open and last, 20 clients ask without a pause (half of them on one connection each, half on a new
one each time), and the same version takes over twice. Then the streams go on to their end.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from e2e.instance import Instance, fake, instance
from e2e.upgrading import Client, Load, insist, post, stream
from fakes.ports import free_port

CLIENTS = 20
UPGRADES = 2


async def measure(box: Instance, streams: int) -> None:
    """Run it and print what came of it."""
    where = urlsplit(box.url)
    host, port = str(where.hostname), int(where.port or 0)
    await post(host, port, "/v1/chat/completions", {"model": "m", "messages": []})
    model = urlsplit(box.running()["m"]["proxy"])
    lasting, load, begun = Load(), Load(), asyncio.Semaphore(0)
    open_streams = [asyncio.create_task(stream(lasting, host, port, "m", begun)) for _ in range(streams)]
    for _ in range(streams):
        await begun.acquire()
    clients = [asyncio.create_task(insist(load, host, port, "m", keep=bool(n % 2))) for n in range(CLIENTS)]
    await asyncio.sleep(1.0)
    calm, load.longest_seconds = load.longest_seconds, 0.0
    for _ in range(UPGRADES):
        before, at = load.answered, time.monotonic()
        status, done = await post(host, port, "/api/upgrade")
        seconds = time.monotonic() - at
        rate = (load.answered - before) / seconds
        print(f"upgrade: {status} {done}; {seconds:.1f} s, {rate:.0f} requests a second meanwhile")
        await asyncio.sleep(1.0)
    load.stopping = True
    await asyncio.gather(*clients)
    print(f"requests: {load.answered}, failed: {len(load.failed)} {load.failed[:3]}")
    print(f"longest: {load.longest_seconds * 1000:.0f} ms; before the upgrades: {calm * 1000:.0f} ms")
    release = Client(str(model.hostname), int(model.port or 0), keep=False)
    await release.begin(f"/control/release?count={streams}", {})
    await release.close()
    await asyncio.gather(*open_streams)
    print(f"streams: {lasting.answered}, broken: {len(lasting.failed)} {lasting.failed[:3]}")


def main() -> None:
    """Measure with a server that a test controls."""
    streams = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(f"startPort: {free_port()}\nmodels:\n  m: {{cmd: '{fake()}'}}\n")
        with instance(Path(folder), "--config", str(config), "--log-level", "warn") as box:
            asyncio.run(measure(box, streams))
            box.end(signal.SIGTERM)
            print("\n".join(line for line in box.lines if "ERROR" in line or "WARN" in line))


if __name__ == "__main__":
    main()
