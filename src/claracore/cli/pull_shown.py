"""How is a download shown to a person in a terminal?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from claracore.cli.terminal import moves, say, table
from claracore.core.units import gb

Meter = Callable[[dict[str, Any]], None]

FIT = {"gpu": "fits the GPU", "memory": "fits memory", "nowhere": "too large"}
HEAD = ("", "quantization", "size", "this machine", "file")


def left(seconds: float | None) -> str:
    """Return how long something will take."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left" if hours else f"{minutes}:{rest:02} left"


def plan_lines(plan: dict[str, Any]) -> list[str]:
    """Return what a repository has, and what would be fetched."""
    rows = [
        [
            "->" if variant["chosen"] else "",
            variant["quantization"] or "-",
            gb(variant["bytes"], 2),
            FIT[variant["fit"]] if not variant["missing"] else f"{variant['missing']} shards are missing",
            variant["file"] + (f" (+{variant['shards'] - 1})" if variant["shards"] > 1 else ""),
        ]
        for variant in plan["variants"]
    ]
    lines = [f"{plan['repo']} has:", *table(HEAD, rows), "", "would be fetched:"]
    lines += [f"  {gb(file['bytes'], 2):>9}  {file['path']}" for file in plan["files"]]
    free = f"{gb(plan['free_bytes'], 2)} are free in {plan['folder']}"
    return [*lines, f"  {gb(plan['total_bytes'], 2):>9}  together; {free}"]


@contextmanager
def meter() -> Iterator[Meter]:
    """Give what shows a download: a bar on a terminal, else a line whenever something else happens."""
    if not moves(sys.stderr):
        printed: list[str] = []

        def line(view: dict[str, Any]) -> None:
            words = f"{view['status']} {view['ref']}, {gb(view['total_bytes'], 2)}{_trouble(view)}"
            if words not in printed[-1:]:
                printed.append(words)
                say(words, err=True)

        yield line
        return
    from rich.console import Console  # noqa: PLC0415 - see console.py
    from rich.progress import Progress, TextColumn  # noqa: PLC0415

    from claracore.cli.bars import Words, bar_column, bytes_column  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    columns = (
        Words(),
        *bar_column(console),
        bytes_column(),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("asking the hub", total=None, speed="", left="")

        def update(view: dict[str, Any]) -> None:
            speed, quiet = view["bytes_per_second"], view["quiet_seconds"]
            bar.update(
                task,
                description=f"{view['status']} {view['quantization'] or view['repo']}{_trouble(view)}",
                completed=view["done_bytes"],
                total=view["total_bytes"],
                speed=f"{gb(speed, 2)}/s" if speed else f"nothing has come for {quiet} s" if quiet is not None else "",
                left=left(view["eta_seconds"]),
            )

        yield update


def _trouble(view: dict[str, Any]) -> str:
    return f" ({view['error']}; trying again)" if view["error"] and view["status"] == "downloading" else ""
