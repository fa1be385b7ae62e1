"""How long does a configuration of thousands of models take: to load, plan, compare, edit, check, start, reload?

Run: .venv/bin/python bench/config.py [MODELS] [OF_PROCESSES]. First what the parts take in this process, with MODELS
(1,000); goals: load, validate and plan below 300 ms, comparing an unchanged configuration below 50 ms. Then what a
person waits for, with whole processes and OF_PROCESSES models (3,000): a start until requests are accepted, a reload
from SIGHUP to its line in the log, `config check`; goals, on two quiet cores: 2 s, 1 s, 1 s. `config check` of 20,000
models shows whether that grows with their number only. Every port is held, which needs `ulimit -n` at twice the models.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psutil

from claracore.core.config.changes import compare
from claracore.core.config.edit import put
from claracore.core.config.load import load
from claracore.core.ports.listen import Listen
from claracore.core.ports.plan import plan

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
PROCESSES = 5
CLARACORE = (sys.executable, "-m", "claracore")


def configuration(models: int) -> str:
    return HEAD + "".join(MODEL.format(n=n) for n in range(models))


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


def parts(models: int) -> None:
    text = configuration(models)
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


class Clock:
    """Time on the wall and of the processor that a process has taken since the clock was made."""

    def __init__(self, process: psutil.Process | None = None) -> None:
        self._process = process
        self._began, self._cpu = time.perf_counter(), self._used()

    def _used(self) -> float:
        used = self._process.cpu_times() if self._process is not None else os.times()
        own = used.user + used.system
        return own if self._process is not None else used.children_user + used.children_system

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began, self._used() - self._cpu


def check(file: Path) -> tuple[float, float]:
    clock = Clock()
    subprocess.run([*CLARACORE, "config", "check", str(file)], check=False, capture_output=True)
    return clock.read()


def start_and_reload(file: Path, folder: Path) -> tuple[tuple[float, float], tuple[float, float]]:
    environ = {**os.environ, "XDG_STATE_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    began = time.perf_counter()
    command = [*CLARACORE, "--config", str(file), "--listen", ":0", "--no-watch-config"]
    with subprocess.Popen(command, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        assert server.stdout is not None
        process = psutil.Process(server.pid)
        wait_for(server.stdout, " serves ")
        used = process.cpu_times()
        start = time.perf_counter() - began, used.user + used.system
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("ttl: 5m", "ttl: 6m", 1), encoding="utf-8")
        clock = Clock(process)
        server.send_signal(signal.SIGHUP)
        wait_for(server.stdout, "configuration: ")
        reload = clock.read()
        file.write_text(text, encoding="utf-8")
        server.terminate()
        server.stdout.read()
    return start, reload


def wait_for(output: IO[str], text: str) -> None:
    for line in output:
        if text in line:
            return
    raise AssertionError(f"it ended without a line with {text!r}")


def told(what: str, measured: list[tuple[float, float]]) -> None:
    wall, busy = (min(its) for its in zip(*measured, strict=True))
    median = statistics.median(seconds for seconds, _ in measured)
    print(f"{what:<27}best {wall:5.2f} s, median {median:5.2f} s; at best {busy:5.2f} s of processor")


def processes(models: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, large = folder / "config.yaml", folder / "large.yaml"
        file.write_text(configuration(models), encoding="utf-8")
        large.write_text(configuration(20_000), encoding="utf-8")
        served = [start_and_reload(file, folder) for _ in range(PROCESSES)]
        told(f"start, {models} models", [start for start, _ in served])
        told(f"reload, {models} models", [reload for _, reload in served])
        told(f"check, {models} models", [check(file) for _ in range(PROCESSES)])
        told("check, 20000 models", [check(large) for _ in range(2)])


def main(models: int = 1000, of_processes: int = 3000) -> None:
    parts(models)
    processes(of_processes)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
