"""`claracore status`: is it running, where, with what?"""

from __future__ import annotations

import time
from collections import Counter

from claracore.cli.client import JSON, URL, Server, show_json
from claracore.cli.terminal import beside, say
from claracore.cli.verb import Verb
from claracore.core.units import lasting


def status(*, url: str | None, as_json: bool) -> None:
    """Say whether a server runs, where, and how it is."""
    server = Server(url)
    who = server.ask("GET", "/api/identity")
    models = server.ask("GET", "/api/models")["models"]
    requests = server.ask("GET", "/api/requests")["requests"]
    ports = server.ask("GET", "/api/ports")
    stats = server.ask("GET", "/api/stats")
    if as_json:
        show_json({"server": who, "models": models, "requests": requests, "ports": ports, "stats": stats})
        return
    states = Counter(model["state"] for model in models)
    waiting = sum(request["state"] == "waiting" for request in requests)
    lines = [
        f"ClaraCore {who['version']} at {who['url']} (pid {who['pid']}){_since(who.get('started_at'))}",
        f"models    {len(models)}: {', '.join(f'{count} {state}' for state, count in sorted(states.items()))}",
        (
            f"requests  {len(requests)} in flight, {waiting} of them waiting; "
            f"{stats['requests']} kept in the activity, {stats['errors']} with an error"
        ),
    ]
    starting = [model for model in models if model["state"] == "starting"]
    lines += [f"loading   {model['id']}{_progress(model['progress'])}" for model in starting]
    taken = [row for row in ports["ports"] if row["state"] in ("stranger", "instance")]
    lines += [f"port {row['port']}  taken by {row['holder']}" for row in taken]
    lines += [f"{finding['severity']}: {finding['message']}" for finding in ports["findings"]]
    for line in lines:
        name, gap, words = line.partition("  ")
        lead = name + gap + " " * (len(words) - len(words.lstrip()))
        say(beside(lead, words.lstrip()) if gap else beside("", line))


def _progress(fraction: float | None) -> str:
    return "" if fraction is None else f" {fraction:.0%}"


def _since(started_at: float | None) -> str:
    if started_at is None:
        return ""
    return f", up for {lasting(max(0.0, time.time() - started_at))}"


STATUS = Verb(status, {"url": URL, "as_json": JSON})
