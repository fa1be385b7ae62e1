"""How does one head do with 200 nodes, 5,000 models and 2,000 requests a second, in virtual time, by real decisions?

python bench/crowd.py [COPIES]: each model is on so many nodes (3). Times are processor time of this process: what other
processes take from it is no cost of a decision.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from cluster.crowd import Asking, Crowd

NODES, MODELS, RATE, SECONDS = 200, 5_000, 2_000, 30
MOST_COPIES = 20_000
"""Of models on nodes: a simulation that fits the memory of a small machine."""
MOST_MICROSECONDS = 1_000


async def measured(copies: int) -> None:
    """Let it run, and print what it took."""
    models = min(MODELS, MOST_COPIES // copies)
    crowd = Crowd(NODES, models, copies, seed=1)
    taken: list[float] = []

    def decide(asking: Asking) -> str | None:
        begun = time.thread_time()
        found = crowd.next_place(asking)
        taken.append((time.thread_time() - begun) * 1e6)
        return found

    crowd.decide = decide
    begun = time.thread_time()
    for _ in range(SECONDS):
        crowd.second(RATE)
    crowd.recover()
    spent = time.thread_time() - begun
    await crowd.cluster.close()
    assert len(crowd.over) == crowd.asked
    assert all(asking.ends == 1 and len(asking.answers_from) <= 1 for asking in crowd.over)
    percentile = statistics.quantiles(taken, n=100)[-1]
    print(
        f"{crowd.asked} requests to {models} models, each on {copies} of {NODES} nodes, in {SECONDS} virtual seconds:"
    )
    print(f"  {crowd.moved} moves to another place, {crowd.refused} refused because no place was left; each ended once")
    print(f"  a decision: median {statistics.median(taken):.0f} us, p99 {percentile:.0f} us of processor time")
    print(
        f"  all decisions: {sum(taken) / SECONDS / 1e4:.1f} % of a processor; the whole simulation took {spent:.1f} s"
    )
    assert percentile < MOST_MICROSECONDS


if __name__ == "__main__":
    asyncio.run(measured(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
