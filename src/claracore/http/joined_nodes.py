"""Which machines have joined this one, and how is another one invited, taken in, drained or forgotten?

The head's side. What is known is in `nodes.json`; what follows from a change (peers, places) is done here. That a
machine may be reached is tried before it is taken in.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from claracore.core.cluster.invitation import (
    GOOD_FOR_SECONDS,
    SECRET_BYTES,
    JoinLine,
    Versions,
    differences,
    firewall_line,
    is_node_name,
    network_of,
)
from claracore.core.cluster.joined import JoinedNode, NameTaken, NotInvited, Remembered, digest_of_secret, peer_of
from claracore.core.cluster.ray_ports import firewall_ports
from claracore.core.ports.address import is_loopback
from claracore.core.ports.listen import bracketed
from claracore.errors import BadRequest, Conflict, Forbidden, NotFound
from claracore.host.cluster.addresses import address_of, own_address
from claracore.host.cluster.join_exchange import Welcome
from claracore.host.cluster.nodes_file import NodesFile
from claracore.host.cluster.shared_files import SharedFiles
from claracore.host.cluster.versions import own_versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from claracore.http.api.parts import Installation, Runtime
    from claracore.http.ray_here import RayHere

logger = logging.getLogger("claracore.cluster")


class NotInvitedHere(Forbidden):
    """The secret of an invitation is not good, or not any more; 403."""

    def __init__(self) -> None:
        super().__init__(
            "this invitation is used up, older than 15 minutes, or was never made: make one (`claracore nodes invite`)"
        )


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a person needs who lets another machine join."""

    line: str
    expires_at: float
    """Unix seconds."""
    advice: tuple[str, ...]


