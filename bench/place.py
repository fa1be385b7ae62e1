"""How long does it take to say where a request goes, with 200 nodes and 5,000 models?

python bench/place.py
"""

from __future__ import annotations

import random
import statistics
import time

from claracore.core.cluster.model import Fit
from claracore.core.cluster.place import Offer, PlacementWish, places
from claracore.types import ModelState

NODES, MODELS, DECISIONS = 200, 5_000, 2_000


def main() -> None:
    """Print the median and the worst percentile of one decision, for names on few nodes and for one on all."""
    chance = random.Random(1)
    states = list(ModelState)
    fits = list(Fit)
    for copies in (2, 20, NODES):
        offers = {
            f"model{number}": [
                Offer(f"n{node}/model{number}", f"n{node}", chance.choice(states), fit=chance.choice(fits))
                for node in chance.sample(range(NODES), copies)
            ]
            for number in range(MODELS if copies < NODES else 100)
        }
        names, wish = list(offers), PlacementWish(prefer=("n3", "n7"), avoid=frozenset({"n9"}))
        taken = []
        for turn in range(DECISIONS):
            begun = time.perf_counter()
            places(offers[names[turn % len(names)]], wish, turn)
            taken.append((time.perf_counter() - begun) * 1e6)
        worst = statistics.quantiles(taken, n=100)[-1]
        print(
            f"{len(names):5} models on {copies:3} nodes each: median {statistics.median(taken):.0f} us, p99 {worst:.0f}"
        )


if __name__ == "__main__":
    main()
