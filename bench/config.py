"""How long does a configuration of 1,000 models take to load, plan, compare, check and edit?

Run: .venv/bin/python bench/config.py [MODELS]. Goals: load, validate and plan below 300 ms; comparing an unchanged
configuration below 50 ms.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from claracore.config.changes import compare
from claracore.config.edit import put
from claracore.config.load import load
from claracore.ports.listen import Listen
from claracore.ports.plan import plan

HEAD = """\
macros:
  server: llama-server --host 127.0.0.1 --port ${PORT}
  ctx: 4096
groups:
  small: {swap: false, startPort: 20000, members: [m0, m1, m2]}
models:
"""
MODEL = """\
  "m{n}":
    name: Model {n}
    cmd: |
      # model {n}
      ${{server}} \\
        -m "/models/model {n}.gguf" -c ${{ctx}} -ngl 99 --jinja
    ttl: 5m
    aliases: [a{n}, b{n}]
    env: [CUDA_VISIBLE_DEVICES=0]
    filters:
      stripParams: temperature, top_p
      setParamsByID:
        "${{MODEL_ID}}:high": {{reasoning_effort: high}}
    metadata: {{size: {n}, tags: [one, two]}}
"""
ROUNDS = 7


def best_and_median(work: Callable[[], object]) -> str:
    seconds: list[float] = []
    cpu_seconds: list[float] = []
    for _ in range(ROUNDS):
        start, cpu = time.perf_counter(), time.process_time()
        work()
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu)
    best, median, busy = (1000 * its for its in (min(seconds), statistics.median(seconds), min(cpu_seconds)))
    return f"best {best:6.1f} ms, median {median:6.1f} ms; at best {busy:6.1f} ms of processor"


def main(models: int) -> None:
    text = HEAD + "".join(MODEL.format(n=n) for n in range(models))
    loaded = load(text, env={})
    again = load(text, env={})
    assert loaded.config is not None
    assert again.config is not None
    old, new = loaded.config, again.config
    listen = Listen(port=5800)
    print(f"{models} models, {len(text) // 1024} KiB, {text.count(chr(10))} lines")
    print("load + validate      ", best_and_median(lambda: load(text, env={})))
    print("port plan            ", best_and_median(lambda: plan(old, listen, places=loaded.places)))
    print("compare, unchanged   ", best_and_median(lambda: compare(old, new)))
    print("edit one option      ", best_and_median(lambda: put(text, ("models", "m7", "ttl"), 60)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
