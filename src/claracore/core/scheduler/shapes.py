"""Which values may stand in a debug log of the scheduler, with fields of which types?"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, get_args

from claracore.core.config.matrix import Either, Expression, One, Together
from claracore.core.memory.footprint import DeviceMemory, Footprint, FootprintSource
from claracore.core.scheduler import events
from claracore.core.scheduler.by_memory import ByMemory
from claracore.core.scheduler.eviction import Group, Groups, LocalOnly
from claracore.core.scheduler.matrix import Matrix
from claracore.core.scheduler.policy import ModelPolicy, Policy

RULES = (Groups, Matrix, LocalOnly, ByMemory)

FieldShape = type | tuple[Any, ...]
"""A type; or (tuple, X), (frozenset, X), (dict, K, V) with what is inside; or alternatives: ("any of", X, Y)."""

NUMBER: FieldShape = ("any of", float, int)
MAYBE: FieldShape = ("any of", float, int, type(None))
EXPRESSION: FieldShape = ("any of", *get_args(Expression))
RULE: FieldShape = ("any of", *RULES)
TEXTS: FieldShape = (frozenset, str)

SHAPES: Mapping[type, Mapping[str, FieldShape]] = {
    events.Arrived: {"request": int, "model": str, "by_hand": bool},
    events.Finished: {"request": int},
    events.Ready: {"model": str},
    events.Ended: {"model": str},
    events.FellAsleep: {"model": str},
    events.RanOut: {"model": str, "footprint": Footprint, "less": Footprint, "limited": bool},
    events.LookedAhead: {"model": str, "fails": bool},
    events.FilesChanged: {"model": str},
    events.Lost: {"model": str},
    events.Died: {"model": str},
    events.Returned: {"request": int, "model": str},
    events.UnloadAsked: {"models": (tuple, str)},
    events.Pinned: {"model": str, "pinned": bool},
    events.KeepAsked: {"model": str, "seconds": NUMBER},
    events.Reconfigured: {"policy": Policy, "changed": TEXTS},
    events.ShutdownAsked: {"grace_seconds": NUMBER},
    events.StartsHeld: {"held": bool},
    events.Inherited: {
        "model": str,
        "requests": (tuple, int),
        "idle_seconds": NUMBER,
        "load_seconds": MAYBE,
        "sleeps": bool,
    },
    events.MemorySampled: {"devices": (tuple, DeviceMemory), "footprints": (dict, str, Footprint)},
    events.FootprintsKnown: {"footprints": (dict, str, Footprint)},
    events.TimePassed: {},
    events.Start: {"model": str},
    events.Stop: {"model": str, "reason": events.StopReason},
    events.Sleep: {"model": str, "reason": events.StopReason},
    events.Wake: {"model": str},
    events.Serve: {"request": int},
    events.Refuse: {"request": int, "reason": events.RefuseReason},
    events.Measure: {"models": (tuple, str)},
    events.LookAhead: {"model": str},
    events.TellMissing: {"missing": (dict, str, int)},
    events.TryAgain: {"model": str, "how": events.SecondTry},
    Policy: {
        "rule": RULE,
        "models": (dict, str, ModelPolicy),
        "patience_seconds": NUMBER,
        "aging_seconds": NUMBER,
        "retry_seconds": NUMBER,
        "longest_retry_seconds": NUMBER,
    },
    ModelPolicy: {
        "ttl_seconds": NUMBER,
        "concurrency": int,
        "priority": int,
        "queue_limit": int,
        "queue_timeout_seconds": NUMBER,
        "drain_seconds": NUMBER,
        "reload": bool,
        "sleeps": bool,
        "asleep": Footprint,
        "foreseeable": bool,
    },
    Groups: {"groups": (dict, str, Group), "member_of": (dict, str, str)},
    Group: {"swap": bool, "exclusive": bool, "persistent": bool},
    Matrix: {"sets": (tuple, EXPRESSION), "costs": (dict, str, int)},
    LocalOnly: {"rule": RULE, "remote": TEXTS},
    ByMemory: {"persistent": TEXTS, "elsewhere": TEXTS, "helpers": TEXTS},
    DeviceMemory: {"id": str, "name": str, "total": int, "budget": int, "reserved": int, "other": int},
    Footprint: {"by_device": (dict, str, int), "source": FootprintSource},
    One: {"model_id": str},
    Together: {"parts": (tuple, EXPRESSION)},
    Either: {"parts": (tuple, EXPRESSION)},
}
"""Every value that may stand in a record, with the types of its fields; a test compares it with the classes."""

REASONS: tuple[type[StrEnum], ...] = (events.StopReason, events.RefuseReason, events.SecondTry, FootprintSource)
