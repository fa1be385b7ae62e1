"""`claracore top`: what do the models do right now? A view that stays, or one look where stdout is no terminal."""

from __future__ import annotations

import os
import sys
import time
from threading import Event
from typing import Any

from claracore.cli.client import URL, Server
from claracore.cli.memory_bars import memory_bars
from claracore.cli.requests import HEAD as REQUESTS_HEAD
from claracore.cli.requests import former_lines, request_cells
from claracore.cli.terminal import beside, say, table
from claracore.cli.verb import Verb, decimal_within, option
from claracore.core.units import counted, gib, lasting

PATHS = {"models": "/api/models", "memory": "/api/memory", "requests": "/api/requests", "server": "/api/identity"}
HEAD = ("model", "state", "memory", "serving", "waiting", "tokens/s", "ttl")
LOOK_TIMEOUT_SECONDS = 5.0

Look = dict[str, dict[str, Any]]
"""The answers to PATHS."""


def top(*, every: float, url: str | None) -> None:
    """Watch models, memory, requests and tokens/s; Ctrl-C ends."""
    server = Server(url)
    first = {name: server.ask("GET", path) for name, path in PATHS.items()}
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        say("\n".join(shown(first)))
        return
    try:
        _watch(server, first, every)
    except KeyboardInterrupt:  # how a person leaves it: nothing has failed
        return


def _watch(server: Server, look: Look, every: float) -> None:
    """Show look after look in place of the terminal's text, which comes back in the end."""
    from rich.console import Console  # noqa: PLC0415 - 80 ms, which one look does not take
    from rich.live import Live  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    def text(lines: list[str]) -> Text:
        return Text("\n".join(lines), no_wrap=True, overflow="crop")

    never = Event()
    with Live(text(shown(look)), console=Console(), screen=True, auto_refresh=False) as live:
        while not never.wait(every):
            newer = _look(server)
            look = newer or look
            gone = [] if newer else [f"no answer from {server.url}; asking again", ""]
            live.update(text([*gone, *shown(look)]), refresh=True)


def _look(server: Server) -> Look | None:
    """Ask once more; None when any answer is missing."""
    found = {name: server.asked(path, timeout_seconds=LOOK_TIMEOUT_SECONDS) for name, path in PATHS.items()}
    return found if all(answer is not None for answer in found.values()) else None


def shown(look: Look) -> list[str]:
    """Return what is known as lines."""
    server, models, requests = look["server"], look["models"]["models"], look["requests"]["requests"]
    active = [model for model in models if model["state"] != "stopped" or model["waits_for"]]
    waiting = sum(request["state"] == "waiting" for request in requests)
    up = server.get("started_at")
    lines = [
        beside("", f"ClaraCore {server['version']} at {server['url']}{_since(up)}"),
        f"{len(active)} of {counted(len(models), 'model')}, {counted(len(requests), 'request')}, {waiting} waiting",
        "",
    ]
    lines += table(HEAD, [_model_cells(model, requests) for model in active]) if active else ["no model runs"]
    lines += ["", *memory_bars(look["memory"]["devices"])]
    lines += ["", *table(REQUESTS_HEAD, [request_cells(one) for one in requests])] if requests else []
    return [*lines, *former_lines(look["requests"])]


def _since(started_at: float | None) -> str:
    return f", up for {lasting(max(0.0, time.time() - started_at))}" if started_at is not None else ""


def _model_cells(model: dict[str, Any], requests: list[dict[str, Any]]) -> list[str]:
    left, progress = model["ttl_left_seconds"], model["progress"]
    paces = [pace for one in requests if one["model"] == model["id"] and (pace := one.get("tokens_per_second"))]
    speed = sum(paces) if paces else model["tokens_per_second"]  # of now, else of its last answer
    return [
        model["id"],
        model["state"] if progress is None else f"{model['state']} {progress:.0%}",
        gib(model["memory_bytes"]) if model["memory_bytes"] else "-",
        str(model["serving"]),
        str(model["waiting"]),
        f"{speed:.1f}" if speed is not None else "-",
        f"{lasting(left)} left" if left is not None else "-",
    ]


TOP = Verb(
    top,
    {
        "every": option("--every", about="Seconds between looks.", kind=decimal_within(0.2, 3600), default=1.0),
        "url": URL,
    },
)
