"""How are the peers, asked once a second?

One task a peer. A connection that is refused or reset is death; no answer in time, or none that can be read, is silence
(`core.cluster.watch` says what follows). An answer that is late is waited for: a slow machine would never answer who
hangs up and asks anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx2

from claracore.core.cluster.model import NodeEvent, NodeGone, NodeReport
from claracore.core.cluster.watch import (
    LOST_AFTER_SECONDS,
    Look,
    LookAnswered,
    LookMissed,
    LookRefused,
    Witness,
    WitnessOf,
    followed,
    looked,
    no_witness,
    unheard,
)
from claracore.core.config.routing import PeerConfig
from claracore.host.cluster.asking import Inquiry, NotUnderstood
from claracore.host.sockets.pinned import AnotherCertificate, pinned_context

logger = logging.getLogger("claracore.cluster")

HTTPS_PORT: Final = 443
EVERY_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 2.0
"""A node that takes longer to answer is silent, as is one to which there is no connection within that."""
LATE_SECONDS: Final = ANSWER_SECONDS + LOST_AFTER_SECONDS + 0.1
"""An answer that has not come by then is not waited for."""
_LATE: Final = f"no answer within {ANSWER_SECONDS:g} s"
_LIMITS: Final = httpx2.Limits(max_connections=2, max_keepalive_connections=1)

NewClient = Callable[[PeerConfig], Awaitable[httpx2.AsyncClient]]
"""Makes a client for a peer. Raises `OSError`."""


async def client_of(peer: PeerConfig) -> httpx2.AsyncClient:
    """Return a client for a peer: its own key, no proxy, no redirect. Raises `OSError` and `TimeoutError`."""
    key = (peer.api_key or "").strip()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    trusted: ssl.SSLContext | bool = True
    if peer.fingerprint:
        url = urlsplit(peer.proxy)
        trusted = await pinned_context(url.hostname or "", url.port or HTTPS_PORT, peer.fingerprint)
    return httpx2.AsyncClient(
        base_url=peer.proxy,
        headers=headers,
        timeout=httpx2.Timeout(LATE_SECONDS, connect=ANSWER_SECONDS),
        limits=_LIMITS,
        trust_env=False,
        verify=trusted,
    )


class _Asker:
    """Asks one peer; its client is made as soon as that is possible."""

    def __init__(self, peer: PeerConfig, new_client: NewClient) -> None:
        self._peer = peer
        self._new_client = new_client
        self._client: httpx2.AsyncClient | None = None
        self._inquiry: Inquiry | None = None

    async def report(self) -> NodeReport:
        """Return what it says now. Raises what `Inquiry` and `NewClient` raise."""
        if self._inquiry is None:
            self._client = await self._new_client(self._peer)
            self._inquiry = Inquiry(self._client)
        return await self._inquiry.report()

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.aclose()


class PolledPeers:
    """A `Membership` of peers that are asked how they are."""

    def __init__(self, witness_of: WitnessOf = no_witness, new_client: NewClient = client_of) -> None:
        self._witness_of = witness_of
        self._new_client = new_client
        self._peers: Mapping[str, PeerConfig] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._events: asyncio.Queue[NodeEvent] = asyncio.Queue()

    async def follow(self) -> AsyncIterator[NodeEvent]:
        """Give what becomes of nodes, as it happens. Only one may follow; nobody is asked any more when it ends."""
        try:
            while True:
                yield await self._events.get()
        finally:
            await self._end(list(self._tasks))

    def reconfigure(self, peers: Mapping[str, PeerConfig]) -> None:
        """Ask these from now on, by name; one whose address or key is another begins anew."""
        now = asyncio.get_running_loop().time()
        for name in [name for name in self._tasks if not _same(self._peers.get(name), peers.get(name))]:
            self._tasks.pop(name).cancel()
            self._wake.pop(name, None)
            self._events.put_nowait(NodeGone(name, now))
        self._peers = dict(peers)
        for name, peer in peers.items():
            if name not in self._tasks:
                self._wake[name] = asyncio.Event()
                self._tasks[name] = asyncio.create_task(self._ask(name, peer), name=f"follow peer {name}")

    def look_soon(self, node: str) -> None:
        """Look at a node now instead of at its time."""
        if (wake := self._wake.get(node)) is not None:
            wake.set()

    async def _ask(self, name: str, peer: PeerConfig) -> None:
        loop, wake = asyncio.get_running_loop(), self._wake[name]
        node = unheard(name, loop.time())
        asker = _Asker(peer, self._new_client)
        try:
            while True:
                async for look in _looks(asker, wake):
                    witness = self._witness_of(name) if isinstance(look, LookMissed) else Witness.NONE
                    for event in looked(node, look, loop.time(), witness):
                        node = followed(node, event)
                        self._events.put_nowait(event)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), EVERY_SECONDS)
                wake.clear()
        finally:
            await asker.close()

    async def _end(self, names: list[str]) -> None:
        tasks = [self._tasks.pop(name) for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def why_unreachable(peer: PeerConfig) -> str | None:
    """Say why a peer does not answer; None when it does."""
    asker = _Asker(peer, client_of)
    try:
        look = await _look(asker)
    finally:
        await asker.close()
    return None if isinstance(look, LookAnswered) else look.why


def _same(former: PeerConfig | None, present: PeerConfig | None) -> bool:
    def address(peer: PeerConfig) -> tuple[str, str | None, str]:
        return peer.proxy, peer.api_key, peer.fingerprint

    return former is not None and present is not None and address(former) == address(present)


async def _looks(asker: _Asker, wake: asyncio.Event) -> AsyncIterator[Look]:
    """Give what comes of one look: first that the answer is late, if it is, then the answer or that there is none.

    Who is to be looked at soon while its answer is late is asked anew.
    """
    asked, woken = asyncio.create_task(_look(asker, LATE_SECONDS)), asyncio.create_task(wake.wait())
    try:
        await asyncio.wait((asked,), timeout=ANSWER_SECONDS)
        if not asked.done():
            yield LookMissed(_LATE, is_late=True)
            await asyncio.wait((asked, woken), return_when=asyncio.FIRST_COMPLETED)
        yield asked.result() if asked.done() else LookMissed(_LATE)
    finally:
        for task in (asked, woken):
            task.cancel()
        await asyncio.gather(asked, woken, return_exceptions=True)


async def _look(asker: _Asker, seconds: float = ANSWER_SECONDS) -> Look:
    try:
        async with asyncio.timeout(seconds):
            return LookAnswered(await _twice(asker))
    except NotUnderstood as error:
        return LookMissed(str(error))
    except (TimeoutError, httpx2.TimeoutException):
        return LookMissed(_LATE)
    except httpx2.ConnectError as error:
        reset = _reset_in(error)
        return LookMissed(str(error)) if reset is None else LookRefused(reset.strerror or str(error))
    except AnotherCertificate as error:
        return LookMissed(error.strerror or str(error))
    except ConnectionError as error:
        return LookRefused(error.strerror or str(error))
    except OSError as error:  # TLS, for one
        return LookMissed(error.strerror or str(error))
    except httpx2.NetworkError as error:
        return LookRefused(str(error) or "it broke off the connection")
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        return LookMissed(str(error) or type(error).__name__)
    except Exception:
        logger.exception("a peer could not be asked")
        return LookMissed("it could not be asked; the log says more")


async def _twice(asker: _Asker) -> NodeReport:
    """Ask again where a kept connection was closed meanwhile: only a new one tells whether somebody listens."""
    try:
        return await asker.report()
    except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        if isinstance(error, httpx2.ConnectError):
            raise
        return await asker.report()


def _reset_in(error: BaseException | None) -> ConnectionError | None:
    """Return what says that nobody listens there: a name that is not known, or no route, says nothing of it."""
    while error is not None:
        if isinstance(error, ConnectionError):
            return error
        if isinstance(error, ExceptionGroup):
            return next((found for inner in error.exceptions if (found := _reset_in(inner)) is not None), None)
        error = error.__cause__ or error.__context__
    return None
