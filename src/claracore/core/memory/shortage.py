"""What is a person told whose model ran out of memory: of which device, how much is there, and who has the rest?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from claracore.core.memory.allocation_errors import KILLED, AllocationError
from claracore.core.memory.devices import device_words
from claracore.core.memory.footprint import RAM
from claracore.core.units import MIB, gib

MOST_USERS: Final = 3
LEAST_NAMED: Final = 64 * MIB
"""Who has less is not named."""


@dataclass(frozen=True, slots=True)
class MemoryUser:
    """Who has memory of a device."""

    name: str
    bytes: int
    pid: int | None = None
    """None for a model of ours."""

    def __str__(self) -> str:
        who = f"model {self.name!r}" if self.pid is None else f"{self.name} (pid {self.pid})"
        return f"{gib(self.bytes)} by {who}"


@dataclass(frozen=True, slots=True)
class DeviceShortage:
    """The device that had not enough, as it is when the server has ended; bytes."""

    device: str
    total: int
    free: int
    users: tuple[MemoryUser, ...] = ()


def is_limited(error: AllocationError, short: DeviceShortage, known: int) -> bool:
    """Whether the server ran into a limit of its own process: RAM has more than it was thought to take (`known`)."""
    return error.device == RAM and error.family != KILLED and max(known, error.asked or 0) < short.free


def shortage_words(
    error: AllocationError, short: DeviceShortage | None, *, limited: bool = False, is_ours: bool
) -> str:
    """Return what happened, in one sentence with the ways out.

    `limited`: a limit of its process was in the way; `is_ours`: its command is one of setup's.
    """
    ways = ["give it a smaller context (--ctx-size) or another quantization"]
    if limited:
        ways.append("raise the limit that its process has (ulimit, the container's)")
    elif short is not None:
        named = _largest(short.users)[:1]
        ways += [f"end {user.name}" if user.pid is not None else f"unload {user.name!r}" for user in named]
    if is_ours:
        ways.append("let `claracore setup` plan anew")
    return f"{_what(error, short)}; {', or '.join(ways)}"


def _what(error: AllocationError, short: DeviceShortage | None) -> str:
    if error.family == KILLED:
        head = "the kernel ended it, because RAM ran out"
    elif error.needs is not None:
        head = f"it needs {gib(error.needs)}"
    elif error.asked is not None:
        head = f"it could not get {gib(error.asked)} more"
    else:
        head = "it ran out of memory"
    if short is None:
        return head
    name = device_words(short.device)
    name = name if name.startswith(("GPU", "RAM")) else f"the {name}"
    there = f"{name} has {gib(short.free)} free of {gib(short.total)}"
    named = _largest(short.users)
    return f"{head}, {there}{': ' if named else ''}{', '.join(map(str, named))}"


def _largest(users: Sequence[MemoryUser]) -> list[MemoryUser]:
    found = sorted((user for user in users if user.bytes >= LEAST_NAMED), key=lambda user: (-user.bytes, user.name))
    return found[:MOST_USERS]
