"""Records are read as they were written, from logs as they are; what is none of ours is an error, never code."""

from __future__ import annotations

import json
import logging
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.config.matrix import Expression, One, Together
from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, DeviceMemory, Footprint, FootprintSource
from claracore.core.scheduler.by_memory import ByMemory
from claracore.core.scheduler.events import (
    Arrived,
    Event,
    Finished,
    FootprintsKnown,
    Measure,
    MemorySampled,
    Order,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    Serve,
    Start,
    Stop,
    StopReason,
    TellMissing,
    UnloadAsked,
)
from claracore.core.scheduler.eviction import Group, Groups, LocalOnly
from claracore.core.scheduler.matrix import Matrix
from claracore.core.scheduler.policy import ModelPolicy, Policy
from claracore.core.scheduler.record import Begun, Recorded, UnreadableRecord, read
from claracore.core.scheduler.replay import replay, runs
from claracore.core.scheduler.shapes import SHAPES
from claracore.host.logs.proxy import JsonFormatter, TextFormatter
from claracore.host.logs.times import layout_named
from sim.memory_world import MemoryWorld
from sim.world import World

POLICY = Policy(Groups({"g": Group()}, {"a": "g", "b": "g"}), {"a": ModelPolicy(), "b": ModelPolicy(ttl_seconds=60)})
STRANGE = "it's \"a\"\\ -> [Serve(request=1)]\n<StopReason.TTL: 'x'> \x1b[31m \udc80 \U0001f600"


def line(now: float, event: object, orders: list[Order]) -> str:
    return f"2026-11-28 00:00:00,123 DEBUG {now!r} {event} -> {orders}\n"


def begin(policy: Policy = POLICY, now: float = 1.0) -> str:
    return f"2026-11-28 00:00:00,123 DEBUG {now!r} begins with {policy}\n"


def test_the_table_of_shapes_is_that_of_the_classes() -> None:
    for shape, told in SHAPES.items():
        assert [field.name for field in fields(shape)] == list(told), shape
    assert set(SHAPES) > {*get_args(Event), *get_args(Order), *get_args(Expression)}


def test_every_kind_of_value_is_read_as_it_was() -> None:
    matrix = Matrix((Together((One("a"), One(STRANGE))),), {"a": 3})
    policy = Policy(
        LocalOnly(matrix, frozenset({STRANGE, "b"})), {STRANGE: ModelPolicy(queue_timeout_seconds=float("inf"))}
    )
    source = FootprintSource.MEASURED
    told: list[tuple[Event, list[Order]]] = [
        (Arrived(1, STRANGE, by_hand=True), [Start(STRANGE), Stop("a", StopReason.UNWANTED)]),
        (UnloadAsked(("a",)), [Refuse(1, reason) for reason in RefuseReason]),
        (UnloadAsked(()), [Stop("a", reason) for reason in StopReason]),
        (Reconfigured(policy, frozenset({"a"})), []),
        (Reconfigured(policy), [Serve(7)]),
        (
            Reconfigured(Policy(ByMemory(frozenset({STRANGE})), {STRANGE: ModelPolicy(reload=True)})),
            [Measure((STRANGE,))],
        ),
        (
            MemorySampled((DeviceMemory("gpu0", STRANGE, 8, 7, 1, 2),), {STRANGE: Footprint({"gpu0": 3}, source)}),
            [TellMissing({"gpu0": 2**40})],
        ),
        (FootprintsKnown({"a": UNKNOWN_FOOTPRINT}), []),
    ]
    text = "".join(line(number + 0.1, event, orders) for number, (event, orders) in enumerate(told))
    assert [
        (its.event, list(its.orders)) for its in read(text.splitlines(keepends=True)) if isinstance(its, Recorded)
    ] == told
    (begun,) = read([begin(policy)])
    assert isinstance(begun, Begun)
    assert begun.policy == policy


@pytest.mark.parametrize("layout", ["", "RFC1123Z", "Kitchen", "StampNano", "json"])
def test_every_form_of_the_log_is_read(layout: str) -> None:
    formatter: logging.Formatter = JsonFormatter()
    if layout != "json":
        formatter = TextFormatter()
        formatter.layout = layout_named(layout)
    record = logging.makeLogRecord(
        {
            "name": "claracore.supervisor",
            "levelname": "DEBUG",
            "msg": "%r %s -> %s",
            "args": (2.5, Arrived(1, STRANGE), [Start("a")]),
        }
    )
    others = ["[a] DEBUG 1.0 nonsense from a model\n", "\n", "{]\n", '{"level": "debug", "message": "1.0 else"}\n']
    others += [
        "2026-11-28 00:00:00,123 INFO a client said DEBUG 1 x\n",
        "2026-11-28 00:00:00,123 DEBUG configuration: 2\n",
    ]
    assert list(read([*others, formatter.format(record) + "\r\n"])) == [
        Recorded(len(others) + 1, 2.5, Arrived(1, STRANGE), (Start("a"),))
    ]


WHOLE = line(1.5, Arrived(12, "a"), [Start("a")]).rstrip("\n")


