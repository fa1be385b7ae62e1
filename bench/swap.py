"""What does a swap cost beyond the engine's own time?

Two copies of one real model under two names. Each round measures, interleaved: the engine alone (exec to the first 200
of /health, asked every millisecond; one token; SIGTERM to exit), and a swap through ClaraCore (POST /api/models/load
of the model that is not loaded, after one token from the other, until it says ready). Prints medians and the
difference, round by round. With a llama-server named, both that and the embedded engine are measured.

    make bench-swap [LLAMA_SERVER=/path/to/llama-server] [ROUNDS=15]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e.instance import configured, instance

MODEL = ROOT / ".models" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
FLAGS = ["-c", "512", "-np", "1", "-t", "1"]
EMBEDDED = [sys.executable, "-m", "claracore", "engine"]


def engine_alone(engine: list[str], model: Path) -> tuple[float, float]:
    """Return seconds from exec to ready, and from SIGTERM to exit."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    begun = time.perf_counter()
    with subprocess.Popen(
        [*engine, "-m", str(model), "--port", str(port), *FLAGS],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # as ClaraCore does; Linux shares the processors among sessions (autogroup)
    ) as process:
        while not healthy(port):
            time.sleep(0.001)
        ready = time.perf_counter() - begun
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        one_token(connection, "a")
        connection.close()
        begun = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        process.wait()
        return ready, time.perf_counter() - begun


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    return False


def one_token(connection: http.client.HTTPConnection, model: str) -> float:
    begun = time.perf_counter()
    body = {"model": model, "prompt": "a", "max_tokens": 1}
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    return time.perf_counter() - begun


def swap_to(connection: http.client.HTTPConnection, model: str) -> float:
    begun = time.perf_counter()
    connection.request("POST", f"/api/models/load/{model}")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    return time.perf_counter() - begun


def measure(name: str, engine: list[str], rounds: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copies = [folder / "a.gguf", folder / "b.gguf"]
        for copy in copies:
            shutil.copy(MODEL, copy)
        command = " ".join([*engine, "--port", "${PORT}", *FLAGS])
        models = "".join(f"  {copy.stem}: {{cmd: '{command} -m {copy}'}}\n" for copy in copies)
        config = configured(folder, f"startPort: 24500\nmodels:\n{models}")
        loads, stops, swaps = [], [], []
        with instance(folder, "--config", str(config)) as running:
            connection = running.connect()
            one_token(connection, "a")
            for number in range(rounds):
                copy = copies[(number + 1) % 2]
                swaps.append(swap_to(connection, copy.stem))
                one_token(connection, copy.stem)
                load, stop = engine_alone(engine, copy)
                loads.append(load)
                stops.append(stop)
    beyond = [swap - load - stop for swap, load, stop in zip(swaps, loads, stops, strict=True)]
    load, stop, swap, more = (statistics.median(values) * 1000 for values in (loads, stops, swaps, beyond))
    alone = [load + stop for load, stop in zip(loads, stops, strict=True)]
    quick = [statistics.quantiles(values, n=4)[0] * 1000 for values in (alone, swaps)]
    print(f"{name}: {rounds} rounds on {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f}), medians in ms")
    print(f"  engine alone: ready after {load:.0f}, gone after {stop:.0f}; together {load + stop:.0f}")
    print(f"  a swap through ClaraCore: {swap:.0f}; beyond the engine's own time: {more:+.0f}")
    print(f"  lower quartiles: {quick[0]:.0f} and {quick[1]:.0f}; {quick[1] - quick[0]:+.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a swap costs beyond the engine's own time.")
    parser.add_argument("--llama-server", metavar="PATH", help="measure this one too")
    parser.add_argument("--rounds", type=int, default=15)
    wishes = parser.parse_args()
    measure("embedded", EMBEDDED, wishes.rounds)
    if wishes.llama_server:
        measure("llama-server", [wishes.llama_server], wishes.rounds)


if __name__ == "__main__":
    main()
