"""How does this machine join another one?

The node's side. Versions are compared first; then the head gets a key of its own here: for using the models, reading
the state and, unless it is to have requests answered only, for giving this machine models of its own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from claracore.core.cluster.invitation import firewall_line, is_node_name, network_of, node_name, read_line
from claracore.core.cluster.joined import HeadOfNode, JoinedNode
from claracore.core.ports.listen import bracketed
from claracore.errors import BadRequest, ClaraCoreError
from claracore.host.cluster.addresses import address_of, own_address
from claracore.host.cluster.versions import own_versions
from claracore.http.access.keys import Right

if TYPE_CHECKING:
    from claracore.http.access.keyring import KeyRing
    from claracore.http.access.named_keys import NamedKeys
    from claracore.http.api.parts import Installation
    from claracore.http.joined_nodes import JoinedNodes
    from claracore.http.own_head import OwnHead
    from claracore.http.part_door import PartDoor

logger = logging.getLogger("claracore.cluster")

OWN_KEY: Final = "made when this machine joined"
"""The name of the key that is made where there was none: from the first key on every call needs one."""


@dataclass(frozen=True, slots=True)
class HasJoined:
    """What came of it."""

    name: str
    """What this machine is called on the head."""
    head: str
    admin_key: str
    """A key that was made because there was none; empty where there was."""
    advice: tuple[str, ...]


class Joiner:
    """Joins another machine."""

    def __init__(
        self,
        joined: JoinedNodes,
        own_head: OwnHead,
        installation: Installation,
        ring: KeyRing,
        keys: NamedKeys,
        *,
        door: PartDoor,
    ) -> None:
        """`door` is where the head's part of the configuration comes in."""
        self._joined = joined
        self._own_head = own_head
        self._installation = installation
        self._ring = ring
        self._keys = keys
        self._door = door

    async def join(self, text: str, *, name: str = "", address: str = "", requests_only: bool = False) -> HasJoined:
        """Join the machine that a line names, as `name`, reached at `address`. Raises BadRequest, changing nothing.

        With `requests_only` that machine may use the models of this one, and change nothing here.
        """
        from claracore.host.cluster.join_exchange import ask_head  # noqa: PLC0415 - its client of HTTP takes a while

        try:
            line = read_line(text)
        except ValueError as error:
            raise BadRequest(str(error), param="line") from error
        if await self._joined.has_invited(line.secret):
            raise BadRequest("this is the machine that has invited: type the line on the other one", param="line")
        name = name or node_name(socket.gethostname())
        if not is_node_name(name):
            raise BadRequest(f"{name!r} is no name for a machine: letters, digits, '.', '_' and '-'", param="name")
        head_host = await asyncio.to_thread(address_of, urlsplit(line.url).hostname or "")
        own = await asyncio.to_thread(self._own_address, address, head_host)
        versions = own_versions()
        await ask_head(line, versions, None)
        admin_key, key_name = await self._own_key(), f"head {head_host.replace(':', '.')} {secrets.token_hex(3)}"
        rights = [Right.INFERENCE, Right.READ, *([] if requests_only else [Right.NODE])]
        key, _ = await self._keys.add(key_name, rights, models=None, expires_at=None)
        node = JoinedNode(name, self._url(own), key, self._installation.fingerprint)
        try:
            welcome = await ask_head(line, versions, node)
        except ClaraCoreError:
            await self._keys.remove(key_name)
            if admin_key:
                await self._keys.remove(OWN_KEY)
            raise
        former = self._own_head.head
        more = (own, welcome.gcs, welcome.secret, welcome.cluster, welcome.ray_tls)
        await self._own_head.joined(
            HeadOfNode(line.url, line.fingerprint, key_name, welcome.name, *more), welcome.ray_token
        )
        if requests_only or (former is not None and former.url != line.url):
            await self._door.remove()  # what another head, or this one in former times, has given
        logger.info("this machine is %s of %s now", welcome.name, line.url)
        advice = firewall_line(network_of(own), str(self._installation.listen.port))
        return HasJoined(welcome.name, line.url, admin_key, (f"firewall here: {advice}",))

    def _own_address(self, given: str, head_host: str) -> str:
        return address_of(given) if given else own_address(self._installation.listen, head_host)

    def _url(self, own: str) -> str:
        scheme = "https" if self._installation.fingerprint else "http"
        return f"{scheme}://{bracketed(own)}:{self._installation.listen.port}"

    async def _own_key(self) -> str:
        """Make a key for whoever administers this machine, if there is none at all; return it."""
        if self._ring.any:
            return ""
        made, _ = await self._keys.add(OWN_KEY, [Right.ADMIN, Right.INFERENCE], models=None, expires_at=None)
        return made
