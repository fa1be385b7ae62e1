"""Which machines have joined this one, and how is another one invited, taken in, drained or forgotten?

The head's side. What is known is in `nodes.json`; what follows from a change (peers, places) is done here. That a
machine may be reached is tried before it is taken in.
"""

from __future__ import annotations

import asyncio
import hashlib
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
from claracore.core.cluster.joined import (
    HeadOfNode,
    JoinedNode,
    NameTaken,
    NotInvited,
    Remembered,
    peer_of,
    secret_for_files,
)
from claracore.core.cluster.ray_words import firewall_ports
from claracore.core.config.program import ClusterConfig
from claracore.core.ports.address import is_loopback
from claracore.core.ports.listen import bracketed
from claracore.errors import BadRequest, Conflict, Forbidden, NotFound
from claracore.host.cluster.addresses import address_of, own_address
from claracore.host.cluster.join_exchange import Welcome
from claracore.host.cluster.nodes_file import NodesFile
from claracore.host.cluster.ray_control import RayAccess, RayControl
from claracore.host.cluster.shared_files import SharedFiles
from claracore.host.cluster.versions import own_versions
from claracore.host.store.files import FileUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from claracore.http.api.parts import Installation, Runtime

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

    def __init__(self, file: NodesFile, runtime: Runtime, installation: Installation) -> None:
        self.file = file
        self.files = SharedFiles()
        """What machines that have joined may fetch."""
        self._configuration = runtime.configuration
        self._machines = runtime.machines
        self._installation = installation
        self._nodes: tuple[JoinedNode, ...] = ()
        self.head: HeadOfNode | None = None
        """The machine that this one has joined."""
        self._ray = RayControl(installation.state_dir, runtime.configuration.environ, self._machines.cluster.witnessed)

    async def begin(self) -> None:
        """Follow the machines that joined before this start, and run Ray where it ran."""
        try:
            known = await asyncio.to_thread(self.file.load)
        except FileUnusable as error:
            logger.error("%s; the machines that have joined are not followed", error)  # noqa: TRY400 - no bug
            return
        await self._act(known)
        if known.head is not None and known.head.gcs:
            await self._be_node(known.head)
        elif known.expects(time.time()):
            await self._be_head(known)

    async def close(self) -> None:
        """End what runs of Ray here."""
        await self._ray.close()

    @property
    def _cluster(self) -> ClusterConfig | None:
        return self._configuration.now.config.cluster

    @property
    def _ports(self) -> ClusterConfig:
        return self._cluster or ClusterConfig()

    async def _be_head(self, known: Remembered) -> RayAccess:
        """Run the head's Ray where it can be, and return what nodes need of it; nothing without."""
        if not self._ray.usable(self._cluster) or (known.head is not None and known.head.gcs):
            return RayAccess()
        try:
            address = known.address or await asyncio.to_thread(own_address, self._installation.listen)
            return await self._ray.be_head(address, self._ports)
        except (OSError, BadRequest) as error:
            logger.warning("Ray cannot run here: %s", error)
            return RayAccess()

    async def _be_node(self, head: HeadOfNode, token: str = "") -> None:
        if self._ray.usable(self._cluster):
            try:
                await self._ray.be_node(head, self._ports, token)
            except OSError as error:
                logger.warning("Ray cannot run here: %s", error)

    async def joined_head(self, head: HeadOfNode, token: str) -> HeadOfNode | None:
        """Note that this machine has joined another one; return the former head."""
        former = (await asyncio.to_thread(self.file.load)).head
        await self._changed(lambda known: replace(known, head=head))
        if head.gcs:
            await self._be_node(head, token)
        return former

    async def _act(self, remembered: Remembered) -> None:
        self.head = remembered.head
        self._machines.drained = remembered.drained
        if remembered.nodes != self._nodes:
            self._nodes = remembered.nodes
            digests = (hashlib.sha256(node.key.encode()).hexdigest() for node in remembered.nodes)
            self.files.secrets = tuple(map(secret_for_files, digests))
            await self._configuration.nodes_joined(remembered.nodes)

    async def _changed(self, edit: Callable[[Remembered], Remembered]) -> Remembered:
        changed = await asyncio.to_thread(self.file.change, edit)
        await self._act(changed)
        return changed

    # --- in ----------------------------------------------------------------------------------------------------------

    async def invite(self, address: str = "") -> Invitation:
        """Return a line with which one machine may join within a quarter of an hour; `address` is ours for it.

        Raises BadRequest where there is no address that would do, FileUnusable, DiskFull.
        """
        listen, fingerprint = self._installation.listen, self._installation.fingerprint
        host = await asyncio.to_thread(lambda: address_of(address) if address else own_address(listen))
        secret, until = secrets.token_urlsafe(SECRET_BYTES), time.time() + GOOD_FOR_SECONDS
        digest, now = digest_of_secret(secret), time.time()
        known = await asyncio.to_thread(self.file.change, lambda was: was.invited(digest, until, now, host))
        access = await self._be_head(known)
        scheme = "https" if fingerprint else "http"
        line = JoinLine(f"{scheme}://{bracketed(address or host)}:{listen.port}", secret, fingerprint)
        ports = f"{listen.port}, {firewall_ports(self._ports)}" if access.gcs else str(listen.port)
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
        access = await self._be_head(known)
        own = own_versions()
        if wrong := differences(own if access.gcs else replace(own, ray=""), versions):
            raise Conflict("; ".join(wrong))
        if node is None:
            return Welcome("")
        await self._check(node)
        taken = self._configuration.now.own.peers.keys() | self._configuration.now.own.selectors.keys()
        try:
            await self._changed(lambda known: known.joined(digest, node, time.time(), taken))
        except NotInvited as error:
            raise NotInvitedHere from error
        except NameTaken as error:
            raise Conflict(str(error)) from error
        logger.info("machine %s has joined: %s", node.name, node.url)
        return Welcome(node.name, access.gcs, access.token)

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

    async def forget(self, name: str) -> None:
        """Have a machine that has joined be none of ours. Raises NotFound, Conflict."""
        known = await asyncio.to_thread(self.file.load)
        if all(node.name != name for node in known.nodes):
            if name in self._configuration.now.own.peers:
                raise Conflict(f"{name!r} is a peer of the configuration: take it out there")
            raise NotFound(f"there is no machine {name!r}")
        await self._changed(lambda known: known.forgot(name))

    async def drain(self, name: str, *, drained: bool) -> None:
        """Send a machine no new requests, or some again; what is with it ends there. Raises NotFound."""
        if name not in self._machines.cluster.peers:
            raise NotFound(f"there is no machine {name!r} that is followed")
        await self._changed(lambda known: known.drain(name, drained=drained))


def digest_of_secret(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
