"""Is who answers at a model's endpoint the server that we started, and still the very one that was verified?

`OwnerCheck.verify` is asked when a server is first ready and whenever something has changed: who has the listening
sockets, by process (`sockets.owner`, ~0.5 ms). `reaches` is asked of every new connection, once it is open and before a
byte is sent: are the same sockets listening as when they were verified (~30 us)? A socket is known by its inode, which
it keeps while it listens and which no other gets. So a connection that is open while the verified socket listens, and
no other, was accepted by that one: the kernel lets nobody else listen beside it, unless both set SO_REUSEPORT, and that
is taken away from both when the port is sealed. A server that sets it and listens on all addresses of both families
cannot be sealed; there it is waited for who has accepted the connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from claracore.errors import too_many_files
from claracore.host.sockets.bound import BoundSocket
from claracore.host.sockets.kernel import other_end
from claracore.host.sockets.owner import Ownership, is_open_in, listeners_on
from claracore.host.sockets.unix import listener_pid, listening_at, peer_pid, unix_listener_of
from claracore.types import Endpoint

Seal = Callable[[frozenset[BoundSocket]], bool]
"""Keeps others from joining these sockets; whether it could."""

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.001, 0.064
"""Between two looks whether a connection is accepted, where only that tells by whom."""


class Stranger(Exception):
    """Somebody else answers at the endpoint; `args` says who."""


class OwnerCheck:
    """Who answers at one endpoint, for one run of a model's server."""

    def __init__(
        self,
        endpoint: Endpoint,
        pid: int,
        *,
        look: Callable[[], Ownership],
        seal: Seal,
        take: Callable[[Ownership], None],
        hint: str = "",
    ) -> None:
        """Check `endpoint`, where the process `pid` or who belongs to it is to answer.

        `look` says who does; `take` is called with the verdict that is accepted; `hint` is added to what is said of a
        stranger.
        """
        self.endpoint = endpoint
        self._pid = pid
        self._look = look
        self._seal = seal
        self._take = take
        self._hint = hint
        self._listeners: frozenset[BoundSocket] | None = None
        self._unix_listener: int | None = None
        self._unix_sockets: frozenset[int] | None = None
        self._sealed = True

    def verify(self) -> bool:
        """Look who has the listening sockets, keep others from joining, and remember the sockets.

        False when nobody answers, or nobody yet. Raises Stranger for somebody else.
        """
        if self.endpoint.unix_path is not None:
            path = Path(self.endpoint.unix_path)
            self._unix_listener = unix_listener_of(path, self._pid)
            self._unix_sockets = listening_at(path)
            return self._unix_listener is not None
        verdict = self._judge()
        if verdict.ours:
            # Whoever joined before the port was sealed is seen by looking once more.
            self._sealed = self._seal(verdict.listeners)
            verdict = self._judge()
        self._listeners = verdict.listeners if verdict.ours else None
        if verdict.ours:
            self._take(verdict)
        return verdict.ours

    def _judge(self) -> Ownership:
        verdict = self._look()
        if not verdict.ours and verdict.owner is not None:
            raise Stranger(verdict.note + self._hint)
        return verdict

    def unchanged(self) -> bool:
        """Whether the sockets that were verified, and no others, are listening now.

        Raises OSError when too many files are open to look.
        """
        if self.endpoint.unix_path is not None:
            return self._unix_listener is not None and self._unix_unchanged(Path(self.endpoint.unix_path))
        return listeners_on(self.endpoint.port, self.endpoint.host) == self._listeners

    @property
    def sees_listener(self) -> bool:
        """Whether there is a socket that tells whether the server is there: not where the kernel forwards packets."""
        return self.endpoint.unix_path is not None or bool(self._listeners)

    def _unix_unchanged(self, path: Path) -> bool:
        if self._unix_sockets:
            return listening_at(path) == self._unix_sockets
        return listener_pid(path) == self._unix_listener  # it is told nowhere else, or bound by another name

    async def reaches(self, connection: socket.socket) -> bool:
        """Whether a connection that was opened since `verify` can have reached nobody but the verified server.

        Raises OSError when too many files are open to look.
        """
        try:
            if self.endpoint.unix_path is not None:
                return self._unix_listener is not None and peer_pid(connection) == self._unix_listener
            return self.unchanged() and (self._sealed or await self._has_accepted(connection))
        except (OSError, ValueError) as error:  # it is over; uvloop's stand-in for a socket says ValueError then
            if too_many_files(error):
                raise
            return False

    async def _has_accepted(self, connection: socket.socket) -> bool:
        """Wait until the connection is accepted; whether it was by the server's processes.

        However long that takes: one that computes may accept nobody meanwhile, as behind a port that is sealed.
        """
        pause = PAUSE_SECONDS
        while not (inode := other_end(connection)):  # which fails when the connection is over
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        return is_open_in(self._pid, inode)


class SocketWatch:
    """Sees to it that a verified server goes on listening, and says once when it does not."""

    def __init__(
        self,
        check: OwnerCheck,
        *,
        is_ready: Callable[[], Awaitable[bool]],
        is_ending: Callable[[], Awaitable[bool]],
        on_lost: Callable[[str], None],
    ) -> None:
        """Watch who `check` has verified.

        `is_ready` asks the server's check endpoint; `is_ending` tells whether its process has died or was told to end,
        which explains everything; `on_lost` is called with why the server is lost.
        """
        self._check = check
        self._is_ready = is_ready
        self._is_ending = is_ending
        self._on_lost = on_lost
        self._looking: asyncio.Task[bool] | None = None
        self.lost = False
        """Whether nobody, or somebody else, answers although the process runs; for good."""

    async def reaches(self, connection: socket.socket) -> bool:
        """Whether a connection opened just now can have reached nobody but the verified server (~30 us).

        Raises OSError when too many files are open to look.
        """
        return not self.lost and await self._check.reaches(connection)

    async def confirm(self, *, in_passing: bool = False) -> bool:
        """Look anew at who answers: True when it is the verified server, or one that is ours as well and ready.

        `in_passing`: nobody has failed to reach it, so that an endpoint without a listener is not tried.
        """
        if self.lost:
            return False
        try:
            if self._check.unchanged() and (in_passing or self._check.sees_listener):
                return True
        except OSError:
            return True  # too many files are open to look; none can be opened to connect, either
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_anew(), name="look who listens")
            self._looking.add_done_callback(self._looked)
        return await asyncio.shield(self._looking)

    def _looked(self, _: asyncio.Task[bool]) -> None:
        self._looking = None

    async def _look_anew(self) -> bool:
        why = f"its server no longer listens on {self._check.endpoint}"
        try:
            if self._check.verify() and await self._is_ready() and self._check.unchanged():
                return True
        except Stranger as error:
            why = str(error)
        except OSError:
            return True  # too many files are open to look
        if not await self._is_ending():
            self.lost = True
            self._on_lost(why)
        return False
