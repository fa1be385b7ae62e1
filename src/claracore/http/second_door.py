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

if TYPE_CHECKING:
    import ssl

    from claracore.core.ports.listen import Listen
    from claracore.types import Finding

TLS_HANDSHAKE_SECONDS = 10.0
logger = logging.getLogger("claracore")


class SecondDoor:
    """A second address, or none."""

    def __init__(self, url: str, tls: ssl.SSLContext | None) -> None:
        """`url` is where ClaraCore is served anyway, in whichever way `tls` says."""
        self.listen: Listen | None = None
        """Where it is open; None where it is not."""
        self.findings: tuple[Finding, ...] = ()
        """Why it could not be opened."""
        self._url = url
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._turn = asyncio.Lock()
        self._closed = False

    async def follow(self, wanted: Listen | None, connection: Callable[[], asyncio.Protocol]) -> None:
        """Be open on this address and no other; `connection` makes the protocol of each client."""
        async with self._turn:
            if wanted == self.listen and not self.findings:
                return
            self._shut()
            if wanted is None:
                self.findings = ()
            elif not self._closed:
                await self._open(wanted, connection)

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
        sockets = await asyncio.to_thread(opened_beside, wanted)  # it may have to find out who has the port
        if isinstance(sockets, str):
            self._note(not_open(wanted, sockets, self._url))
            return
        tls = None if all(is_loopback(host) for host in wanted.hosts) else self._tls
        timeout = TLS_HANDSHAKE_SECONDS if tls is not None else None
        for each in sockets:
            server = await asyncio.get_running_loop().create_server(
                connection, sock=each, backlog=2048, ssl=tls, ssl_handshake_timeout=timeout
            )
            self._servers.append(server)
        self.listen, self.findings = wanted, ()
        logger.info("clients of Ollama find ClaraCore on %s", wanted)

    def _note(self, finding: Finding) -> None:
        if self.findings != (finding,):
            log_findings((finding,))
        self.findings = (finding,)
