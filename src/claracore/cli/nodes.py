"""`claracore nodes`: which machines answer requests here, and how are they? Which others announce themselves?"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

from claracore.cli.client import COMPLETION_SECONDS, JSON, URL, Server, show_json
from claracore.cli.joining import VERBS_OF_HEAD
from claracore.cli.terminal import say, table
from claracore.cli.verb import Verb, VerbGroup, decimal_within, option
from claracore.core.cluster.announced import proposal
from claracore.core.units import gib, lasting
from claracore.errors import ClaraCoreError


class NetworkClosed(ClaraCoreError):
    """This machine does not let its network be listened to."""


WORDS_OF_CONFIGURATION = {
    "older": "configuration is older than this one",
    "refused": "configuration refused",
    "closed": "configuration not given",
}
HEAD = ("node", "kind", "state", "since", "memory free", "loaded", "requests", "version", "why")


def nodes(*, url: str | None, as_json: bool) -> None:
    """List the machines that answer requests here: state, memory, models, requests."""
    found = Server(url).ask("GET", "/api/nodes")
    if as_json:
        show_json(found["nodes"])
        return
    if (head := found.get("head")) is not None:
        say(f"{head_words(head)}\n")
    say("\n".join(table(HEAD, [node_cells(row) for row in found["nodes"]])))
    rows = found["nodes"]
    for line in (*configuration_lines(rows), *hidden_lines(rows), *file_lines(rows)):
        say(line)


def configuration_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return a line for each machine that does not have the models that it is to have from here."""
    lines = []
    for row in rows:
        found = row.get("configuration") or {"state": "current", "models": [], "why": ""}
        if found["state"] != "current":
            why = f": {found['why']}" if found["why"] else ""
            lines.append(f"{row['name']}: {WORDS_OF_CONFIGURATION[found['state']]}{why}")
    return lines


def hidden_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return a line for each machine with models whose names are this machine's own."""
    return [
        f"{row['name']}: not to be had from here, for names of this machine are the same: {', '.join(row['hidden'])}"
        for row in rows
        if row.get("hidden")
    ]


def file_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return a line for each file that a machine still needs for models from here: `desk: fetching qwen.gguf 41 %`."""
    return [f"{row['name']}: {file['words']}" for row in rows for file in row.get("files", ()) if file["words"]]


def head_words(head: dict[str, Any]) -> str:
    """Return what there is to say of the machine that this one has joined, or had."""
    return f"this machine is {head['name']} of {head['url']}: {head['words']}"


def node_cells(row: dict[str, Any]) -> list[str]:
    """Return a machine as cells of a table, under HEAD."""
    memory = ", ".join(
        f"{each['device']} {gib(each['free_bytes'])} of {gib(each['total_bytes'])}" for each in row["memory"]
    )
    since = lasting(max(0.0, time.time() - row["since"]))
    loaded = ", ".join([*row["loaded"], *row.get("ranks", ())])
    state = "drained" if row["drained"] and row["state"] == "up" else row["state"]
    return [
        row["name"], row["kind"], state, since, memory, loaded, str(row["requests"]), row["version"], row["why"],
    ]  # fmt: skip


def find(*, url: str | None, seconds: float, as_json: bool) -> None:
    """List the ClaraCores that announce themselves on the network, and propose lines for `peers`; connects to none."""
    from claracore.host.cluster.announce import discovered  # noqa: PLC0415 - zeroconf takes 100 ms

    try:
        heard = asyncio.run(discovered(seconds))
    except OSError as error:
        raise NetworkClosed(f"the network cannot be listened to: {error.strerror or error}") from error
    ours, known = _known(url)
    found = [each for each in heard if not each.identity or each.identity != ours]
    if as_json:
        show_json([{**dataclasses.asdict(each), "url": each.url, "peer": known.get(each.url)} for each in found])
        return
    if not found:
        say(f"nobody has announced itself within {seconds:g} s; on other machines: claracore serve --announce")
        return
    rows = [[each.name, each.url, each.version, known.get(each.url, "")] for each in found]
    say("\n".join(table(("machine", "address", "version", "peer"), rows)))
    new = [each for each in found if each.url not in known]
    if new:
        say("\nAnyone on the network can announce anything. For those that you know, in the configuration:\n")
        say(proposal(new, known.values()))


def _known(url: str | None) -> tuple[str, dict[str, str]]:
    """Return who the server here is, and the names of its peers by address; nothing where none answers."""
    server = Server(url)
    if not server.is_there():
        return "", {}
    node = server.asked("/api/node", timeout_seconds=COMPLETION_SECONDS) or {}
    rows = (server.asked("/api/nodes", timeout_seconds=COMPLETION_SECONDS) or {}).get("nodes", [])
    return node.get("identity", ""), {row["url"].rstrip("/"): row["name"] for row in rows if row["url"]}


NODES = VerbGroup(
    "List the machines that answer requests here: state, memory, models, requests.",
    {
        "find": Verb(
            find,
            {
                "url": URL,
                "seconds": option("--seconds", about="How long to listen.", kind=decimal_within(0.1, 60), default=3.0),
                "as_json": JSON,
            },
        ),
        **VERBS_OF_HEAD,
    },
    alone=Verb(nodes, {"url": URL, "as_json": JSON}),
)
