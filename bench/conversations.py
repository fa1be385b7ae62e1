"""What does it bring that conversations survive swaps, and what does it cost?

A conversation of so many tokens with one model, a word with another, then the next turn of the conversation: how long
until its first token, once with conversations kept in memory, once kept nowhere (as llama-swap does it), and once
without a swap in between. Beside them how long the first model took to go, which saving makes longer, and how much of
its coming back was the restore. The other model is a copy of SmolLM2. gemma, whose attention has windows, comes back on
the embedded engine by itself, on a llama-server up to some build with --swa-full.

    make bench-swap [LLAMA_SERVER=/path/to/llama-server] [TOKENS=1000,4000,16000]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e.instance import Instance, configured, instance

SMOLLM2 = ROOT / ".models" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
GEMMA = ROOT / ".models" / "gemma" / "gemma-3-270m-q4_k_m.gguf"
EMBEDDED = f"{sys.executable} -m claracore engine"
WORDS = 0.45
"""Of the words below, so many for a token."""


class Turn(NamedTuple):
    """One answer: seconds until its first token, and what it says of its prompt."""

    first_token_seconds: float
    read: int
    cached: int


class Case(NamedTuple):
    """An engine with a model, and what its command says besides."""

    name: str
    engine: str
    model: Path
    more: str = ""


def config(case: Case, tokens: int, keep: str) -> str:
    engine, model, more = case.engine, case.model, case.more
    flags = f"-c {tokens + 1024} --parallel 4 --kv-unified --cache-ram 0 -t {os.cpu_count()} {more}"
    return f"""
conversations: {{keep: {keep}}}
models:
  a: {{cmd: '{engine} --port ${{PORT}} -m "{model}" {flags}'}}
  b: {{cmd: '{engine} --port ${{PORT}} -m "{SMOLLM2}" -c 512 -t {os.cpu_count()}', conversations: {{keep: off}}}}
"""


def turn(served: Instance, model: str, prompt: str) -> tuple[str, Turn]:
    """Ask for a few tokens, as a stream; return what came with the prompt before it, and how it went."""
    connection = served.connect()
    body = {"model": model, "prompt": prompt, "max_tokens": 4, "stream": True, "temperature": 0, "ignore_eos": True}
    begun = time.perf_counter()
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    first, text, timings = 0.0, prompt, {}
    for event in _events(connection.getresponse()):
        first = first or time.perf_counter() - begun
        text += event["choices"][0]["text"] if event["choices"] else ""
        timings = event.get("timings", timings)
    connection.close()
    return text, Turn(first, timings["prompt_n"], timings["cache_n"])


def _events(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    for line in answer:
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])


def history(tokens: int) -> str:
    return " ".join(f"Thing {number} is well." for number in range(int(tokens * WORDS / 3)))


def measure(folder: Path, case: Case, tokens: int, keep: str) -> dict[str, float]:
    """Return the seconds of one A -> B -> A."""
    configured(folder, config(case, tokens, keep))
    with instance(folder) as served:
        served.ask("POST", "/api/models/load/a")
        text, cold = turn(served, "a", history(tokens))
        text, stayed = turn(served, "a", text + " And then?")
        turn(served, "b", "Hello")
        text, back = turn(served, "a", text + " And then?")
        swaps = {swap["model"]: swap for swap in reversed(served.ask("GET", "/api/swaps").json["swaps"])}
        served.end()
    phases = swaps["a"]["phases"]
    loading = sum(phases[f"{name}_seconds"] or 0.0 for name in ("queued", "drain", "stop", "spawn", "load"))
    return {
        "tokens": cold.read, "reading": cold.first_token_seconds, "stayed": stayed.first_token_seconds,
        "back": back.first_token_seconds, "load": loading, "restore": phases["restore_seconds"] or 0.0,
        "first": back.first_token_seconds - loading, "going": swaps["b"]["phases"]["stop_seconds"],
        "cached": back.cached,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", default="1000,4000,16000")
    parser.add_argument("--llama-server")
    options = parser.parse_args()
    cases = [Case("embedded, SmolLM2", EMBEDDED, SMOLLM2), Case("embedded, gemma", EMBEDDED, GEMMA)]
    if options.llama_server:
        cases += [
            Case("llama-server, SmolLM2", options.llama_server, SMOLLM2),
            Case("llama-server, gemma --swa-full", options.llama_server, GEMMA, "--swa-full"),
        ]
    print("seconds; back: from the request to its first token, of which after: after the load (restore and reading)")
    head = ("", "tokens", "kept", "cold", "stayed", "a goes", "back", "load", "restore", "after", "cached")
    print(f"{head[0]:31} " + " ".join(f"{name:>8}" for name in head[1:]))
    for tokens in map(int, options.tokens.split(",")):
        for case in cases:
            for keep in ("off", "memory"):
                with tempfile.TemporaryDirectory() as folder:
                    one = measure(Path(folder), case, tokens, keep)
                row = [one[key] for key in ("reading", "stayed", "going", "back", "load", "restore", "first")]
                seconds = " ".join(f"{value:8.3f}" for value in row)
                print(f"{case.name:31} {one['tokens']:8.0f} {keep:>8} {seconds} {one['cached']:8.0f}", flush=True)


if __name__ == "__main__":
    main()