@pytest.mark.parametrize("end", range(WHOLE.index("DEBUG ") + len("DEBUG 1.5 "), len(WHOLE)))
def test_a_record_that_is_cut_off_is_an_error(end: int) -> None:
    with pytest.raises(UnreadableRecord, match=r"^line 2: .*cut off"):
        list(read([begin(), WHOLE[:end]]))


def test_a_json_record_that_is_cut_off_is_an_error() -> None:
    whole = json.dumps(
        {"at": 1.0, "level": "debug", "logger": "claracore.supervisor", "message": "1.0 Finished(request"}
    )
    for text in (whole, whole[:-9]):
        with pytest.raises(UnreadableRecord, match="line 1"):
            list(read([text]))


BAD = [
    ("__import__('os').system('touch hacked') -> []", "no event, order or policy"),
    ("Arrived(request=open('hacked','w'), model='a', by_hand=False) -> []", "'open'"),
    ("Arrived(request=1, model='a', by_hand=False).__class__ -> []", "cannot read"),
    ("Arrived(request=True, model='a', by_hand=False) -> []", "Arrived.request"),
    ("Arrived(request='1', model='a', by_hand=False) -> []", "Arrived.request"),
    ("Arrived(request=1, model='a') -> []", "lacks by_hand"),
    ("Arrived(request=1, request=1) -> []", "no field 'request'"),
    ("Arrived(request=1, model='a', by_hand=False, more=1) -> []", "no field 'more'"),
    ("Policy() -> []", "lacks"),
    ("Start(model='a') -> []", "the event"),
    ("TimePassed() -> [TimePassed()]", "the orders"),
    ("TimePassed() -> (1,)", "the orders"),
    ("TimePassed() -> []]", "cannot read"),
    ("TimePassed() -> [Stop(model='a', reason=<StopReason.BORED: 'x'>)]", "no reason"),
    ("TimePassed() -> [Stop(model='a', reason=<RefuseReason.FAILED: 'x'>)]", "Stop.reason"),
    ("Finished(request=" + "9" * 5000 + ") -> []", "line 1"),
    ("UnloadAsked(models=" + "(" * 100_000 + ") -> []", "nested"),
    ("UnloadAsked(models=" + "frozenset({" * 9_000 + ") -> []", "nested"),
    ("UnloadAsked(models=('a', 1)) -> []", "UnloadAsked.models"),
    ("Ready(model='\\N{BULLET}') -> []", "cannot read"),
    ("Ready(model='\\xzz') -> []", "cannot read"),
    ("Ready(model=f'{1}') -> []", "'f'"),
    ("Ready(model=b'a') -> []", "'b'"),
    (str(Reconfigured(Policy(Groups({}, {}), {"a": ModelPolicy()}))) + " -> []", "'a' is in no group"),
    (str(Reconfigured(Policy(Groups({}, {"a": "g"}), {"a": ModelPolicy()}))) + " -> []", "no group 'g'"),
    ("begins with TimePassed()", "the policy"),
]


@pytest.mark.parametrize(("text", "why"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_what_is_none_of_ours_is_an_error(text: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnreadableRecord) as error:
        list(read([f"t DEBUG 1.0 {text}"]))
    assert why in error.value.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [World, MemoryWorld])
@pytest.mark.parametrize("seed", range(6))
def test_the_simulated_world_is_replayed_order_by_order(seed: int, kind: type[World]) -> None:
    world = kind(seed)
    log = [begin(world.policy, 0.0)]
    for _ in range(300):
        assert world.step()
    log += [f"2026-11-28 00:00:00,123 DEBUG {told}" for told in world.transcript]
    (run,) = runs(read(log))
    assert len(run.records) == len(world.transcript)
    assert [decision for decision in replay(run) if decision.differs] == []


GOOD = [
    begin(),
    line(1.0, Arrived(1, "a"), [Start("a")]),
    line(2.0, Ready("a"), [Serve(1)]),
    line(3.0, Arrived(2, "b"), []),
    line(4.0, Reconfigured(POLICY, frozenset({"a"})), []),
    line(5.0, Finished(1), [Stop("a", StopReason.CHANGED)]),
]
PIECES = [
    "Ended",
    "Lost",
    "Returned",
    "'b'",
    "'c'",
    "1",
    "-1",
    "0",
    "9",
    "1e999",
    "True",
    "(",
    ")",
    "",
    "[",
    "''",
    "{",
    "}",
]


@given(
    st.integers(0, len(GOOD) - 1),
    st.integers(0, 400),
    st.integers(0, 9),
    st.sampled_from(PIECES),
    st.permutations(range(len(GOOD))),
)
def test_a_record_that_somebody_has_changed_is_replayed_or_refused(
    which: int, at: int, length: int, piece: str, order: list[int]
) -> None:
    lines = [GOOD[number] for number in order]
    its = lines[which]
    at %= len(its)
    lines[which] = its[:at] + piece + its[at + length :]
    try:
        found = runs(read(lines), POLICY)
    except UnreadableRecord:
        return
    for run in found:
        for decision in replay(run):
            assert decision.record in run.records
