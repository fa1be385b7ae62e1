"""`claracore requests`: what is in flight, and ending it."""

from __future__ import annotations

import time
from typing import Any

from claracore.cli.client import JSON, URL, Server, show_json
from claracore.cli.terminal import say, table
from claracore.cli.verb import Verb, option
from claracore.core.units import counted, lasting

HEAD = ("id", "model", "state", "age", "tokens", "bytes", "path", "client")


def requests(*, cancel: int | None, url: str | None, as_json: bool) -> None:
    """List the requests in flight, or end one."""
    server = Server(url)
    if cancel is not None:
        done = server.ask("POST", f"/api/requests/{cancel}/cancel")
        show_json(done) if as_json else say(f"request {cancel} was ended")
        return
    answer = server.ask("GET", "/api/requests")
    found = answer["requests"]
    if as_json:
        show_json(found)
        return
    former = former_lines(answer)
    if found or not former:
        say("\n".join(table(HEAD, [request_cells(row) for row in found])) if found else "no requests are in flight")
    for line in former:
        say(line)


def former_lines(answer: dict[str, Any]) -> list[str]:
    """Return what the process before an upgrade still answers, in lines; nothing from a server that does not tell."""
    return [
        f"{counted(count, 'request')} of {model}: answered to the end by the process before the upgrade"
        for model, count in answer.get("former", {}).items()
    ]


def request_cells(row: dict[str, Any]) -> list[str]:
    """Return a request as cells of a table, under HEAD."""
    state = f"{row['state']} (place {row['position']})" if row["position"] else row["state"]
    age = lasting(max(0.0, time.time() - row["arrived_at"]))
    answer = [tokens_cell(row), str(row["response_bytes"])]
    return [str(row["id"]), row["model"], state, age, *answer, row["path"], row["client"]]


def tokens_cell(row: dict[str, Any]) -> str:
    """Return how many tokens a request's answer has so far, and how fast they come."""
    count, pace = row.get("tokens"), row.get("tokens_per_second")  # not of a server of an earlier version
    if not count:
        return "-"
    return f"{count}, {pace:.1f}/s" if pace is not None else str(count)


REQUESTS = Verb(
    requests,
    {"cancel": option("--cancel", about="End the request with this id.", kind=int), "url": URL, "as_json": JSON},
)
