"""How do several hear what becomes of models' servers? Each in turn; one that fails costs the others nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable

from claracore.core.scheduler.events import SecondTry, StopReason
from claracore.host.supervisor.contract import ModelListener

logger = logging.getLogger("claracore.supervisor")


class ModelListeners:
    """Hands what it hears to others (`contract.ModelListener`)."""

    def __init__(self, *listeners: ModelListener) -> None:
        self._listeners = listeners

    def waiting(self, model: str) -> None:
        """Tell that one more request waits for it."""
        self._tell(lambda listener: listener.waiting(model))

    def starting(self, model: str) -> None:
        """Tell that a server is being started."""
        self._tell(lambda listener: listener.starting(model))

    def ready(self, model: str) -> None:
        """Tell that it answers."""
        self._tell(lambda listener: listener.ready(model))

    def stopping(self, model: str, reason: StopReason) -> None:
        """Tell that it was ordered to end."""
        self._tell(lambda listener: listener.stopping(model, reason))

    def ended(self, model: str) -> None:
        """Tell that it is gone."""
        self._tell(lambda listener: listener.ended(model))

    def trying_again(self, model: str, how: SecondTry) -> None:
        """Tell that it is started once more."""
        self._tell(lambda listener: listener.trying_again(model, how))

    def reported(self, model: str) -> None:
        """Tell that it has said something new about itself."""
        self._tell(lambda listener: listener.reported(model))

    def pinned(self, model: str) -> None:
        """Tell that a person pinned it or let it go."""
        self._tell(lambda listener: listener.pinned(model))

    def _tell(self, what: Callable[[ModelListener], None]) -> None:
        for listener in self._listeners:
            try:
                what(listener)
            except Exception:
                logger.exception("a listener failed")
