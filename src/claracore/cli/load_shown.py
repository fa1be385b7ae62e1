"""How is the loading of a model shown to a person in a terminal?

A bar that says for how long still; where stderr is no terminal, a line whenever something else happens.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from claracore.cli.terminal import moves, say
from claracore.core.units import about

DIGIT = r"\d"

Meter = Callable[[dict[str, Any]], None]

WAITS_FOR = {
    "answers": "{models} to have answered",
    "loads": "{models} to be loaded",
    "unloading": "{models} to be unloaded",
    "turn": "{models}, asked for earlier",
    "returning": "its server to end",
    "memory": "memory to come back",
    "preparing": "what its start needs, which is fetched",
}


def stage(model: dict[str, Any]) -> str:
    """Return what happens to a model (`GET /api/models/{id}`) that somebody has asked for, in words."""
    waits = model["waits_for"]
    if model["state"] != "starting" and waits is not None and waits["cause"] in WAITS_FOR:
        return f"{model['id']} waits for {WAITS_FOR[waits['cause']].format(models=' and '.join(waits['models']))}"
    message = model["progress_message"]
    plain = not message or message.lower().startswith("loading model")
    return f"loading {model['id']}" if plain else f"loading {model['id']}: {message}"


def left(model: dict[str, Any]) -> str:
    """Return how long the load will still take, in words; nothing where that is not known."""
    words = about(model["expected_seconds"])
    return f"then {words}" if words and model["state"] != "starting" else words


@contextmanager
def load_meter() -> Iterator[Meter]:
    """Give what shows how a load stands, called with the model every now and then."""
    if not moves(sys.stderr):
        yield _lines()
        return
    from rich.console import Console  # noqa: PLC0415 - see console.py
    from rich.progress import Progress, TaskProgressColumn, TextColumn  # noqa: PLC0415

    from claracore.cli.bars import Words, bar_column  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    columns = (Words(), *bar_column(console), TaskProgressColumn(), TextColumn("{task.fields[left]}"))
    bar = Progress(*columns, console=console, transient=True, auto_refresh=False)
    task = bar.add_task("", total=None, left="")

    def update(model: dict[str, Any]) -> None:
        done = model["progress"]
        bar.update(
            task,
            description=stage(model),
            total=None if done is None else 1.0,
            completed=done or 0.0,
            left=left(model),
        )
        bar.start()
        bar.refresh()

    try:
        yield update
    finally:
        bar.stop()


def _lines() -> Meter:
    printed: list[str] = []

    def line(model: dict[str, Any]) -> None:
        words = stage(model)
        quarter = 4 * (model["read_bytes"] or 0) // (model["weight_bytes"] or 1)
        message = model["progress_message"] or ""
        what = f"{re.split(DIGIT, message)[0]}{quarter}" if message and model["weight_bytes"] else words
        if what not in printed:
            printed.append(what)
            say(", ".join(filter(None, (words, left(model)))), err=True)

    return line
