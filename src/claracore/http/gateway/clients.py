"""Which connections of clients are there, may there be one more, and whose time is up?"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from claracore.http.gateway.alarm import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from claracore.http.gateway.alarm import Alarm
    from claracore.http.gateway.contract import Channel, PortLimits


class Clients:
    """All connections on the public port."""

    def __init__(self, limits: PortLimits, alarm: Alarm) -> None:
        self.limits = limits
        self.alarm = alarm
        self.now: Callable[[], float] = asyncio.get_running_loop().time
        self.connections: set[Channel] = set()
        self.stopping = False
        """Whether every connection closes after its present answer."""
        self._of_client: Counter[bytes] = Counter()
        """Open connections of each address that is not this machine's own."""
        self._all_gone = asyncio.Event()
        self._give: Callable[[int], None] | None = None
        """Takes the open file of a connection for another process; None where there is none."""

    def enter(self, connection: Channel) -> bool:
        """Take in a new connection; return whether its client may have one more."""
        self.connections.add(connection)
        peer, limit = connection.peer, self.limits.max_connections_per_client
        if peer.local:
            return True
        self._of_client[peer.address] += 1
        return not limit or self._of_client[peer.address] <= limit

    def leave(self, connection: Channel) -> None:
        """Drop a connection that is closed."""
        self.connections.discard(connection)
        if not connection.peer.local:
            self._of_client[connection.peer.address] -= 1
            if not self._of_client[connection.peer.address]:
                del self._of_client[connection.peer.address]
        if not self.connections:
            self._all_gone.set()

    def deadline_in(self, seconds: float) -> float:
        """Return the deadline so long from now, of which the alarm knows."""
        deadline = self.now() + seconds
        if deadline < self.alarm.at:
            self.alarm.set(deadline)
        return deadline

    def expire(self, now: float) -> float:
        """Give up on those whose time is up; return the next deadline (event loop time)."""
        for connection in list(self.connections):
            if connection.deadline is not None and connection.deadline <= now:
                connection.expire()
        deadlines = [each.deadline for each in self.connections if each.deadline is not None]
        return min(deadlines, default=NEVER)

    def close_idle(self) -> None:
        """Close the connections that are between two requests, and from now on every other one after its answer."""
        self.stopping = True
        for connection in list(self.connections):
            if connection.handler is None:
                connection.transport.close()

    def hand_on_all(self, give: Callable[[int], None]) -> None:
        """Have another process go on with each connection that is between two requests, and with others when they are.

        `give` takes the open file of one. What cannot go on there (TLS) is closed.
        """
        self._give = give
        self.stopping = True
        for connection in list(self.connections):
            if connection.handler is None and not connection.has_more:
                self._hand_on(connection)

    def hand_on_soon(self, connection: Channel) -> bool:
        """Have another process go on with a connection when what was written is sent; False where there is none."""
        if self._give is not None:
            asyncio.get_running_loop().call_soon(self._hand_on, connection)
        return self._give is not None

    def give(self, file: int) -> bool:
        """Have another process go on with a connection that has not come to this one; False where there is none."""
        if self._give is not None:
            self._give(file)
        return self._give is not None

    def _hand_on(self, connection: Channel) -> None:
        give, transport = self._give, connection.transport
        if transport.is_closing():
            return
        if connection.has_more:
            connection.go_on()
        elif give is None or connection.peer.secure or transport.get_write_buffer_size():
            transport.close()
        else:
            give(transport.get_extra_info("socket").fileno())
            transport.abort()  # closes our file only: the connection goes on by the other

    def keep_all(self) -> None:
        """Undo `hand_on_all`: connections go on here."""
        self._give = None
        self.stopping = False

    async def gone(self) -> None:
        """Wait until there are none."""
        while self.connections:
            self._all_gone.clear()
            await self._all_gone.wait()

    def abort(self) -> None:
        """Break off all that are left."""
        for connection in list(self.connections):
            connection.transport.abort()
