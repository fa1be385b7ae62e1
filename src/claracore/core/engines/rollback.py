"""A model did not start: is that the fault of the new build of the engine, so that the one before is used again?

The one before must have loaded this model with this command, and the new one never. What has to do with the machine at
this moment (memory, ports, a file that is not there) would befall the old build as well.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from claracore.core.loading.failure_kinds import FailureKind

OF_THE_MACHINE: Final = frozenset({FailureKind.MEMORY, FailureKind.NO_FILE, FailureKind.CLOSED_FILE, FailureKind.PORT})


@dataclass(frozen=True, slots=True)
class Proof:
    """A model that became ready: its id, and what tells its command from another (a digest)."""

    model: str
    command: str


@dataclass(frozen=True, slots=True)
class FailedStart:
    """A start that failed with the build in use."""

    proof: Proof
    """Which start that was."""
    kind: str
    """Why, as `FailureKind` has it."""


def is_fault_of_engine(start: FailedStart, by_current: Collection[Proof], by_previous: Collection[Proof]) -> bool:
    """Whether the build before is to be used again, by what each of the two has loaded."""
    if start.kind in OF_THE_MACHINE:
        return False
    return start.proof in by_previous and start.proof not in by_current
