"""What has one process of the ports of models that another is to have in its place?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from claracore.host.sockets.ledger import GivenEntry


@dataclass(frozen=True, slots=True)
class GivenPorts:
    """What a `PortKeeper` has, with its sockets as open files."""

    entry: GivenEntry
    leases: Mapping[str, int]
    planned: Mapping[str, int | None]
    running: frozenset[str]
    """The models whose leases were not given back."""
    held: Mapping[int, int]
    sealed: Mapping[int, int]