class JoinedNodes:
    """The machines that have joined."""

    def __init__(self, file: NodesFile, ray: RayHere, runtime: Runtime, installation: Installation) -> None:
        self.file = file
        self.files = SharedFiles()
        """What machines that have joined may fetch."""
        self._ray = ray
        self._configuration = runtime.configuration
        self._machines = runtime.machines
        self._installation = installation
        self._nodes: tuple[JoinedNode, ...] = ()

    async def begin(self, known: Remembered) -> None:
        """Follow the machines that joined before this start, and run Ray where it ran."""
        await self._act(known)
        if known.expects(time.time()):
            await self._ray.be_head(known)

    async def _act(self, remembered: Remembered) -> None:
        self._machines.drained = remembered.drained
        self.files.secrets = {node.name: node.secret for node in remembered.nodes if node.secret}
        if remembered.nodes != self._nodes:
            self._nodes = remembered.nodes
            await self._configuration.nodes_joined(remembered.nodes)

    async def _changed(self, edit: Callable[[Remembered], Remembered]) -> Remembered:
        await asyncio.to_thread(self.file.change, edit)
        known = self.file.load()  # of two changes at once the second may be heard of first
        await self._act(known)
        return known

    # --- in ----------------------------------------------------------------------------------------------------------

    async def invite(self, address: str = "") -> Invitation:
        """Return a line with which one machine may join within a quarter of an hour; `address` is ours for it.

        Raises BadRequest where there is no address that would do, FileUnusable, DiskFull.
        """
        listen, fingerprint = self._installation.listen, self._installation.fingerprint
        host = await asyncio.to_thread(lambda: address_of(address) if address else own_address(listen))
        secret, until = secrets.token_urlsafe(SECRET_BYTES), time.time() + GOOD_FOR_SECONDS
        digest, now = digest_of_secret(secret), time.time()
        known = await asyncio.to_thread(
            self.file.change, lambda was: was.invited(digest, until, now, host, secrets.token_hex(8))
        )
        access = await self._ray.be_head(known)
        scheme = "https" if fingerprint else "http"
        line = JoinLine(f"{scheme}://{bracketed(address or host)}:{listen.port}", secret, fingerprint)
        ports = f"{listen.port}, {firewall_ports(self._ray.ports)}" if access.gcs else str(listen.port)
        advice = [f"firewall here: {firewall_line(network_of(host), ports)}"]
        if all(map(is_loopback, listen.hosts)):
            advice.insert(
                0,
                f"this server listens on {listen}, which only this machine reaches: serve others with --listen :5800",
            )
        if not fingerprint:
            advice.append(
                "without --tls-cert everything between the machines, keys too, can be read in the network: use a "
                "tunnel (WireGuard, Tailscale), or a network that you trust"
            )
        return Invitation(f"claracore join {line}", until, tuple(advice))

    async def has_invited(self, secret: str) -> bool:
        """Whether an invitation is this machine's own, and still good."""
        known = await asyncio.to_thread(self.file.load)
        return known.is_invited(digest_of_secret(secret), time.time())

    async def admit(self, secret: str, versions: Versions, node: JoinedNode | None) -> Welcome:
        """Take a node in, or say (None) whether it may come. Raises Forbidden, Conflict or BadRequest."""
        digest = digest_of_secret(secret)
        if not await self.has_invited(secret):
            raise NotInvitedHere
        known = await asyncio.to_thread(self.file.load)
        access = await self._ray.be_head(known)
        own = own_versions()
        if wrong := differences(own if access.gcs else replace(own, ray=""), versions):
            raise Conflict("; ".join(wrong))
        if node is None:
            return Welcome("")
        await self._check(node)
        taken = self._configuration.now.own.peers.keys() | self._configuration.now.own.selectors.keys()
        node = replace(node, secret=secrets.token_urlsafe(SECRET_BYTES))
        try:
            known = await self._changed(lambda known: known.joined(digest, node, time.time(), taken))
        except NotInvited as error:
            raise NotInvitedHere from error
        except NameTaken as error:
            raise Conflict(str(error)) from error
        logger.info("machine %s has joined: %s", node.name, node.url)
        return Welcome(node.name, access.gcs, access.token, node.secret, known.cluster, access.tls)

    async def _check(self, node: JoinedNode) -> None:
        """Raise BadRequest for a node that cannot be one."""
        from claracore.host.cluster.polled import why_unreachable  # noqa: PLC0415 - its client of HTTP takes a while

        if not is_node_name(node.name):
            raise BadRequest(f"{node.name!r} is no name for a machine: letters, digits, '.', '_' and '-'", param="name")
        try:
            url = urlsplit(node.url)
            is_whole = url.scheme in {"http", "https"} and bool(url.hostname) and url.port is not None
        except ValueError:
            is_whole = False
        if not is_whole:
            raise BadRequest(f"{node.url!r} is no address of a machine", param="url")
        await asyncio.to_thread(address_of, url.hostname or "")
        if (why := await why_unreachable(peer_of(node))) is not None:
            port = url.port or 0
            raise BadRequest(
                f"{node.url} does not answer the head: {why}. Is its port open there? "
                + firewall_line(network_of(await asyncio.to_thread(address_of, url.hostname or "")), str(port))
            )

    # --- out ---------------------------------------------------------------------------------------------------------

    async def forget(self, name: str) -> str:
        """Have a machine that has joined be none of ours; return why it could not be told, nothing when it was.

        Raises NotFound, Conflict, FileUnusable, DiskFull.
        """
        from claracore.host.cluster.parting import tell_forgotten  # noqa: PLC0415 - its client of HTTP takes a while

        known = await asyncio.to_thread(self.file.load)
        node = next((node for node in known.nodes if node.name == name), None)
        if node is None:
            if name in self._configuration.now.own.peers:
                raise Conflict(f"{name!r} is a peer of the configuration: take it out there")
            raise NotFound(f"there is no machine {name!r}")
        untold = await tell_forgotten(node)
        await self._changed(lambda known: known.forgot(name))
        logger.info("machine %s is forgotten%s", name, f"; it could not be told: {untold}" if untold else "")
        return untold

    @property
    def gives_ray_token(self) -> bool:
        """Whether a machine that has joined has had Ray's token, and may have copied it."""
        return self._ray.control.gives_token

    async def knows(self, secret: str) -> tuple[bool, str]:
        """Return whether a machine has joined that has this secret, and the name of what is remembered here.

        Raises FileUnusable: who cannot remember does not say that it knows nobody.
        """
        known = await asyncio.to_thread(self.file.load)
        return known.of_digest(digest_of_secret(secret)) is not None, known.cluster

    async def certified(self, secret: str, request: str) -> tuple[str, str]:
        """Return a certificate for the Ray of a machine, by its secret, and the authority's, as PEM.

        It is for the address under which we know the machine. Raises NotFound, BadRequest, FileUnusable, OSError.
        """
        known = await asyncio.to_thread(self.file.load)
        node = known.of_digest(digest_of_secret(secret))
        if node is None:
            raise NotFound("no machine that has joined has this secret")
        address = await asyncio.to_thread(address_of, urlsplit(node.url).hostname or "")
        await self._ray.be_head(known)
        return await self._ray.control.certified(request, address)

    async def was_left(self, secret: str) -> None:
        """Take in that a machine, by its secret, has left. Raises NotFound, FileUnusable, DiskFull."""
        known = await asyncio.to_thread(self.file.load)
        node = known.of_digest(digest_of_secret(secret))
        if node is None:
            raise NotFound("no machine that has joined has this secret")
        await self._changed(lambda known: known.forgot(node.name))
        logger.info("machine %s has left", node.name)

    async def drain(self, name: str, *, drained: bool) -> None:
        """Send a machine no new requests, or some again; what is with it ends there. Raises NotFound."""
        if name not in self._machines.cluster.peers:
            raise NotFound(f"there is no machine {name!r} that is followed")
        await self._changed(lambda known: known.drain(name, drained=drained))
