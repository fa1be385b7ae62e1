"""How are engines, and one that is being installed, shown to a person in a terminal?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from claracore.cli.terminal import beside, moves, say, table
from claracore.core.engines.job import EngineJob, EngineStage
from claracore.core.units import gb

HEAD = ("", "engine", "version", "backend", "size", "says")
FEW = 8
"""So many builds that were not taken are listed."""


def engines_lines(view: dict[str, Any]) -> list[str]:
    """Return the builds, and what is meant by `llama-server`, in lines."""
    rows = [
        [_mark(one), one["name"], one["version"], one["backend"], gb(one["size_bytes"], 2), one["says"]]
        for one in view["engines"]
    ]
    lines = table(HEAD, rows) if rows else ["no engine is installed: `claracore engines install` fetches one"]
    lines += ["", "`llama-server` in a command means the first of these that runs:"]
    lines += [beside("  ", line) for line in view["explained"]]
    for one in view["rolled_back"]:
        lines += ["", f"{one['given_up']} was given up: it could not load {one['model']!r}, which the one before could"]
        lines.append(f"  {one['reason']}")
    return lines


def _mark(one: dict[str, Any]) -> str:
    return "in use" if one["in_use"] else "before" if one["previous"] else ""


def plan_lines(view: dict[str, Any]) -> list[str]:
    """Return what would be installed, and why not another, in lines."""
    state = " (installed already)" if view["installed"] else ""
    lines = [f"{view['id']}{state}, because {view['reason']}"]
    if view["fallback"]:
        lines.append(f"  not the best for this machine: {view['fallback']}")
    lines += [f"  {gb(file['bytes'], 2):>9}  {file['name']}" for file in view["files"]]
    others = [one for one in view["rejected"] if not one["elsewhere"]]
    if others:
        lines += ["", "not taken:"]
    lines += [f"  {one['name']}: {one['reason']}" for one in others[:FEW]]
    return lines


def check_lines(view: dict[str, Any]) -> list[str]:
    """Return how the builds are, in lines."""
    lines = [f"{one['id']}: {one['problem'] or _runs(one)}" for one in view["checks"]]
    if view["newest"] is None:
        return [*lines, f"the newest is not known: {view['newest_problem']}"]
    newest = view["newest"]
    words = "is in use" if newest["in_use"] else "is installed" if newest["installed"] else "can be installed"
    return [*lines, f"the newest for this machine is {newest['id']} ({gb(newest['total_bytes'], 2)}), which {words}"]


def _runs(one: dict[str, Any]) -> str:
    seen = "" if one["devices"] is None else f", sees {', '.join(one['devices']) or 'no graphics device'}"
    return f"runs ({one['says']}){seen}"


def job_line(job: EngineJob, in_use: str | None, *, there: bool = False) -> str:
    """Return what came of a job, in a line or two; `there`: nothing had to be installed for it."""
    fallback = f"\nnot the best for this machine: {job.fallback}" if job.fallback else ""
    note = f"\n{job.note}" if job.note else ""
    if there:
        other = f"{in_use} stays in use (claracore engines use {job.engine})"
        state = "it is in use" if in_use == job.engine else other
        return f"{job.engine} was there already; {state}{fallback}{note}"
    if in_use == job.engine:
        return f"{job.engine} is in use, because {job.reason}{fallback}{note}"
    return f"{job.engine} is installed; {in_use} stays in use (claracore engines use {job.engine}){fallback}{note}"


@contextmanager
def job_meter(*, quiet: bool) -> Iterator[Callable[[EngineJob], None]]:
    """Give what shows a job: a bar on a terminal, else a line for each stage; nothing with `quiet`."""
    if quiet:
        yield lambda _job: None
    elif not moves(sys.stderr):
        yield _lines()
    else:
        with _bar() as show:
            yield show


def _lines() -> Callable[[EngineJob], None]:
    printed: list[str] = []

    def line(job: EngineJob) -> None:
        words = stage_words(job)
        if words not in printed[-1:]:
            printed.append(words)
            say(words, err=True)

    return line


def stage_words(job: EngineJob) -> str:
    """Return what a job is at, in words."""
    what = f" {job.version} {job.backend}" if job.version else ""
    size = f", {gb(job.total_bytes, 2)}" if job.stage is EngineStage.DOWNLOADING else ""
    trouble = f" ({job.trouble}; trying again)" if job.trouble else ""
    waiting = " until another ClaraCore has installed its engine" if job.stage is EngineStage.WAITING else ""
    far = f", {int(10 * job.fraction) * 10} %" if job.fraction is not None and job.stage is EngineStage.BUILDING else ""
    return f"{job.stage}{what}{size}{far}{waiting}{trouble}"


@contextmanager
def _bar() -> Iterator[Callable[[EngineJob], None]]:
    from rich.console import Console  # noqa: PLC0415 - see console.py
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("asking", total=None)

        def show(job: EngineJob) -> None:
            total = job.total_bytes or None
            bar.update(task, description=stage_words(job), completed=job.done_bytes, total=total)

        yield show
