"""`claracore replay`: what does the scheduler make of the events in a debug log, and does it differ from then?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from claracore.cli.terminal import say
from claracore.cli.verb import Verb, flag, option, word
from claracore.core.config.load import load_many
from claracore.core.scheduler.events import (
    Event,
    LookAhead,
    Measure,
    MemorySampled,
    Order,
    Reconfigured,
    Refuse,
    Serve,
    Sleep,
    Start,
    Stop,
    TellMissing,
    TryAgain,
    Wake,
)
from claracore.core.scheduler.obstacle import Cause
from claracore.core.scheduler.policy import Policy
from claracore.core.scheduler.policy_from_config import policy_of
from claracore.core.scheduler.record import Begun, Recorded, UnreadableRecord, read
from claracore.core.scheduler.replay import Decision, ModelQueue, Recording, as_test, replay, runs
from claracore.core.units import gib
from claracore.errors import BadRequest
from claracore.host.store.files import read_sources

INDENT = " " * 14

CAUSES = {
    Cause.LOADING: "it is being loaded",
    Cause.RETURNING: "it is ending, and is started again after that",
    Cause.PLACES: "it answers as many requests as it may",
    Cause.ANSWERS: "models that must go first have answers to give",
    Cause.LOADS: "models that must go first are being loaded",
    Cause.UNLOADING: "models that must go first are being stopped",
    Cause.MEMORY: "memory of models that have ended is not back yet",
    Cause.PREPARING: "what its start needs is fetched",
    Cause.TURN: "requests for other models are ahead",
}


def replay_logs(*, logs: list[Path], config: Path | None, write_test: Path | None, differences: bool) -> None:
    """Hand the events of a debug log to the scheduler, and print its decisions.

    Each has its reason.
    Exit code 1 if it decides anything else than what the log says.
    """
    policy = _policy(config) if config is not None else None
    found = runs(_records(logs), policy)
    if not found:
        raise BadRequest(f"{', '.join(map(str, logs))}: no event in it; claracore --log-level debug writes them")
    differing = sum(_show(number, run, only_differences=differences) for number, run in enumerate(found, 1))
    events = sum(len(run.records) for run in found)
    verdict = f"{differing} decided differently" if differing else "all decided as recorded"
    say(f"{events} events in {len(found)} run{'s' if len(found) > 1 else ''}: {verdict}", style="bold")
    if write_test is not None:
        with write_test.open("x", encoding="utf-8") as file:
            file.write(as_test(found))
        say(f"{write_test} written")
    raise SystemExit(1 if differing else 0)


def _policy(config: Path) -> Policy:
    sources = read_sources(None, config) if config.is_dir() else read_sources(config)
    loaded = load_many(sources, env=os.environ)
    if loaded.config is None:
        raise BadRequest("\n".join(str(finding) for finding in loaded.findings))
    return policy_of(loaded.config)


def _records(logs: list[Path]) -> Iterator[Begun | Recorded]:
    for log in logs:
        with log.open(encoding="utf-8", errors="replace") as lines:
            try:
                yield from read(lines)
            except UnreadableRecord as error:
                raise BadRequest(f"{log}: {error.message}") from error


def _show(number: int, run: Recording, *, only_differences: bool) -> int:
    """Print a run and return how many of its decisions differ."""
    _echo(f"run {number}: {', '.join(run.policy.models) or 'no models'}")
    differing = 0
    begin = run.records[0].now if run.records else 0.0
    for decision in replay(run):
        differing += decision.differs
        if decision.differs or not only_differences:
            _echo(f"{decision.record.now - begin:12.3f}  {_event(decision.record.event)}")
            for line in _lines(decision):
                _echo(INDENT + line)
    return differing


def _lines(decision: Decision) -> Iterator[str]:
    """Say what follows from an event, and why."""
    yield from map(_order, decision.orders)
    yield from (f"{model}: {before} -> {after}" for model, before, after in decision.moved)
    yield from map(_wait, decision.waiting)
    if decision.impossible:
        yield f"DIFFERS: {decision.impossible}, so that the rest of this run cannot be handed in"
    elif decision.differs:
        then = ", ".join(map(_order, decision.record.orders)) or "nothing"
        yield f"DIFFERS: line {decision.record.line} of the log has: {then}"


def _event(event: Event) -> str:
    if isinstance(event, MemorySampled):
        return f"MemorySampled: models may take {_bytes({device.id: device.usable for device in event.devices})}"
    if isinstance(event, Reconfigured):
        restarts = f"; other commands for {', '.join(sorted(event.changed))}" if event.changed else ""
        return f"Reconfigured: {', '.join(event.policy.models) or 'no models'}{restarts}"
    return str(event)


def _order(order: Order) -> str:
    match order:
        case Start(model):
            return f"start {model}"
        case Stop(model, reason):
            return f"stop {model}: {reason}"
        case Sleep(model, reason):
            return f"let {model} sleep: {reason}"
        case Wake(model):
            return f"wake {model}"
        case LookAhead(model):
            return f"look whether {model} can start"
        case Serve(request):
            return f"serve request {request}"
        case Refuse(request, reason):
            return f"refuse request {request}: {reason}"
        case Measure(models):
            return f"measure memory for {', '.join(models)}"
        case TellMissing(missing):
            return f"tell that memory is missing: {_bytes(missing)}"
        case TryAgain(model, how):
            return f"try {model} once more: {how}"


def _bytes(by_device: Mapping[str, int]) -> str:
    return ", ".join(f"{gib(size)} of {device}" for device, size in by_device.items()) or "nothing that is known"


def _wait(waiting: ModelQueue) -> str:
    obstacle = waiting.obstacle
    cause = CAUSES[obstacle.cause] if obstacle is not None else "nothing that lasts"
    others = f" ({', '.join(obstacle.models)})" if obstacle is not None and obstacle.models else ""
    who = f"request {', '.join(map(str, waiting.requests))}" if waiting.requests else "a restart"
    return f"{waiting.model}: {who} waits: {cause}{others}"


def _echo(line: str) -> None:
    """Print a line; names in a log may hold what a terminal would obey."""
    say("".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line))


REPLAY = Verb(
    replay_logs,
    {
        "logs": word(about="Log files, oldest first; text or JSON.", kind=Path, nargs="+", metavar="LOG"),
        "config": option(
            "--config", about="What the log began with, if it does not say so itself: a file or a folder.", kind=Path
        ),
        "write_test": option("--write-test", about="Write what was recorded as a test in Python.", kind=Path),
        "differences": flag("--differences", about="Print only what differs from the log."),
    },
)
