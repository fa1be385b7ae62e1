"""How fast is a scan of 1,000 models with real headers, and how much memory does it take?

    .venv/bin/python bench/scan.py [--files 1000] [--vocabularies 12] [--rounds 3]

Writes sparse files with a vocabulary of 150,000 tokens and as many merges (5 MB of header), 290 tensors and a chat
template: 7 GB with 1,000 files. A real library has some dozens of different vocabularies among its files: here
`--vocabularies`. Cold is our own cache cold, not the kernel's; each scan is a new process, as a user's would be.
The first round meets a kernel that still writes the files out, and other programs take their share: compare rounds, and
`seconds` with `cpu_seconds`. Goals: cold < 1 s, warm < 50 ms, peak memory < 50 MB above that of an empty scan.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from claracore.core.gguf.types import ValueType
from zoo.synthetic import Shape, Typed, big_vocabulary, build

TEMPLATE = "{% if tools %}{{ tools }}{% endif %}" + "{# as long as a real one #}" * 200


def make_library(folder: Path, files: int, vocabularies: int) -> None:
    """Lay out the files; those with the same vocabulary share their header's blocks only by content."""
    shape = Shape("qwen3", 32, 4096, 32, 8, 14336, 150_000, 32768, template=TEMPLATE, head_dim=128)
    tensors = shape.tensors()
    for number in sorted(range(files), key=lambda number: number % vocabularies):
        seed = number % vocabularies
        keys = shape.metadata() | {
            "general.name": f"Bench {number}",
            "tokenizer.ggml.tokens": big_vocabulary(150_000, seed),
            "tokenizer.ggml.token_type": Typed(ValueType.INT32, (1,) * 150_000),
            "tokenizer.ggml.merges": big_vocabulary(150_000, seed + 100),
            "tokenizer.ggml.eos_token_id": 2,
        }
        image = build(keys, tensors)
        path = folder / f"folder-{number % 20}" / f"bench-{number}-7b-Q4_K_M.gguf"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as stream:
            stream.write(image.header)
            stream.truncate(image.size)


def one_scan(folder: Path, cache: Path) -> None:
    """Scan in this process and print what it took."""
    from claracore.host.library.cache import ReadingCache  # noqa: PLC0415 - measured apart
    from claracore.host.library.scan import scan  # noqa: PLC0415 - same

    Path("/proc/self/clear_refs").write_text("5")  # forget the peak inherited from the parent's fork
    before = peak_mb()
    started, cpu = time.perf_counter(), time.process_time()
    library = scan([folder], cache=ReadingCache(cache))
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    report = {"models": len(library.models), "left_out": len(library.left_out), "seconds": took, "cpu_seconds": cpu}
    print(json.dumps(report | {"memory_mb": peak_mb() - before, "process_mb": peak_mb()}))


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(folder: Path, cache: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--scan", str(folder), "--cache", str(cache)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return result


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--files", type=int, default=1000)
    options.add_argument("--vocabularies", type=int, default=12)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--keep", type=Path, help="lay the library out here and leave it")
    options.add_argument("--scan", type=Path)
    options.add_argument("--cache", type=Path)
    chosen = options.parse_args()
    if chosen.scan is not None:
        one_scan(chosen.scan, chosen.cache)
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder, cache = chosen.keep or Path(name) / "models", Path(name) / "cache"
        if not folder.exists():
            folder.mkdir()
            make_library(folder, chosen.files, chosen.vocabularies)
        for _ in range(chosen.rounds):
            cache.unlink(missing_ok=True)
            for state in ("cold", "warm"):
                print(state, json.dumps(measure(folder, cache)))
        print("cache file", cache.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
