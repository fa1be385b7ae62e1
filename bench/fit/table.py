"""How far is our estimate from what llama.cpp reserves? The table of docs/setup.md, of tests/fit/llama_cpp.json.

make bench-fit-table
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from claracore.core.fit.projector import computing_bytes
from fit.llama_cpp import RECORDED, deviations, projected

CLOSE = 0.05


def line(name: str, found: list[tuple[float, str]]) -> str:
    """Return a row: how many devices, the median of how far they are, both ends, and how many are close."""
    parts = [part for part, _ in found]
    close = sum(abs(part) <= CLOSE for part in parts) / len(parts)
    _, worst = max(found, key=lambda one: abs(one[0]))
    middle = statistics.median(map(abs, parts))
    return f"| {name} | {len(parts)} | {middle:.2%} | {min(parts):+.1%} | {max(parts):+.1%} | {close:.0%} | {worst} |"


def projectors() -> list[tuple[float, str]]:
    """Return how far the estimate of each projector is from what llama.cpp takes, and its name."""
    found = []
    for row in projected():
        projector = row.facts.projector
        assert projector is not None, row.shape
        size = projector.weight_bytes + computing_bytes(projector, flash_attention=row.flash_attention)
        found.append((size / row.card - 1, row.shape))
    return found


def main() -> None:
    print(f"{RECORDED['engine']}, {len(RECORDED['models'])} models, {len(RECORDED['projectors'])} projectors\n")
    print("| class | devices | median | lowest | highest | within 5 % | farthest |")
    print("|---|---|---|---|---|---|---|")
    for name, found in deviations().items():
        print(line(name, [(one.part, one.case.shape) for one in found]))
    print(line("projectors", projectors()))


if __name__ == "__main__":
    main()
