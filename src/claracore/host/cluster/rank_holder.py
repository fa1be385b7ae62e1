"""How is a rank of a model had on another machine, and how is it known how it is there?

The head says once a second that it still wants the rank, and hears each time how it is. The machine ends what nobody
has asked for in `LEASE_SECONDS`, so that a head that dies leaves nothing behind; the head takes a rank for lost that it
has not heard of for less than that. One task a rank: a word that comes late cannot overtake the one that releases it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx2

from claracore.core.cluster.assembly import AssemblyEvent, RankGone, RankLost, RankReady, RankRefused
from claracore.core.config.routing import PeerConfig
from claracore.host.cluster.json_there import json_of
from claracore.host.cluster.polled import NewClient, client_of

logger = logging.getLogger("claracore.cluster")

AGAIN_SECONDS: Final = 1.0
CALL_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 5.0
"""A rank that was not heard of for so long is lost."""
LEASE_SECONDS: Final = 10.0
"""For so long a machine keeps a rank that nobody asks for."""
REACH_SECONDS: Final = 5.0
AT_ONCE_SECONDS: Final = 1.0
LONGEST_WHY: Final = 1000
_NOTHING_THERE: Final = frozenset({401, 403, 404})
"""Without our key nothing of ours is kept there: who leaves ends it at once, and nobody can ask for it any more."""


@dataclass(frozen=True, slots=True)
class RankWish:
    """A rank, as its machine is asked for it."""

    name: str
    """What it is called there."""
    model: str
    """The model of the head."""
    head: str
    """Names the head, over its restarts."""
    start: str
    """Names one start of the model."""
    entry: dict[str, Any]


class RankHolder:
    """Has one rank on one machine. `post` hears of it; `ports` gets the port that it was given there."""

    def __init__(
        self,
        rank: int,
        wish: RankWish,
        peer: PeerConfig,
        address: str,
        post: Callable[[AssemblyEvent], None],
        *,
        new_client: NewClient = client_of,
    ) -> None:
        self.port = 0
        """Where it listens, if it does; known when it is ready."""
        self._rank = rank
        self._wish = wish
        self._peer = peer
        self._address = address
        self._post = post
        self._new_client = new_client
        self._released = asyncio.Event()
        self._hurry = asyncio.Event()
        self._soon = asyncio.Event()
        self._lookers: list[asyncio.Future[None]] = []
        self._is_ready = self._is_over = self._is_silent = False
        self._heard_at = self._asked_at = 0.0

    @property
    def _path(self) -> str:
        return f"/api/node/ranks/{quote(self._wish.name, safe='')}"

    @property
    def is_released(self) -> bool:
        """Whether its end was ordered."""
        return self._released.is_set()

    @property
    def is_silent(self) -> bool:
        """Whether it is lost because its machine does not answer: its rank may run on there for as long as leased."""
        return self._is_silent

    def release(self, *, at_once: bool = False) -> None:
        """Have it end; `RankGone` follows, `at_once` without waiting for long until it is."""
        if at_once:
            self._hurry.set()
        self._released.set()
        self._soon.set()

    async def look(self) -> None:
        """Have it asked how it is now, and return when that has been heard, or could not be."""
        if not self._is_over and not self.is_released:
            looker = asyncio.get_running_loop().create_future()
            self._lookers.append(looker)
            self._soon.set()
            await looker

    def machine_lost(self, why: str) -> None:
        """Take in that its machine is lost, by whoever else looks at machines."""
        self._is_silent = True
        self._lose(f"it is lost{f': {why}' if why else ''}")

    async def run(self) -> None:
        """Have the rank there until it is released, and until it is gone then."""
        try:
            client = await self._new_client(self._peer)
        except OSError as error:  # it has another certificate, for one
            self._post(RankRefused(self._rank, error.strerror or str(error)))
            return
        async with client:
            if await self._begun(client):
                await self._kept(client)
                await self._ended(client)

    async def _kept(self, client: httpx2.AsyncClient) -> None:
        """Ask for it again and again until it is released."""
        try:
            while not self.is_released:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._soon.wait(), AGAIN_SECONDS)
                self._soon.clear()
                lookers, self._lookers = self._lookers, []
                if not self.is_released and not self._is_over:
                    await self._ask_again(client)
                _heard(lookers)
        except Exception:
            # A bug of ours must not leave a model that neither runs nor ends.
            logger.exception("rank %s: unexpected error", self._wish.name)
            self._lose("unexpected error; the head's log says more")
            await self._released.wait()
        finally:
            _heard(self._lookers)

    async def _begun(self, client: httpx2.AsyncClient) -> bool:
        """Ask for the first time; False when nothing was begun there."""
        self._heard_at = asyncio.get_running_loop().time()
        try:
            answer = await self._put(client, begin=True)
        except httpx2.ConnectError as error:
            self._post(RankRefused(self._rank, f"it cannot be reached: {error}"))
            return False
        except httpx2.HTTPError:
            return True  # it may have begun: it is asked again
        if not answer.is_success:
            self._post(RankRefused(self._rank, _refusal(answer, is_first=True)))
            return False
        await self._take(answer)
        return True

    async def _ask_again(self, client: httpx2.AsyncClient) -> None:
        try:
            answer = await self._put(client, begin=False)
        except httpx2.ConnectError as error:
            self._lose(f"it cannot be reached any more: {error}")
        except httpx2.HTTPError as error:
            silent = asyncio.get_running_loop().time() - self._heard_at
            if silent > SILENT_SECONDS:
                self._is_silent = True
                self._lose(f"no answer for {silent:.0f} s ({str(error) or type(error).__name__})")
        else:
            if answer.is_success:
                await self._take(answer)
            else:
                self._lose(_refusal(answer))

    async def _put(self, client: httpx2.AsyncClient, *, begin: bool) -> httpx2.Response:
        wish = self._wish
        body = {"begin": begin, "model": wish.model, "head": wish.head, "start": wish.start, "entry": wish.entry}
        self._asked_at = asyncio.get_running_loop().time()
        return await client.put(self._path, json={**body, "lease_seconds": LEASE_SECONDS}, timeout=CALL_SECONDS)

    async def _take(self, answer: httpx2.Response) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        try:
            said_of = json_of(answer)
            state, why, port = str(said_of["state"]), str(said_of["why"])[:LONGEST_WHY], int(said_of["port"] or 0)
        except (ValueError, KeyError, TypeError):
            self._lose("its answer cannot be read")
            return
        if state == "ended":
            self._lose(f"its rank ended: {why}" if why else "its rank ended")
        elif state == "ready" and not self._is_ready:
            await self._reached(port)

    async def _reached(self, port: int) -> None:
        """See that a rank that listens can be reached from here, before somebody fails with fewer words."""
        self._is_ready, self.port = True, port
        if port:
            try:
                async with asyncio.timeout(REACH_SECONDS):
                    _, writer = await asyncio.open_connection(self._address, port)
                writer.close()
            except (OSError, TimeoutError) as error:
                why = str(error) or "no answer"
                self._lose(f"its rank cannot be reached at {self._address} port {port} (a firewall?): {why}")
                return
        self._post(RankReady(self._rank))

    def _lose(self, why: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._post(RankLost(self._rank, why))

    async def _ended(self, client: httpx2.AsyncClient) -> None:
        """Have it end there; return when it is gone, or after a moment if it must be at once: its lease ends it too."""
        self._is_over = True
        deleting, hurry = asyncio.ensure_future(self._deleted(client)), asyncio.ensure_future(self._hurry.wait())
        await asyncio.wait({deleting, hurry}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({deleting}, timeout=AT_ONCE_SECONDS)
        for task in (deleting, hurry):
            task.cancel()
        await asyncio.gather(deleting, hurry, return_exceptions=True)
        self._post(RankGone(self._rank))

    async def _deleted(self, client: httpx2.AsyncClient) -> None:
        """Return when the machine says so, when it is dead, or when it has forgotten the rank or this head."""
        loop = asyncio.get_running_loop()
        patience = httpx2.Timeout(self._wish.entry["unloadTimeout"] + LEASE_SECONDS, connect=CALL_SECONDS)
        while loop.time() < self._asked_at + LEASE_SECONDS + CALL_SECONDS:
            try:
                answer = await client.delete(self._path, params={"start": self._wish.start}, timeout=patience)
            except httpx2.ConnectError:  # its ClaraCore is dead, and the kernel ends what it has started with it
                break
            except httpx2.HTTPError:
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                if answer.is_success or answer.status_code in _NOTHING_THERE:
                    break
                await asyncio.sleep(AGAIN_SECONDS)


def _heard(lookers: Iterable[asyncio.Future[None]]) -> None:
    for looker in lookers:
        if not looker.done():
            looker.set_result(None)


def _refusal(answer: httpx2.Response, *, is_first: bool = False) -> str:
    if answer.status_code in {401, 403}:
        return (
            "it does not let this head start anything there: join without --requests-only, or give its apiKey `admin`"
        )
    if is_first and answer.status_code in {404, 405}:
        return "its ClaraCore knows no ranks: it is older than this one"
    try:
        return str(json_of(answer)["error"]["message"])[:LONGEST_WHY]
    except (ValueError, KeyError, TypeError):
        return f"it answers {answer.status_code}"
