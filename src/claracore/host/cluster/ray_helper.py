"""What does Ray know of the nodes? A process beside the head's ClaraCore; nothing else of ours imports Ray.

    python -m claracore.host.cluster.ray_helper HOST:PORT

One line of JSON every other second: {"nodes": {name: "there", "gone" or "unsure"}}. `there`: Ray has it, and its Link
hears its ClaraCore. `gone`: Ray has lost it, and has no other node of that name. It ends when Ray's list of nodes is
away for too long; who has started it starts it again.

On stdin it is asked to reserve machines for a model that several run, all or none, and to let go of them:
{"reserve": start, "nodes": [name, ...], "count": n}, {"release": start}. To the first it answers {"start": start,
"reserved": [name, ...] or null}. A reservation ends with this process.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import ray
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from claracore.core.cluster.ray_words import LABEL, NAMESPACE, RANK
from claracore.host.cluster.link_actor import Link

EVERY_SECONDS: Final = 2.0
"""Each look takes a node a millisecond of its processor or two; whether it answers is asked every second anyway."""
LOOK_SECONDS: Final = 2.0
BEST_SECONDS: Final = 2.0
RESERVE_SECONDS: Final = 3.0
"""What was let go a moment ago is seen to be free within a second or so."""
_TURN: Final = threading.Lock()
"""Lines are printed by two threads."""


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


class Reserved:
    """The placement groups by which machines are reserved, one for each start of a model."""

    def __init__(self) -> None:
        self._by_start: dict[str, PlacementGroup] = {}

    def reserve(self, start: str, nodes: list[str], count: int) -> list[str] | None:
        """Reserve so many machines, each once: the first ones if that is possible, else any; None for none."""
        found = self._made(start, nodes[:count], count, BEST_SECONDS)
        return found or (self._made(start, nodes, count, RESERVE_SECONDS) if len(nodes) > count else None)

    def release(self, start: str) -> None:
        """Let go of the machines of a start."""
        if (group := self._by_start.pop(start, None)) is not None:
            remove_placement_group(group)

    def _made(self, start: str, nodes: list[str], count: int, seconds: float) -> list[str] | None:
        self.release(start)
        group = placement_group(
            [{RANK: 1.0}] * count,
            strategy="STRICT_SPREAD",
            bundle_label_selector=[{LABEL: f"in({','.join(nodes)})"}] * count,
        )
        self._by_start[start] = group
        if not group.wait(seconds):
            self.release(start)
            return None
        names = {row["NodeID"]: row["Labels"].get(LABEL, "") for row in ray.nodes()}
        return [names[node_id] for node_id in placement_group_table(group)["bundles_to_node_id"].values()]


def serve(reserved: Reserved) -> None:
    """Do what stdin says, until it ends."""
    for line in sys.stdin:
        try:
            wish = json.loads(line)
            if "release" in wish:
                reserved.release(wish["release"])
            else:
                found = reserved.reserve(wish["reserve"], list(wish["nodes"]), int(wish["count"]))
                say({"start": wish["reserve"], "reserved": found})
        except (ray.exceptions.RayError, ValueError, KeyError) as error:  # without an answer nobody waits for long
            sys.stderr.write(f"machines could not be reserved: {error}\n")


def say(what: Mapping[str, object]) -> None:
    """Print a line."""
    with _TURN:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


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
    threading.Thread(target=serve, args=(Reserved(),), daemon=True).start()
    while True:
        begun = time.monotonic()
        rows = ray.nodes()
        alive = frozenset(row["NodeID"] for row in rows if row["Alive"] and LABEL in row["Labels"])
        links.keep(alive)
        say({"nodes": witnessed(rows, links.looks(alive))})
        time.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - begun)))


if __name__ == "__main__":
    main(sys.argv[1])
