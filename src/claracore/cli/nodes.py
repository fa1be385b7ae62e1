"""`claracore nodes`: which machines answer requests here, and how are they?"""

from __future__ import annotations

import time
from typing import Any

from claracore.cli.client import JSON, URL, Server, show_json
from claracore.cli.joining import VERBS_OF_HEAD
from claracore.cli.terminal import say, table
from claracore.cli.verb import Verb, VerbGroup
from claracore.core.units import gib, lasting

HEAD = ("node", "kind", "state", "since", "memory free", "loaded", "requests", "version", "why")


def nodes(*, url: str | None, as_json: bool) -> None:
    """List the machines that answer requests here: state, memory, models, requests."""
    found = Server(url).ask("GET", "/api/nodes")["nodes"]
    if as_json:
        show_json(found)
    else:
        say("\n".join(table(HEAD, [node_cells(row) for row in found])))


def node_cells(row: dict[str, Any]) -> list[str]:
    """Return a machine as cells of a table, under HEAD."""
    memory = ", ".join(
        f"{each['device']} {gib(each['free_bytes'])} of {gib(each['total_bytes'])}" for each in row["memory"]
    )
    since = lasting(max(0.0, time.time() - row["since"]))
    loaded = ", ".join(row["loaded"])
    state = "drained" if row["drained"] and row["state"] == "up" else row["state"]
    return [
        row["name"], row["kind"], state, since, memory, loaded, str(row["requests"]), row["version"], row["why"],
    ]  # fmt: skip


NODES = VerbGroup(
    "List the machines that answer requests here: state, memory, models, requests.",
    {**VERBS_OF_HEAD},
    alone=Verb(nodes, {"url": URL, "as_json": JSON}),
)
