"""How is a server reached that somebody else runs, as the configuration's `proxy` names it?"""

from __future__ import annotations

import socket

from claracore.core.config.command import bind
from claracore.core.config.model import ModelConfig
from claracore.core.ports.fixed import endpoint_of
from claracore.errors import ClaraCoreError
from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor.runner import Outcome, RunListener
from claracore.host.supervisor.running import Running
from claracore.host.supervisor.stop_order import StopOrder
from claracore.types import Endpoint, ModelState


class ExternalRun:
    """A `ServerRun` of a model without a command: ready at once, without a process, until it is ordered to end."""

    def __init__(self, model: ModelConfig, keeper: PortKeeper, listener: RunListener) -> None:
        self.restartable = False
        self._model = model
        self._keeper = keeper
        self._listener = listener
        self._stop = StopOrder()
        self._endpoint: Endpoint | None = None

    async def run(self) -> Outcome:
        """Be ready until the end is ordered. The failure is that its port is another model's, or ClaraCore's own."""
        try:
            self._keeper.refuse_unusable(self._model.id)
        except ClaraCoreError as error:
            return Outcome(None if self._stop.given else error)
        self._endpoint = endpoint_of(bind(self._model).proxy)
        self._listener.ready(self._model.id, self._endpoint)
        # Connections stay open: nothing is stopped there, and models that share the server may be using them.
        await self._stop.wait()
        return Outcome()

    def stop(self) -> None:
        """Order the end."""
        self._stop.give()

    def sleep(self) -> None:
        """Order the end: it has nothing here that it could give back."""
        self._stop.give()

    def wake(self) -> None:
        """Order the end: it never slept."""
        self._stop.give()

    def kill(self) -> None:
        """Order the end; there is nothing to kill."""
        self._stop.give()

    def running(self, state: ModelState) -> Running:
        """Return where it is; it has no process of ours."""
        return Running(state, self._endpoint)

    async def reaches(self, connection: socket.socket) -> bool:
        """Return True: who listens there is not ours to check."""
        del connection
        return True

    async def confirm(self) -> bool:
        """Return False: nothing can be looked at."""
        return False
