"""What does the scheduler decide about recorded events today, and why?

Each run of a record goes to a fresh `Scheduler`; what it orders is compared with what was ordered then. The second half
writes a run as a test: the same events and orders as Python source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import Died, Ended, Event, FellAsleep, Lost, Order, Ready
from claracore.core.scheduler.lifecycle import TRANSITIONS, Trigger
from claracore.core.scheduler.obstacle import Obstacle
from claracore.core.scheduler.policy import Policy
from claracore.core.scheduler.record import Begun, Recorded
from claracore.errors import BadRequest
from claracore.types import ModelState

TRIGGERS: Mapping[type, Trigger] = {Ready: Trigger.BECAME_READY, Ended: Trigger.ENDED, FellAsleep: Trigger.FELL_ASLEEP}


class NoPolicy(BadRequest):
    """The record does not say with which configuration it begins."""


@dataclass(frozen=True, slots=True)
class ModelQueue:
    """Requests that wait for one model, oldest first, and what for; None when it is nothing that lasts."""

    model: str
    requests: tuple[int, ...]
    obstacle: Obstacle | None


@dataclass(frozen=True, slots=True)
class Decision:
    """One event and what the scheduler makes of it; `impossible` says why it could not even be handed in."""

    record: Recorded
    orders: tuple[Order, ...] = ()
    moved: tuple[tuple[str, ModelState, ModelState], ...] = ()
    """Which models changed their states, from what to what."""
    waiting: tuple[ModelQueue, ...] = ()
    impossible: str = ""

    @property
    def differs(self) -> bool:
        """Whether it is not what the record says."""
        return bool(self.impossible) or self.orders != self.record.orders


@dataclass(frozen=True, slots=True)
class Recording:
    """What one server recorded from its start on, and with which policy it began."""

    policy: Policy
    records: tuple[Recorded, ...]


def runs(records: Iterable[Begun | Recorded], policy: Policy | None = None) -> list[Recording]:
    """Divide a record by the servers that wrote it; `policy` is for those whose beginning it lacks.

    A run begins where the record says so, or where the clock goes backwards. Raises NoPolicy.
    """
    found: list[tuple[Policy, list[Recorded]]] = []
    last = 0.0
    for record in records:
        if isinstance(record, Begun):
            found.append((record.policy, []))
        else:
            if not found or record.now < last:
                if policy is None:
                    raise NoPolicy(
                        f"line {record.line}: the log does not say with which configuration this run began "
                        "(it was at debug level only later, or its first part is elsewhere); name that part too, or "
                        "the configuration with --config FILE"
                    )
                found.append((policy, []))
            found[-1][1].append(record)
        last = record.now
    return [Recording(policy, tuple(records)) for policy, records in found]


def replay(recording: Recording) -> Iterator[Decision]:
    """Give the decision about each event; the last is the first event that cannot happen here, if there is one."""
    scheduler = Scheduler(recording.policy)
    stopped = ModelState.STOPPED
    after = _states(scheduler)
    for record in recording.records:
        impossible = _impossible(scheduler, record.event)
        if impossible:
            yield Decision(record, impossible=impossible)
            return
        before = after
        orders = scheduler.handle(record.event, record.now)
        after = _states(scheduler)
        pairs = ((model, before.get(model, stopped), after.get(model, stopped)) for model in before | after)
        yield Decision(
            record,
            tuple(orders),
            tuple(pair for pair in pairs if pair[1] is not pair[2]),
            tuple(
                ModelQueue(slot.model, tuple(slot.waiting), scheduler.obstacle(slot.model, record.now))
                for slot in scheduler.in_turn(record.now)
            ),
        )


def _states(scheduler: Scheduler) -> dict[str, ModelState]:
    return {model: slot.state for model, slot in scheduler.slots.items()}


def _impossible(scheduler: Scheduler, event: Event) -> str:
    """Say why an event breaks the promises of `events`; empty if it does not."""
    if not isinstance(event, Ready | Ended | FellAsleep | Lost | Died):
        return ""
    slot = scheduler.slots.get(event.model)
    if slot is None:
        return f"there is no model {event.model!r} here"
    trigger = TRIGGERS.get(type(event))
    if trigger is not None and (slot.state, trigger) not in TRANSITIONS:
        return f"the model {event.model!r} is {slot.state} here"
    return ""


# --- a run as a test ------------------------------------------------------------------------------------------------

HEAD = '"""What a debug log recorded: events left, and the orders that followed them right."""\n\n'


def as_test(recorded: Iterable[Recording]) -> str:
    """Return the source of a test for each run, with the orders of the record; a formatter breaks its long lines."""
    names = {
        (Scheduler.__module__, "Scheduler"),
        *(("claracore.core.scheduler.events", name) for name in ("Order", "Event")),
    }
    tests = []
    for number, recording in enumerate(recorded, 1):
        policy = source(recording.policy, names)
        steps = [
            f"        ({record.now!r}, {source(record.event, names)}, {source(list(record.orders), names)}),\n"
            for record in recording.records
        ]
        tests.append(
            f"\n\ndef test_run_{number}() -> None:\n"
            f"    scheduler = Scheduler(\n        {policy}\n    )\n"
            f"    record: list[tuple[float, Event, list[Order]]] = [\n{''.join(steps)}    ]\n"
            "    for now, event, orders in record:\n"
            "        assert scheduler.handle(event, now) == orders, event\n"
        )
    modules = sorted({module for module, _ in names})
    imports = [
        f"from {module} import {', '.join(sorted(name for origin, name in names if origin == module))}\n"
        for module in modules
    ]
    return f"{HEAD}from __future__ import annotations\n\n{''.join(imports)}{''.join(tests)}"


def source(value: Any, names: set[tuple[str, str]]) -> str:  # noqa: ANN401 - any value of a record
    """Return a value of a record as an expression; modules and names that it needs are put into `names`."""
    if isinstance(value, Enum):
        names.add((type(value).__module__, type(value).__name__))
        return f"{type(value).__name__}.{value.name}"
    if is_dataclass(value) and not isinstance(value, type):
        names.add((type(value).__module__, type(value).__name__))
        inside = ", ".join(f"{field.name}={source(getattr(value, field.name), names)}" for field in fields(value))
        return f"{type(value).__name__}({inside})"
    match value:
        case list():
            return f"[{', '.join(source(item, names) for item in value)}]"
        case tuple():
            return f"({''.join(source(item, names) + ', ' for item in value).rstrip(' ')})"
        case dict():
            return f"{{{', '.join(f'{key!r}: {source(inner, names)}' for key, inner in value.items())}}}"
        case frozenset():
            return f"frozenset({sorted(value)!r})"
        case float() if value in {float("inf"), float("-inf")}:
            return f"float({str(value)!r})"
    return repr(value)
