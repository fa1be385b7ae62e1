"""`claracore bench MODEL`: how fast does a model answer through ClaraCore?"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from queue import Empty, SimpleQueue

from claracore.cli.client import JSON, MODEL, URL, Server, ServerSaid, path_of, show_json
from claracore.cli.terminal import say
from claracore.cli.verb import Verb, option, within
from claracore.host.activity.statistics import Percentiles, percentiles

LOAD_SECONDS = 3600.0
QUESTION = "Count from one to two hundred in words, without stopping."


@dataclass(frozen=True, slots=True)
class Run:
    """One answer: seconds to its first and last byte, and the tokens that the model server counted."""

    first_seconds: float
    total_seconds: float
    tokens: int


def bench(
    *,
    model: str,
    requests: int,
    concurrency: int,
    max_tokens: int,
    prompt: str,
    url: str | None,
    as_json: bool,
) -> None:
    """Load a model, ask it the same again and again, and say how fast it answered."""
    server = Server(url)
    loaded = server.ask("POST", f"/api/models/load/{path_of(model)}", timeout_seconds=LOAD_SECONDS)
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    begun = time.perf_counter()
    runs, errors = _run_all(server, body, requests, concurrency)
    took = time.perf_counter() - begun
    first = percentiles([run.first_seconds for run in runs])
    speed = percentiles([_speed(run) for run in runs])
    tokens = sum(run.tokens for run in runs)
    found = {
        "model": loaded["model"],
        "load_seconds": loaded["seconds"],
        "requests": len(runs),
        "errors": len(errors),
        "seconds": round(took, 3),
        "tokens": tokens,
        "tokens_per_second": round(tokens / took, 2),
        "first_token_seconds": asdict(first) if first else None,
        "tokens_per_second_of_one": asdict(speed) if speed else None,
    }
    if as_json:
        show_json(found)
    else:
        say(_text(found, first, speed, errors))
    if errors:
        raise SystemExit(1)


def _run_all(server: Server, body: dict[str, object], requests: int, concurrency: int) -> tuple[list[Run], list[str]]:
    todo: SimpleQueue[None] = SimpleQueue()
    for _ in range(requests):
        todo.put(None)
    runs: list[Run] = []
    errors: list[str] = []

    def work() -> None:
        while True:
            try:
                todo.get_nowait()
            except Empty:
                return
            try:
                runs.append(_one(server, body))
            except (ServerSaid, SystemExit) as error:
                errors.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(min(concurrency, requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return runs, errors


def _one(server: Server, body: dict[str, object]) -> Run:
    begun = time.perf_counter()
    first = None
    tokens = pieces = 0
    with server.open("POST", "/v1/chat/completions", body) as answer:
        for event in server.events(answer):
            if not event.data.startswith("{"):  # [DONE]
                continue
            data = json.loads(event.data)
            if "error" in data:
                raise ServerSaid(str(data["error"]))
            if data.get("choices"):
                first = first or time.perf_counter()
                pieces += 1
            tokens = (data.get("usage") or {}).get("completion_tokens", tokens)
    ended = time.perf_counter()
    return Run((first or ended) - begun, ended - begun, tokens or pieces)


def _speed(run: Run) -> float | None:
    decoding = run.total_seconds - run.first_seconds
    return (run.tokens - 1) / decoding if run.tokens > 1 and decoding > 0 else None


def _text(found: dict[str, object], first: Percentiles | None, speed: Percentiles | None, errors: Sequence[str]) -> str:
    lines = [
        f"{found['model']}: ready after {found['load_seconds']} s",
        (
            f"  {found['requests']} answers, {found['tokens']} tokens in {found['seconds']} s: "
            f"{found['tokens_per_second']} tokens/s together"
        ),
    ]
    if first is not None:
        lines.append(f"  first token  p50 {first.p50 * 1000:.0f} ms, p95 {first.p95 * 1000:.0f} ms")
    if speed is not None:
        lines.append(f"  one answer   p50 {speed.p50:.1f} tokens/s, p95 {speed.p95:.1f} tokens/s")
    lines += [f"  error: {error}" for error in dict.fromkeys(errors)]
    return "\n".join(lines)


BENCH = Verb(
    bench,
    {
        "model": MODEL,
        "requests": option("--requests", "-n", about="Answers to ask for.", kind=within(1, 10_000), default=8),
        "concurrency": option("--concurrency", "-c", about="At once.", kind=within(1, 256), default=1),
        "max_tokens": option("--max-tokens", about="Tokens of each answer, at most.", kind=within(1), default=64),
        "prompt": option("--prompt", about="What to ask.", default=QUESTION),
        "url": URL,
        "as_json": JSON,
    },
)
