"""What does it bring that conversations survive swaps, and what does it cost?

A conversation of so many tokens with one model, a word with another, then the next turn of the conversation, so many
times: how long until its first token, beside one read anew (as after each swap with llama-swap, which saves nothing)
and one without a swap in between. How long the first model took to go, which saving makes longer, is compared with the
same swaps of the same conversation in the same run, brought back but not saved again. Medians, and the least: on a busy
machine the least is what it takes. The other model is a copy of SmolLM2. gemma, whose attention has windows, comes back
on the embedded engine by itself, on a llama-server up to some build with --swa-full. With --idle the model is idle
before it goes until its conversation was saved ahead, as it is when somebody thinks before the swap.

    make bench-swap [LLAMA_SERVER=/path/to/llama-server] [TOKENS=1000,4000,16000] [ROUNDS=5] [ENGINES=llama-server]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
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
TRAINED_TOKENS = 6000
"""As many of these fit into the context that SmolLM2 was trained with, which servers do not exceed by themselves."""


class Turn(NamedTuple):
    """One answer: seconds until its first token, and what it says of its prompt."""

    first_token_seconds: float
    read: int
    cached: int


class Case(NamedTuple):
    """An engine with a model, and what its command says besides; `idle`: whether it was saved ahead before it goes."""

    name: str
    engine: str
    model: Path
    more: str = ""
    threads: int = os.cpu_count() or 1
    idle: bool = False


def config(case: Case, tokens: int, *, saves: bool) -> str:
    engine, model, more = case.engine, case.model, case.more
    if model is SMOLLM2 and tokens > TRAINED_TOKENS:
        more += f" --override-kv llama.context_length=int:{tokens * 2}"
    context = tokens * 5 // 4 + 1024
    # As setup writes it: each checkpoint of windows is saved and restored, too, and the engine would make 32.
    more += f" --ctx-checkpoints {context // 8192 + 2}"
    flags = f"-c {context} --parallel 4 --kv-unified --cache-ram 0 -t {case.threads} {more}"
    return f"""
conversations: {{keep: memory, min_tokens: {256 if saves else 1_000_000}}}
models:
  a: {{cmd: '{engine} --port ${{PORT}} -m "{model}" {flags}'}}
  b: {{cmd: '{engine} --port ${{PORT}} -m "{SMOLLM2}" -c 512 -t {case.threads}', conversations: {{keep: off}}}}
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


class Round(NamedTuple):
    """One A -> B -> A: seconds, and what the last answer did not have to read."""

    going: float
    """Until A was gone."""
    load: float
    """Until A was there again, without what follows."""
    restore: float
    after: float
    """From there until its first token."""
    stayed: float
    """Until the first token of the turn before, without a swap."""
    cached: int


class Measured(NamedTuple):
    """All of one conversation."""

    tokens: int
    reading: float
    saving: list[Round]
    not_saving: list[Round]


def measure(folder: Path, case: Case, tokens: int, rounds: int) -> Measured:
    configured(folder, config(case, tokens, saves=True))
    with instance(folder) as served:
        served.ask("POST", "/api/models/load/a")
        text, cold = turn(served, "a", history(tokens))
        found: dict[bool, list[Round]] = {True: [], False: []}
        for saves in (True, False):
            configured(folder, config(case, tokens, saves=saves))
            served.ask("POST", "/api/config/reload")
            for _ in range(rounds):
                text, one = swapped(served, text, goes_on=saves, idle=saves and case.idle)
                found[saves].append(one)
        served.end()
    return Measured(cold.read, cold.first_token_seconds, found[True], found[False])


def saved_ahead(served: Instance, since: float) -> None:
    """Return when the conversation has been saved after so many Unix seconds."""
    while not any(one["saved_at"] > since for one in served.ask("GET", "/api/conversations").json["conversations"]):
        time.sleep(0.5)


def swapped(served: Instance, text: str, *, goes_on: bool, idle: bool) -> tuple[str, Round]:
    """Swap once; what is said in between is forgotten unless the conversation `goes_on`."""
    more, stayed = turn(served, "a", text + " And then?")
    if idle:
        saved_ahead(served, time.time())
    turn(served, "b", "Hello")
    text, back = (
        turn(served, "a", more + " And then?") if goes_on else (text, turn(served, "a", text + " And then?")[1])
    )
    swaps = {swap["model"]: swap for swap in reversed(served.ask("GET", "/api/swaps").json["swaps"])}
    phases = swaps["a"]["phases"]
    load = sum(phases[f"{name}_seconds"] or 0.0 for name in ("queued", "drain", "stop", "spawn", "load"))
    restore = phases["restore_seconds"] or 0.0
    going = swaps["b"]["phases"]["stop_seconds"]
    after = back.first_token_seconds - load
    return text, Round(going, load, restore, after, stayed.first_token_seconds, back.cached)


def row(case: Case, found: Measured) -> str:
    """Return medians and the least of one conversation."""

    def of(name: str, rounds: list[Round]) -> tuple[float, float]:
        values = [getattr(one, name) for one in rounds]
        return statistics.median(values), min(values)

    going, plain = of("going", found.saving), of("going", found.not_saving)
    after = of("after", found.saving)
    cells = [
        *(f"{1000 * value:7.0f}" for value in (*going, *plain, going[0] - plain[0], going[1] - plain[1])),
        *(f"{value:7.3f}" for value in (*of("load", found.saving), *of("restore", found.saving), *after)),
        *(f"{100 * value / found.reading:6.1f}%" for value in after),
        *(f"{value:7.3f}" for value in of("stayed", found.saving)),
        f"{found.saving[-1].cached:7d}",
    ]
    return f"{case.name:31} {found.tokens:7d} {found.reading:8.2f} " + " ".join(cells)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", default="1000,4000,16000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--llama-server")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each engine; one on a busy machine")
    parser.add_argument("--idle", action="store_true", help="a is idle before it goes, until it was saved ahead")
    parser.add_argument("--engines", default="embedded,llama-server")
    options = parser.parse_args()
    cases = [Case("embedded, SmolLM2", EMBEDDED, SMOLLM2), Case("embedded, gemma", EMBEDDED, GEMMA)]
    if options.llama_server:
        cases += [
            Case("llama-server, SmolLM2", options.llama_server, SMOLLM2),
            Case("llama-server, gemma --swa-full", options.llama_server, GEMMA, "--swa-full"),
        ]
    cases = [
        case._replace(threads=options.threads, idle=options.idle)
        for case in cases
        if case.name.partition(",")[0] in options.engines.split(",")
    ]
    print(
        "Each pair: median and least. Of a going in ms with saving, without, and the difference; all else in seconds."
    )
    print("read: the prompt, without a cache. after: from the load to the first token, also in % of read.")
    names = ("a goes", "unsaved", "longer", "load", "restore", "after", "of read", "stayed")
    print(f"{'':31} {'tokens':>7} {'read':>8} " + " ".join(f"{name:>15}" for name in names) + "  cached")
    for tokens in map(int, options.tokens.split(",")):
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                print(row(case, measure(Path(folder), case, tokens, options.rounds)), flush=True)
    print("load averages at the end:", *(f"{load:.1f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
