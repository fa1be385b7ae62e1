"""What does a process of any model's server need of the rest of this host?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor.accepted import Announced
from claracore.host.supervisor.commands import Commands

if TYPE_CHECKING:
    from claracore.host.conversations.keeper import ConversationKeeper


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process of any model needs of the rest."""

    keeper: PortKeeper
    commands: Commands
    environ: Mapping[str, str]
    socket_dir: Path | None
    """Where the Unix sockets of models with `transport: unix` are; None for the folder of this session."""
    announced: Announced = field(default_factory=set)
    conversations: ConversationKeeper | None = None
    """Who keeps conversations over the ends of servers; None where nobody does."""
