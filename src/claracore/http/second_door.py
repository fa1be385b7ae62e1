"""How is the address opened and closed on which clients of Ollama look for us?

It is a second way in to the same gateway: what our own address serves is served there. It follows the configuration,
and where somebody else has the port (Ollama itself, mostly) that is said and nothing else is disturbed; every reload of
the configuration tries again. On loopback it speaks plain HTTP also where our own address speaks TLS: those clients
know nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from claracore.core.ports.address import is_loopback
from claracore.core.ports.second import not_open
from claracore.host.logs.findings import log_findings
from claracore.host.sockets.front import opened_beside
from claracore.http.access.openness import warn_if_open

if TYPE_CHECKING:
    import socket

    from claracore.core.config.changes import Changes
    from claracore.core.ports.listen import Listen
    from claracore.host.supervisor.configuration import Configuration
    from claracore.host.supervisor.prepared import Prepared
    from claracore.http.access.keyring import KeyRing
    from claracore.http.server_options import Options
    from claracore.types import Finding

TLS_HANDSHAKE_SECONDS = 10.0
logger = logging.getLogger("claracore")


class SecondDoor:
    """A second address, or none."""

    def __init__(self, configuration: Configuration, options: Options, url: str, ring: KeyRing) -> None:
        """`url` is where ClaraCore is served anyway; `ring` has the keys that whoever comes in by this door needs."""
        self._configuration = configuration
        self.listen: Listen | None = None
        """Where it is open; None where it is not."""
        self.findings: tuple[Finding, ...] = ()
        """Why it could not be opened."""
        self._url = url
        self._options = options
        self._ring = ring
        self._connection: Callable[[], asyncio.Protocol] | None = None
        self._servers: list[asyncio.Server] = []
        self._turn = asyncio.Lock()
        self._closed = False
        self._taken: dict[Listen, list[socket.socket]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, connection: Callable[[], asyncio.Protocol]) -> None:
        """Open it, if it is wanted; `connection` makes the protocol of each client."""
        self._connection = connection
        await self._follow()

    def apply(self, prepared: Prepared, changes: Changes) -> None:
        """Nothing yet: `reloaded` comes after it, and also where nothing has changed."""

    async def reloaded(self) -> None:
        """Be open where the configuration in force says, and nowhere else, when this returns."""
        # To its end, also where nobody waits for it any more.
        task = asyncio.get_running_loop().create_task(self._follow(), name="second address")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task})

    async def _follow(self) -> None:
        async with self._turn:
            wanted, connection = self._configuration.now.plan.ollama, self._connection
            if wanted == self.listen and not self.findings:
                return
            self._shut()
            if wanted is None:
                self._drop_taken()
                self.findings = ()
            elif connection is not None and not self._closed:
                await self._open(wanted, connection)

    def given(self) -> list[int]:
        """Return the open files of its sockets, for another process to have them as well."""
        return [each.fileno() for server in self._servers for each in server.sockets]

    def take_over(self, listen: Listen, sockets: list[socket.socket]) -> None:
        """Use these sockets, which listen there already, if that is where it is to be open."""
        self._taken[listen] = sockets

    def close(self) -> None:
        """Take no more connections, for good."""
        self._closed = True
        self._shut()

    def _shut(self) -> None:
        for server in self._servers:
            server.close()
        if self.listen is not None and not self._closed:
            logger.info("clients of Ollama find ClaraCore on %s no more", self.listen)
        self._servers, self.listen = [], None

    async def _open(self, wanted: Listen, connection: Callable[[], asyncio.Protocol]) -> None:
        # It may have to find out who has the port.
        taken = self._taken.pop(wanted, None)
        self._drop_taken()
        sockets = taken if taken is not None else await asyncio.to_thread(opened_beside, wanted)
        if isinstance(sockets, str):
            self._note(not_open(wanted, sockets, self._url))
            return
        tls = None if all(is_loopback(host) for host in wanted.hosts) else self._options.tls
        timeout = TLS_HANDSHAKE_SECONDS if tls is not None else None
        for each in sockets:
            server = await asyncio.get_running_loop().create_server(
                connection, sock=each, backlog=2048, ssl=tls, ssl_handshake_timeout=timeout
            )
            self._servers.append(server)
        self.listen, self.findings = wanted, ()
        logger.info("clients of Ollama find ClaraCore on %s", wanted)
        warn_if_open(wanted, self._ring, self._options.rules)

    def _drop_taken(self) -> None:
        for sockets in self._taken.values():
            for each in sockets:
                each.close()
        self._taken.clear()

    def _note(self, finding: Finding) -> None:
        if self.findings != (finding,):
            log_findings((finding,))
        self.findings = (finding,)
