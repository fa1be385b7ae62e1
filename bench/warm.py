"""How much sooner does a model start whose file is read beside its server, or was read while another model answered?

A model of several GB (published shapes, weights of random bytes, all of them on the disk) and a small one that is in
its way. Rounds of four, in turns. The file is in memory (warm). It is not, and: the engine starts without ClaraCore
(alone); the model starts at once, and its file is read beside it (beside); the small model still answers for a while,
in which the file is read (ahead). Measured is how long the server of the large model takes from its start until it is
ready; beside it what ClaraCore expected before, and how far the bar was at the last look.

    make bench-warm [SHAPE=gemma-3-4b-Q4_K_M] [WARM_ROUNDS=3] [WARM_FLAGS="--no-repack --no-warmup"]

Cold is as cold as the machine lets it be: a virtual disk may be in the memory of its host.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests"), str(ROOT / "bench")]

from gpu_models import write_model
from swap import healthy

from claracore.host.loading.page_cache import cached_share
from e2e.instance import WAIT_SECONDS, Instance, configured, instance

ALONE = [sys.executable, "-m", "claracore", "engine", "-np", "1", "-t", "2", "-c", "1024"]
SMALL = ROOT / ".models" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
ENGINE = f"{sys.executable} -m claracore engine --port ${{PORT}} -np 1 -t 2"
BLOCK_BYTES = 32 << 20


def fill(path: Path) -> int:
    """Put random bytes where the file has a hole, and return its size: a hole costs no reading."""
    block = random.Random(1).randbytes(BLOCK_BYTES)
    size = path.stat().st_size
    descriptor = os.open(path, os.O_RDWR)
    with contextlib.closing(os.fdopen(descriptor, "r+b", buffering=0)) as stream:
        at = os.lseek(descriptor, 0, os.SEEK_HOLE)
        while at < size:
            at += os.pwrite(descriptor, block[: size - at], at)
        os.fsync(stream.fileno())
    return size


def drop(path: Path) -> None:
    """Have no page of the file in memory: the kernel may need a moment after a server has ended that had it mapped."""
    for _ in range(50):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
        if (cached_share(str(path)) or 0.0) < 0.01:
            return
        time.sleep(0.1)
    raise SystemExit(f"{cached_share(str(path)):.0%} of {path} stay in memory: something has it mapped")


class Answer:
    """An answer of the small model that goes on until it is left."""

    def __init__(self, running: Instance) -> None:
        self._connection = running.connect()
        body = {"model": "small", "prompt": "Once", "max_tokens": 100_000, "stream": True, "ignore_eos": True}
        self._connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200, self._answer.status
        self._answer.readline()

    def go_on(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with contextlib.suppress(http.client.HTTPException, OSError):
            while time.monotonic() < until and self._answer.readline():
                pass
        self._connection.close()


def alone(path: Path, flags: list[str]) -> float:
    """Return how long the engine takes by itself."""
    drop(path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    begun = time.perf_counter()
    quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    with subprocess.Popen([*ALONE, "-m", str(path), "--port", str(port), *flags], **quiet) as process:
        while not healthy(port):
            time.sleep(0.01)
        took = time.perf_counter() - begun
        process.terminate()
    return took


def load(running: Instance, watched: list[dict[str, Any]], over: threading.Event) -> None:
    """Load the large model, and see how that goes."""

    def watch() -> None:
        while not over.wait(0.25):
            watched.append(running.ask("GET", "/api/models/large").json)

    looking = threading.Thread(target=watch)
    looking.start()
    try:
        answer = running.ask("POST", "/api/models/load/large")
        assert answer.status == 200, answer.body
    finally:
        over.set()
        looking.join(WAIT_SECONDS)


def one(running: Instance, way: str, path: Path, drain: float) -> dict[str, float]:
    running.ask("POST", "/api/models/unload/large")
    running.ask("POST", "/api/models/load/small")
    answering = Answer(running) if way == "ahead" else None
    if way != "warm":
        drop(path)
    expected = running.ask("GET", "/api/models/large").json["expected_seconds"]
    watched: list[dict[str, Any]] = []
    over = threading.Event()
    loading = threading.Thread(target=load, args=(running, watched, over))
    loading.start()
    if answering is not None:
        answering.go_on(drain)
    loading.join(WAIT_SECONDS)
    swap = next(swap for swap in running.ask("GET", "/api/swaps").json["swaps"] if swap["model"] == "large")
    bar = [each["progress"] for each in watched if each["state"] == "starting" and each["progress"] is not None]
    assert bar == sorted(bar), bar
    started = next((each for each in watched if each["state"] == "starting" and each["expected_seconds"]), None)
    return {
        "seconds": swap["phases"]["load_seconds"],
        "expected": expected or float("nan"),
        "at the start": started["expected_seconds"] if started else float("nan"),
        "bar at the end": bar[-1] if bar else float("nan"),
    }


def measure(folder: Path, wishes: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    large = folder / "large.gguf"
    write_model(wishes.shape, large)
    print(f"{wishes.shape}: {fill(large) / 1e9:.1f} GB of random weights in {folder}", flush=True)
    text = f"startPort: 24500\nmodels:\n  small: {{cmd: '{ENGINE} -c 8192 -m {SMALL}'}}\n"
    text += f"  large: {{cmd: '{ENGINE} -c 1024 -m {large} {wishes.flags}'}}\n"
    found: dict[str, list[dict[str, float]]] = {"alone": [], "warm": [], "beside": [], "ahead": []}
    with instance(folder, "--config", str(configured(folder, text))) as running:
        one(running, "warm", large, 0.0)
        for _ in range(wishes.rounds):
            for way, rows in found.items():
                if way == "alone":
                    running.ask("POST", "/api/models/unload")
                    rows.append({"seconds": alone(large, wishes.flags.split())})
                else:
                    rows.append(one(running, way, large, wishes.drain))
                shown = "  ".join(f"{name} {value:.2f}" for name, value in rows[-1].items())
                print(f"  {way:6} {shown}", flush=True)
        print("\n".join(line for line in running.lines if "read ahead" in line))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what reading a model's file ahead, or beside, saves.")
    parser.add_argument("--shape", default="gemma-3-4b-Q4_K_M")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--drain", type=float, default=8.0, help="for how many seconds the small model still answers")
    parser.add_argument("--flags", default="", help="more flags of the engine for the large model")
    parser.add_argument("--folder", type=Path, default=None, help="on which disk the large file is written")
    wishes = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=wishes.folder) as temporary:
        found = measure(Path(temporary), wishes)
    for way, rows in found.items():
        seconds = [row["seconds"] for row in rows]
        least, most = min(seconds), max(seconds)
        print(f"{way:6}: {statistics.median(seconds):.2f} s to ready (least {least:.2f}, most {most:.2f})")


if __name__ == "__main__":
    main()
