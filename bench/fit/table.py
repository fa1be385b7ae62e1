"""How far is our estimate from what llama.cpp reserves? The table of docs/setup.md, of tests/fit/llama_cpp.json.

make bench-fit-table
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from fit.llama_cpp import RECORDED, Deviation, deviations

CLOSE = 0.05


def line(name: str, found: list[Deviation]) -> str:
    """Return a row: how many devices, the median of how far they are, both ends, and how many are close."""
    parts = [one.part for one in found]
    close = sum(abs(part) <= CLOSE for part in parts) / len(parts)
    worst = max(found, key=lambda one: abs(one.part)).case.shape
    middle = statistics.median(map(abs, parts))
    return f"| {name} | {len(parts)} | {middle:.2%} | {min(parts):+.1%} | {max(parts):+.1%} | {close:.1%} | {worst} |"


def main() -> None:
    print(f"{RECORDED['engine']}, {len(RECORDED['models'])} models\n")
    print("| class | devices | median | lowest | highest | within 5 % | farthest |")
    print("|---|---|---|---|---|---|---|")
    for name, found in deviations().items():
        print(line(name, found))


if __name__ == "__main__":
    main()
