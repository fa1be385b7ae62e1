"""How long does a set-up of thousands of model files take: the first, one that changes nothing, one that changes all?

    .venv/bin/python bench/set_up.py [--files 480 3000] [--profile]

Writes sparse files of eight shapes and several sizes, with a small vocabulary (bench/scan.py measures reading headers),
and sets them up three times for a machine of 64 GiB and one card of 24 GB: into no file; again, into what the first
run wrote, with the readings cached; and for a processor with fewer cores, which writes every command anew. Where the
time goes is told by part: looking at folders (`scan`), choosing placements (`choose`), merging into the file
(`merged_with`), what has changed (`unified_diff`), and the whole. Parts are seconds of processor (user and system),
which others on the same machine change least; the whole is told both ways. Goal: each run of 3,000 files in less than
5 s.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor
from claracore.core.units import GIB
from claracore.host.library.cache import ReadingCache
from claracore.host.setup import survey as surveying
from claracore.host.setup import write as writing
from claracore.host.setup.request import SetupOptions, SetupRequest
from setup.engine import LLAMA_SERVER
from zoo.synthetic import Shape, build

MACHINE = Hardware(
    Processor("bench", 32, 16, 16),
    Memory(64 * GIB, 64 * GIB),
    (Gpu("RTX 4090", "nvidia", Backend.CUDA, 24 * GIB, 24 * GIB),),
)
OTHER = replace(MACHINE, processor=Processor("bench", 16, 8, 8))
SHAPES = [
    Shape("qwen3", 28, 1024, 16, 8, 3072, 1000, 32768, head_dim=128),
    Shape("llama", 16, 2048, 32, 8, 8192, 1000, 131072),
    Shape("qwen3", 36, 2560, 32, 8, 9728, 1000, 40960, head_dim=128),
    Shape("llama", 32, 4096, 32, 8, 14336, 1000, 131072),
    Shape("gemma3", 48, 3840, 16, 8, 15360, 1000, 131072, head_dim=256),
    Shape("qwen3", 40, 5120, 40, 8, 17408, 1000, 40960, head_dim=128),
    Shape("qwen3", 64, 5120, 64, 8, 25600, 1000, 40960, head_dim=128),
    Shape("bert", 24, 1024, 16, 16, 4096, 1000, 8192),
]  # fmt: skip
PARTS = ((surveying, "scan"), (surveying, "choose"), (writing, "merged_with"), (writing, "unified_diff"))
P = ParamSpec("P")
R = TypeVar("R")


def make_library(folder: Path, files: int) -> None:
    # As files of encoders say; else their cache would be planned in two types.
    said = {"bert.attention.causal": False}
    named = [one.metadata() | said | {"general.name": f"Bench {n}"} for n, one in enumerate(SHAPES)]
    images = [build(metadata, one.tensors()) for metadata, one in zip(named, SHAPES, strict=True)]
    for number in range(files):
        image = images[number % len(images)]
        path = folder / f"folder-{number % 20}" / f"bench-{number}-Q4_K_M.gguf"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as stream:
            stream.write(image.header)
            # A few bytes more each: no two are copies of one another.
            stream.truncate(image.size + 32 * number)


class Parts:
    """Seconds of processor that the functions of a set-up have taken since `clear`."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        for module, name in PARTS:
            setattr(module, name, self._timing(name, getattr(module, name)))

    def _timing(self, name: str, work: Callable[P, R]) -> Callable[P, R]:
        def timing(*args: P.args, **options: P.kwargs) -> R:
            began = time.process_time()
            try:
                return work(*args, **options)
            finally:
                self.spent[name] += time.process_time() - began

        return timing


def measure(folder: Path, files: int, parts: Parts, *, profile: bool) -> None:
    make_library(folder / "models", files)
    request = SetupRequest(
        [folder / "models"], folder / "config.yaml", SetupOptions(), LLAMA_SERVER,
        cache=ReadingCache(folder / "cache"), schema_dir=folder,
    )  # fmt: skip
    for run, machine in (("first", MACHINE), ("second", MACHINE), ("other machine", OTHER)):
        surveying.machine_for = lambda *_, machine=machine: machine  # type: ignore[assignment, misc]
        parts.spent.clear()
        profiler = cProfile.Profile() if profile else None
        began, busy = time.perf_counter(), time.process_time()
        with profiler or nullcontext():
            report = writing.write_setup(request)
            difference = report.diff.count("\n")
        whole, busy = time.perf_counter() - began, time.process_time() - busy
        spent = ", ".join(f"{name} {parts.spent[name]:.2f} s" for _, name in PARTS)
        print(
            f"{files:5} files, {run:<14} {whole:6.2f} s, of processor {busy:.2f} s: {spent};"
            f" {len(report.catalog.chosen)} models, {difference} lines of difference",
            flush=True,
        )
        if profiler is not None:
            pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--files", type=int, nargs="*", default=[480, 3000])
    options.add_argument("--profile", action="store_true")
    chosen = options.parse_args()
    parts = Parts()
    for files in chosen.files:
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
            (Path(name) / "models").mkdir()
            measure(Path(name), files, parts, profile=chosen.profile)


if __name__ == "__main__":
    main()
