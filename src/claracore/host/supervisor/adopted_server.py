"""How does a server go that another process has started and handed over to us, until all of it is gone?"""

from __future__ import annotations

import contextlib
import time

from claracore.core.config.model import ModelConfig
from claracore.host.logs.output import OutputRing
from claracore.host.supervisor.adopted import Adoption
from claracore.host.supervisor.child import Child
from claracore.host.supervisor.runner import RunListener
from claracore.host.supervisor.server_process import ServerProcess
from claracore.host.supervisor.stop_order import StopOrder
from claracore.host.supervisor.surroundings import Surroundings
from claracore.host.supervisor.verified import Stranger


class AdoptedServer(ServerProcess):
    """A `ServerProcess` that is ready from the beginning. Its conversations are not saved when it ends."""

    def __init__(
        self,
        model: ModelConfig,
        around: Surroundings,
        output: OutputRing,
        *,
        adoption: Adoption,
        stop: StopOrder,
        listener: RunListener,
    ) -> None:
        """Take over a server that was started for `model`."""
        self._adoption = given = adoption
        super().__init__(model, around, output, lease=given.given.lease, stop=stop, listener=listener)
        self.endpoint = given.given.endpoint

    async def _begun(self) -> Child:
        given, on_stdout = self._adoption.given, self._on_stdout if self._reports_state else None
        self.spawned_at = time.monotonic() - given.age_seconds
        self.reports.asleep = given.asleep
        if given.says_ready:
            self.reports.says_ready.set()
        return Child.taken_over(self._adoption, self._on_line, on_stdout)

    async def _is_there(self, child: Child) -> bool:
        check = self._accepted.check(self.endpoint, child.pid, self.lease)
        self.verifiable = check is not None
        if check is not None:
            with contextlib.suppress(Stranger):
                check.verify()
            self._watch = self._watch_of(check)
        return True

    async def _serves(self) -> None:
        """Do nothing: that it serves is known."""

    def _mark(self) -> str:
        return self._adoption.given.mark

    def _socket_file(self) -> str | None:
        return self._adoption.given.unix_path
