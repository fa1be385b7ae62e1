"""What do the handlers of the control plane talk to?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from claracore.config.model import Config
from claracore.ports.listen import Listen
from claracore.sockets.ports import PortKeeper
from claracore.supervisor.configuration import Configuration
from claracore.supervisor.loop import Supervisor


@dataclass(frozen=True, slots=True)
class Context:
    """The running parts, as handlers see them."""

    supervisor: Supervisor
    configuration: Configuration
    keeper: PortKeeper
    listen: Listen
    cancel: Callable[[int], bool]
    """Ends one request in flight."""
    started_at: float = field(default_factory=time.time)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.configuration.now.config


def _context(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)  # noqa: S101 - set by create_app
    return context


Here = Annotated[Context, Depends(_context)]
"""Annotation of a handler's parameter that gets the context."""
