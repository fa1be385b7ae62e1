"""How is the hub asked by several downloads and people at once?

One client, and so one set of connections, for all who use the token that counts now; a client of its own for a token
that came with a request. What is asked is asked again when the hub is busy for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from claracore.core.pull.choice import NoSuchFile
from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.plan import Plan, plan
from claracore.core.pull.reference import HUB, Reference, parse
from claracore.errors import ClaraCoreError
from claracore.host.library.hub_errors import TransientFailure
from claracore.host.library.hub_tokens import HubToken, HubTokens

if TYPE_CHECKING:
    from claracore.host.library.hub import HubClient

MOST_TRIES: Final = 3
"""Times that the hub is asked what it has, when it is busy."""
PATIENCE_SECONDS: Final = 10
"""A longer pause is not waited for: somebody waits for the answer."""

T = TypeVar("T")
Wait = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""


class HubAccess:
    """The way to the hub that HF_ENDPOINT in `environ` names; opened when it is first needed. Close it with `close`."""

    def __init__(self, environ: Mapping[str, str], tokens: HubTokens, *, wait: Wait = asyncio.sleep) -> None:
        self.tokens = tokens
        self.wait = wait
        self._environ = environ
        self._shared: HubClient | None = None
        self._opening = asyncio.Lock()

    async def look(
        self, text: str, *, projector: bool = True, token: HubToken | None = None
    ) -> tuple[Plan, list[RemoteFile]]:
        """Return which files a reference means, and all files that its repository has.

        Raises BadRequest, NotFound, Forbidden, HubUnreachable.
        """
        reference = parse(text, hosts=_hosts(self._environ))
        async with self.client(token) as hub:
            files = await self._patiently(lambda: hub.listing(reference))
            try:
                wanted = plan(reference, files, projector=projector)
            except NoSuchFile as error:
                raise NoSuchFile(error.message + await _others(hub, reference, files), param="ref") from error
            # The listing of a gated repository is open to everybody, and its files are not.
            await self._patiently(lambda: hub.admitted(reference, wanted.variant.path))
            return wanted, files

    @contextlib.asynccontextmanager
    async def client(self, token: HubToken | None) -> AsyncIterator[HubClient]:
        """Give a client that presents `token`; None stands for the one that counts at each request.

        Raises BadRequest for an HF_ENDPOINT that is no address.
        """
        if token is not None:
            own = await asyncio.to_thread(_client, self._environ, lambda: token)
            try:
                yield own
            finally:
                await own.aclose()
            return
        async with self._opening:
            shared = self._shared
            if shared is None:
                shared = self._shared = await asyncio.to_thread(_client, self._environ, self.tokens.find)
        yield shared

    async def close(self) -> None:
        """Close the connections."""
        if self._shared is not None:
            await self._shared.aclose()
            self._shared = None

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        for attempt in range(1, MOST_TRIES):
            try:
                return await ask()
            except ClaraCoreError as error:
                pause = error.retry_after_seconds if error.retry_after_seconds is not None else attempt
                if not isinstance(error, TransientFailure) or pause > PATIENCE_SECONDS:
                    raise
                await self.wait(pause)
        return await ask()


async def _others(hub: HubClient, reference: Reference, files: Sequence[RemoteFile]) -> str:
    """Return words about repositories that have files for us, when this one has none."""
    if any(file.path.lower().endswith(".gguf") for file in files):
        return ""
    with contextlib.suppress(ClaraCoreError):
        near = [repo for repo in await hub.search(reference.repo.partition("/")[2]) if repo != reference.repo]
        return f"; others have: {', '.join(near)}" if near else ""
    return ""


def _client(environ: Mapping[str, str], token: Callable[[], HubToken | None]) -> HubClient:
    """Open a client of the hub, in a thread: importing the library and reading certificates takes 0.25 s."""
    from claracore.host.library.hub import HubClient  # noqa: PLC0415 - see above

    return HubClient(environ, token)


def _hosts(environ: Mapping[str, str]) -> list[str]:
    """Return the names under which people write the hub that HF_ENDPOINT names."""
    _scheme, _, rest = (environ.get("HF_ENDPOINT") or HUB).strip().lower().partition("://")
    authority = rest.partition("/")[0]
    return [authority, authority.rpartition(":")[0]] if ":" in authority else [authority]
