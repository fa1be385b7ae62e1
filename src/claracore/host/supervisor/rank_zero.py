"""What does the run of a model on several machines hear of its rank 0?"""

from __future__ import annotations

from collections.abc import Callable

from claracore.host.supervisor.runner import RunListener
from claracore.types import Endpoint


class OfMaster:
    """Hears how rank 0 goes: it is ready when the whole is."""

    def __init__(self, on_ready: Callable[[Endpoint], None], listener: RunListener) -> None:
        self._on_ready = on_ready
        self._listener = listener
        self.reported = listener.reported
        self.fell_asleep = listener.fell_asleep
        self.awoke = listener.awoke
        self.lost = listener.lost
        self.died = listener.died
        self.closing = listener.closing

    def ready(self, model: str, endpoint: Endpoint) -> None:
        """Take in that rank 0 answers."""
        del model
        self._on_ready(endpoint)
