"""How are the hub, and Ollama's registry, asked by several downloads and people at once?

One client, and so one set of connections, for all who use the token that counts now; a client of its own for a token
that came with a request. What is asked is asked again when the hub is busy for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from claracore.core.pull.choice import NoSuchFile
from claracore.core.pull.found import FoundRepository
from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.ollama import REGISTRY_URL, REGISTRY_VARIABLE, parse_name
from claracore.core.pull.plan import Plan, plan
from claracore.core.pull.reference import HUB, HUB_HOSTS, Reference, parse
from claracore.errors import ClaraCoreError
from claracore.host.library.hub_errors import TransientFailure
from claracore.host.library.hub_tokens import HubToken, HubTokens

if TYPE_CHECKING:
    from claracore.core.cluster.wanted import HeadDoor
    from claracore.host.cluster.head_client import HeadClient
    from claracore.host.library.hub import HubClient
    from claracore.host.library.registry import RegistryClient

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
        self._registry: RegistryClient | None = None
        self._door: HeadDoor | None = None
        self._head: HeadClient | None = None
        self._former: list[HeadClient] = []
        self._opening = asyncio.Lock()

    async def look(
        self, text: str, *, projector: bool = True, token: HubToken | None = None
    ) -> tuple[Plan, list[RemoteFile]]:
        """Return which files a reference means, and all files that its repository has.

        Raises BadRequest, NotFound, Forbidden, HubUnreachable.
        """
        reference = parse(text, hosts=_hosts(self._environ, "HF_ENDPOINT", HUB))
        async with self.client(token) as hub:
            files = await self._patiently(lambda: hub.listing(reference))
            try:
                wanted = plan(reference, files, projector=projector)
            except NoSuchFile as error:
                raise NoSuchFile(error.message + await _others(hub, reference, files), param="ref") from error
            # The listing of a gated repository is open to everybody, and its files are not.
            await self._patiently(lambda: hub.admitted(reference, wanted.variant.files[0]))
            return wanted, files

    async def found(self, words: str, limit: int) -> list[FoundRepository]:
        """Return repositories that are called like this, the most used first.

        The hub is asked once only: somebody types. Raises HubUnreachable, BadRequest.
        """
        async with self.client(None) as hub:
            return await hub.found(words, limit)

    async def look_up(self, text: str) -> Plan:
        """Return which files a name of Ollama's library means. Raises as `look`."""
        name = parse_name(text, hosts=_hosts(self._environ, REGISTRY_VARIABLE, REGISTRY_URL))
        registry = await self._opened_registry()
        return await self._patiently(lambda: registry.plan(name))

    def is_on_hub(self, text: str) -> bool:
        """Whether a name as Ollama's clients write it means a repository of the hub (`hf.co/ORG/REPO`)."""
        word = text.strip().lower().removeprefix("https://").removeprefix("http://")
        hosts = {*HUB_HOSTS, *_hosts(self._environ, "HF_ENDPOINT", HUB)}
        return word.startswith("hf://") or word.partition("/")[0] in hosts

    @contextlib.asynccontextmanager
    async def client_for(self, reference: Reference, token: HubToken | None) -> AsyncIterator[HubClient]:
        """Give the client of the place where a reference is; raises as `client`."""
        if reference.source == "ollama":
            yield await self._opened_registry()
        elif reference.source == "head":
            yield await self._opened_head()
        else:
            async with self.client(token) as hub:
                yield hub

    async def use_head(self, door: HeadDoor | None) -> None:
        """Fetch what the head shares by this door from now on; None where there is no head."""
        async with self._opening:
            if door != self._door:
                self._door = door
                if self._head is not None:  # a transfer may be using it
                    self._former.append(self._head)
                    self._head = None

    async def _opened_head(self) -> HeadClient:
        from claracore.host.cluster.head_client import head_client  # noqa: PLC0415 - as in _client

        async with self._opening:
            if self._door is None:
                raise TransientFailure("the machine that shares it is not known (yet)")
            if self._head is None:
                self._head = await head_client(self._door)
            return self._head

    async def _opened_registry(self) -> RegistryClient:
        async with self._opening:
            registry = self._registry
            if registry is None:
                registry = self._registry = await asyncio.to_thread(_registry, self._environ)
        return registry

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
        for client in (self._shared, self._registry, self._head, *self._former):
            if client is not None:
                await client.aclose()
        self._shared = self._registry = self._head = None

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


def _registry(environ: Mapping[str, str]) -> RegistryClient:
    """Open a client of Ollama's registry, in a thread, as above."""
    from claracore.host.library.registry import RegistryClient  # noqa: PLC0415 - see above

    return RegistryClient(environ)


def _hosts(environ: Mapping[str, str], variable: str, usual: str) -> list[str]:
    """Return the names under which people write the hub, or the registry, that a variable names."""
    _scheme, _, rest = (environ.get(variable) or usual).strip().lower().partition("://")
    authority = rest.partition("/")[0]
    return [authority, authority.rpartition(":")[0]] if ":" in authority else [authority]
