"""Fuzz the header reader with atheris: `python tests/gguf/fuzz_header.py [-runs=100000]` (pip install atheris).

Anything but a `GGUFError` out of `read_header`, or any error at all out of `facts_of`, is a finding.
"""

from __future__ import annotations

import sys
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "src")]


def one_input(data: bytes) -> None:
    from claracore.core.gguf.array_cache import ArrayCache
    from claracore.core.gguf.errors import GGUFError
    from claracore.core.gguf.facts import facts_of
    from claracore.core.gguf.header import read_header

    seen = ArrayCache()
    for _ in range(2):
        try:
            header = read_header(BytesIO(data), size=len(data), seen=seen)
        except GGUFError:
            continue
        facts_of(header)


def main() -> None:
    atheris: Any = import_module("atheris")
    from zoo.hostile import GOOD, HOSTILE, TOLERATED

    corpus = Path("/tmp/claracore-fuzz-header")  # noqa: S108 - seeds for this run only
    corpus.mkdir(exist_ok=True)
    seeds = [GOOD.header, *(data for data, _ in HOSTILE.values()), *TOLERATED.values()]
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    with atheris.instrument_imports():
        import_module("claracore.core.gguf.facts")
    atheris.Setup([*sys.argv, str(corpus)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
