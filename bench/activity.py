"""How fast is activity with 100,000 rows, written and asked for? `python bench/activity.py [ROWS]`."""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from msgspec.structs import astuple

from claracore.host.activity.database import Activity
from claracore.host.activity.rows import FIRST_OF_SUBJECT, Measures, Row, Subject, Wanted
from claracore.host.activity.statistics import stats_by_model

MODELS = [f"model-{number}" for number in range(20)]
PATHS = ["/v1/chat/completions", "/v1/embeddings", "/v1/completions"]


def row(number: int, rng: random.Random) -> Row:
    failed = rng.random() < 0.02
    return Row(
        id=number,
        at=time.time() - (100_000 - number) * 10,
        model=rng.choice(MODELS),
        requested="alias",
        path=rng.choice(PATHS),
        status=502 if failed else 200,
        stream=rng.random() < 0.8,
        key=rng.choice([None, "ann", "bob"]),
        client=f"192.168.1.{rng.randrange(10)}",
        queue_seconds=rng.random(),
        load_seconds=0.0,
        first_token_seconds=rng.random(),
        total_seconds=rng.random() * 20,
        prompt_tokens=rng.randrange(4000),
        cached_tokens=0,
        completion_tokens=rng.randrange(800),
        prompt_per_second=500.0,
        tokens_per_second=rng.random() * 90,
        error="the model server broke off its answer" if failed else None,
        has_capture=False,
        content_type="text/event-stream",
        draft_tokens=None,
        accepted_tokens=None,
        tokens_counted=False,
    )


def parts(its: Row) -> tuple[Measures, Subject]:
    values = astuple(its)
    return values[:FIRST_OF_SUBJECT], values[FIRST_OF_SUBJECT:]


def milliseconds(what: Callable[[], object]) -> str:
    times = []
    for _ in range(15):
        begun = time.process_time()
        what()
        times.append((time.process_time() - begun) * 1000)
    return f"median {statistics.median(times):6.1f} ms   worst {max(times):6.1f} ms"


def main() -> None:
    count = int(sys.argv[1]) if sys.argv[1:] else 100_000
    rng = random.Random(1)
    rows = [parts(row(number, rng)) for number in range(1, count + 1)]
    with tempfile.TemporaryDirectory() as folder, closing(Activity(Path(folder) / "a.sqlite")) as activity:
        begun = time.process_time()
        for each in rows:
            activity.add(*each)
        added = time.process_time() - begun
        activity.flush()
        on_disk = time.process_time() - begun
        print(f"{count} rows: add() {added / count * 1e6:.1f} us each, all on disk after {on_disk:.2f} s")
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        print(f"files: {size / 1e6:.0f} MB")
        queries = {
            "first page": Wanted(),
            "one model": Wanted(models=("model-3",)),
            "errors": Wanted(status="error"),
            "text": Wanted(text="ann"),
            "text and slowest": Wanted(text="ann", sort="total_seconds"),
            "text that is nowhere": Wanted(text="zzz"),
            "an hour": Wanted(start=time.time() - 3600),
            "slowest": Wanted(sort="total_seconds"),
        }
        for name, wanted in queries.items():
            print(f"{name:22} {milliseconds(lambda wanted=wanted: activity.rows(wanted, limit=50))}")
        print(f"{'page 1000':22} {milliseconds(lambda: activity.rows(Wanted(), limit=50, offset=49_950))}")
        print(f"{'stats':22} {milliseconds(lambda: stats_by_model(activity))}")


if __name__ == "__main__":
    main()
