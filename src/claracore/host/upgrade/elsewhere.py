"""How are requests served that are still with this process, when another one has the models?

What the gateway asks of its supervisor is asked of the other process, over the link. So a request that waited here
waits there, in the order in which they came, and one that comes late is no other than one that came there.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from claracore.core.loading.expected import NOTHING_EXPECTED, ExpectedLoad
from claracore.errors import ClaraCoreError
from claracore.host.supervisor.waiting import LoadWaiter, WaitingRequest
from claracore.types import Endpoint, ModelState

if TYPE_CHECKING:
    import socket

    from claracore.host.supervisor.contract import Connections, Waiter
    from claracore.host.upgrade.link import Message, PacketLink


class RefusedElsewhere(ClaraCoreError):
    """The other process has refused a request; the fields are those of its error."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__(fields["message"], param=fields["param"], retry_after_seconds=fields["retry_after_seconds"])
        own = ("status", "type", "code", "should_retry")
        self.__dict__.update({name: fields[name] for name in own})


def fields_of(error: ClaraCoreError) -> dict[str, Any]:
    """Return of what another process makes a `RefusedElsewhere`."""
    names = ("message", "param", "retry_after_seconds", "status", "type", "code", "should_retry")
    return {name: getattr(error, name) for name in names}


class SupervisorElsewhere:
    """The supervisor of the other process, as the gateway of this one sees it (`ModelSupervisor`)."""

    def __init__(self, link: PacketLink, next_request: Callable[[], int]) -> None:
        """`next_request` returns ids of requests: those that were given out before stay what they are."""
        self._link = link
        self._next_request = next_request
        self.waiting: dict[int, WaitingRequest] = {}
        self.finished: set[int] | None = set()
        """Requests that are over; None when the other process is sure to have heard of them."""
        self._questions = itertools.count(1)
        self._asked: dict[int, asyncio.Future[bool]] = {}

    def take(self, waiting: Mapping[int, WaitingRequest]) -> None:
        """Let requests wait there that have waited here."""
        for request, one in waiting.items():
            self.waiting[request] = one
            self._link.send("arrive", [request, one.model])

    def hear(self, message: Message) -> None:
        """Take in what the other process has decided."""
        body = message.body
        if message.kind == "serve" and (one := self.waiting.pop(body[0], None)) is not None:
            one.waiter.serve(Endpoint(*body[1]))
            if isinstance(one.waiter, LoadWaiter):  # whoever waits for a load knows the other supervisor only
                self.finish(body[0])
        elif message.kind == "refuse" and (one := self.waiting.pop(body[0], None)) is not None:
            one.waiter.refuse(RefusedElsewhere(body[1]))
        elif message.kind == "reaches" and (asked := self._asked.pop(body[0], None)) is not None and not asked.done():
            asked.set_result(body[1])

    # --- what the gateway calls -------------------------------------------------------------------------------------

    def connect(self, connections: Connections) -> None:
        """Do nothing: connections to a server that ends break by that."""

    def arrive(self, model_id: str, waiter: Waiter) -> int:
        """Take a request in; return its id."""
        request = self._next_request()
        self.take({request: WaitingRequest(waiter, model_id, asyncio.get_running_loop().time())})
        return request

    def finish(self, request_id: int) -> None:
        """End a request."""
        self.waiting.pop(request_id, None)
        if self.finished is not None:
            self.finished.add(request_id)
        self._link.send("finish", request_id)

    async def reaches(self, model_id: str, endpoint: Endpoint, connection: socket.socket) -> bool:
        """Whether a connection just opened can only have reached the server that was verified at the endpoint."""
        if self._link.ended:
            return False
        number = next(self._questions)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        where = [endpoint.host, endpoint.port, endpoint.unix_path]
        self._link.send("reaches", [number, model_id, where], [connection.fileno()])
        return await answer

    async def confirm(self, model_id: str, endpoint: Endpoint) -> bool:
        """Return False: the request waits for the other process's word once more."""
        del model_id, endpoint
        return False

    async def why_lost(self, model_id: str, endpoint: Endpoint) -> str:
        """Return nothing: the other process knows it."""
        del model_id, endpoint
        return ""

    def take_back(self, request_id: int, model_id: str, endpoint: Endpoint, waiter: Waiter) -> bool:
        """Let a request that was served wait again."""
        where = [endpoint.host, endpoint.port, endpoint.unix_path]
        self.waiting[request_id] = WaitingRequest(waiter, model_id, asyncio.get_running_loop().time())
        self._link.send("take back", [request_id, model_id, where])
        return True

    def ready_endpoint(self, model_id: str) -> Endpoint | None:
        """Return None: what is not counted is for the other process."""
        del model_id
        return None

    def keep(self, model_id: str, seconds: float) -> None:
        """Have a model kept so long; negative for always."""
        self._link.send("keep", [model_id, seconds if seconds != float("inf") else -1.0])

    def position(self, request_id: int) -> int | None:
        """Return None: it is not known here."""
        del request_id
        return None

    def state(self, model_id: str) -> ModelState:
        """Return ready, so that nothing is refused here: what it really is decides who has it."""
        del model_id
        return ModelState.READY

    @property
    def expected_load(self) -> Callable[[str], ExpectedLoad]:
        """Tells nothing."""
        return lambda _model_id: NOTHING_EXPECTED
