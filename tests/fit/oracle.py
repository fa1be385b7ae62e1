"""What does llama.cpp itself say a model takes? Asks the embedded engine, without letting it allocate anything large.

Run as a script (in a process of its own: the engine never returns) it loads a model with the options of a JSON text;
`ask` starts that and reads the log up to the first memory breakdown, which llama.cpp prints before it allocates.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CACHE = re.compile(r"kv_cache: size = +([\d.]+) MiB \( *(\d+) cells")
COMPUTE = re.compile(r"sched_reserve: +\S+ compute buffer size = +([\d.]+)")
STATE = re.compile(r"memory_recurrent: size = +([\d.]+) MiB")
BREAKDOWN = re.compile(r"- \S+ +\| +(\d+) = +\d+ \+ +\d+ \+ +\d+")
END = "params_fit_impl: projected"


@dataclass
class Answer:
    """MiB as llama.cpp prints them."""

    cache_mib: list[float] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    state_mib: float = 0.0
    compute_mib: float = 0.0
    total_mib: int = 0
    complete: bool = False
    lines: list[str] = field(default_factory=list)


def ask(model: Path, **options: Any) -> Answer:
    text = json.dumps({"model": str(model), "n_parallel": 1, **options})
    answer = Answer()
    with subprocess.Popen(
        [sys.executable, __file__, text], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if _take(line, answer):
                    break
        finally:
            process.kill()
    return answer


def _take(line: str, answer: Answer) -> bool:
    answer.lines = [*answer.lines[-20:], line]
    if match := CACHE.search(line):
        answer.cache_mib.append(float(match[1]))
        answer.cells.append(int(match[2]))
    elif match := STATE.search(line):
        answer.state_mib += float(match[1])
    elif match := COMPUTE.search(line):
        answer.compute_mib += float(match[1])
    elif match := BREAKDOWN.search(line):
        answer.total_mib += int(match[1])
    answer.complete = END in line
    return answer.complete


def main() -> None:
    import xllamacpp

    options = json.loads(sys.argv[1])
    params = xllamacpp.CommonParams()
    params.model.path = options.pop("model")
    params.verbosity, params.port, params.warmup = 5, 0, False
    for name, value in options.items():
        if name.startswith("cache_type"):
            value = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{value.upper()}")  # noqa: PLW2901
        elif name == "flash_attn_type":
            value = getattr(xllamacpp.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{value}")  # noqa: PLW2901
        setattr(params, name, value)
    xllamacpp.Server(params)


if __name__ == "__main__":
    main()
