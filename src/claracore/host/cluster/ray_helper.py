"""What does Ray know of the nodes? A process beside the head's ClaraCore; nothing else of ours imports Ray.

    python -m claracore.host.cluster.ray_helper HOST:PORT

One line of JSON every other second: {"nodes": {name: "there", "gone" or "unsure"}}. `there`: Ray has it, and its Link
hears its ClaraCore. `gone`: Ray has lost it, and has no other node of that name. It ends when Ray's list of nodes is
away for too long; who has started it starts it again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from claracore.core.cluster.ray_words import LABEL, NAMESPACE
from claracore.host.cluster.link_actor import Link

EVERY_SECONDS: Final = 2.0
"""Each look takes a node a millisecond of its processor or two; whether it answers is asked every second anyway."""
LOOK_SECONDS: Final = 2.0


class Links:
    """The Links of all nodes, each made when its node is seen for the first time."""

    def __init__(self) -> None:
        self._by_node: dict[str, Any] = {}

    def looks(self, node_ids: Iterable[str]) -> dict[str, bool | None]:
        """Return whether ClaraCore answers on these nodes, None where the Link does not say."""
        asked = {self._of(node_id).look.remote(): node_id for node_id in node_ids}
        done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=LOOK_SECONDS) if asked else ([], [])
        found: dict[str, bool | None] = dict.fromkeys(asked.values())
        for each in done:
            try:
                found[asked[each]] = bool(ray.get(each))
            except ray.exceptions.RayError:  # it was killed and comes again, or its node is gone
                continue
        return found

    def keep(self, node_ids: frozenset[str]) -> None:
        """Forget the Links of all other nodes."""
        self._by_node = {node_id: link for node_id, link in self._by_node.items() if node_id in node_ids}

    def _of(self, node_id: str) -> Any:  # noqa: ANN401 - Ray's handles have no type
        if node_id not in self._by_node:
            kind = ray.remote(Link).options(
                name=f"link {node_id}",
                get_if_exists=True,
                lifetime="detached",
                max_restarts=-1,
                num_cpus=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False),
            )
            self._by_node[node_id] = kind.remote()
        return self._by_node[node_id]


def witnessed(rows: Iterable[Mapping[str, Any]], looks: Mapping[str, bool | None]) -> dict[str, str]:
    """Return what is known of each name: a machine that joins Ray again is another node of the same name there."""
    found: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: bool(row["Alive"])):
        if (name := row["Labels"].get(LABEL)) is not None:
            found[name] = ("there" if looks.get(row["NodeID"]) else "unsure") if row["Alive"] else "gone"
    return found


def main(address: str) -> None:
    """Say how the nodes are, until Ray is away for too long."""
    ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False, logging_level="ERROR")
    links = Links()
    while True:
        begun = time.monotonic()
        rows = ray.nodes()
        alive = frozenset(row["NodeID"] for row in rows if row["Alive"] and LABEL in row["Labels"])
        links.keep(alive)
        sys.stdout.write(json.dumps({"nodes": witnessed(rows, links.looks(alive))}) + "\n")
        sys.stdout.flush()
        time.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - begun)))


if __name__ == "__main__":
    main(sys.argv[1])
