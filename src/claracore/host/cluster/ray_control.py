"""Which processes of Ray run beside this ClaraCore, as a head's or as a node's?

None without the package `ray`, on another system than Linux, or where the configuration says so: then the machines that
have joined are followed by asking them alone, and everything works as it does with Ray.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from claracore.core.cluster.joined import HeadOfNode
from claracore.core.cluster.ray_ports import RayRole, needed_ports
from claracore.core.cluster.ray_words import RayPlace, head_words, node_words, ray_environment
from claracore.core.config.program import ClusterConfig
from claracore.core.ports.listen import bracketed
from claracore.errors import BadRequest
from claracore.host.cluster.link_door import LinkDoor
from claracore.host.cluster.ray_link import OnWitnesses, RayLink
from claracore.host.cluster.ray_process import KeptProcess, ray_argv
from claracore.host.cluster.ray_seen import FOLDER, MARKS
from claracore.host.cluster.versions import ray_version
from claracore.host.disk import keep_private, private_folder
from claracore.host.state import make_private

logger = logging.getLogger("claracore.cluster")


TLS_OF_HEAD, TLS_OF_NODE = "tls-of-head", "tls-of-node"
NO_CRYPTOGRAPHY = "cluster.tls needs the package cryptography: pip install 'claracore[ray]'"
Certify = Callable[[str], Awaitable[tuple[str, str]]]
"""Makes a certificate of a request; returns it with the authority's. Raises OSError or BadRequest."""


@dataclass(frozen=True, slots=True)
class RayAccess:
    """What a node needs to join: where the head's list of nodes is, and the secret of the cluster."""

    gcs: str = ""
    token: str = ""
    tls: bool = False
    """Whether it needs a certificate, too."""


class RayControl:
    """Ray on this machine: a head's, a node's, or none."""

    def __init__(
        self,
        state_dir: Path | None,
        environ: Mapping[str, str],
        on_witnesses: OnWitnesses,
        blocked: Callable[[Mapping[int, str]], str],
    ) -> None:
        """`blocked` says, in a thread, for which of these ports (with their purposes) Ray waits; "" for none."""
        self._folder = state_dir / FOLDER if state_dir is not None else None
        self._blocked = blocked
        self._environ = environ
        self.link = RayLink(on_witnesses)
        self._process: KeptProcess | None = None
        self._door: LinkDoor | None = None
        self._access = RayAccess()
        self._turn = asyncio.Lock()

    def usable(self, cluster: ClusterConfig | None) -> bool:
        """Whether Ray can run here and is wanted."""
        return self._folder is not None and (cluster is None or cluster.ray) and bool(ray_version())

    @property
    def gives_token(self) -> bool:
        """Whether machines that join get the secret of a cluster that runs here."""
        return bool(self._access.token)

    async def be_head(self, address: str, cluster: ClusterConfig) -> RayAccess:
        """Run the head's Ray, reached at `address`, if it does not yet; return what nodes need. Raises OSError."""
        async with self._turn:
            if self._process is None and self._folder is not None:
                await self._begin_head(self._folder, address, cluster)
        return self._access

    async def _begin_head(self, folder: Path, address: str, cluster: ClusterConfig) -> None:
        if cluster.tls:
            await asyncio.to_thread(_be_authority, folder / TLS_OF_HEAD, address)
        tls = folder / TLS_OF_HEAD if cluster.tls else None
        place, storage = await asyncio.to_thread(self._place, address, cluster, tls), folder / "gcs"
        env = {**self._environ, **ray_environment(place, storage, None)}
        self._process = self._keep(head_words(place), env, needed_ports(cluster, RayRole.HEAD))
        # What Ray remembers of its nodes may be damaged: they are told again by themselves.
        self._process.stuck = lambda: shutil.rmtree(storage, ignore_errors=True)
        gcs = f"{bracketed(address)}:{cluster.gcs_port}"
        token = await asyncio.to_thread(Path(place.token).read_text, encoding="ascii")
        self._access = RayAccess(gcs, token, cluster.tls)
        self.link.begin(gcs, env, folder / MARKS[1])

    async def certified(self, request: str, address: str) -> tuple[str, str]:
        """Return a certificate for a node at this address, and the authority's. Raises BadRequest, OSError."""
        if self._folder is None or not self._access.tls:
            raise BadRequest("Ray does not encrypt here")
        from claracore.host.cluster.ray_tls import RayCertificates  # noqa: PLC0415 - cryptography, only with TLS

        made = RayCertificates(self._folder / TLS_OF_HEAD)
        return await asyncio.to_thread(made.certified, request, address)

    async def be_node(self, head: HeadOfNode, cluster: ClusterConfig, token: str, certify: Certify) -> None:
        """Run a node's Ray; `token` is the cluster's, where it is not known yet. Raises OSError, BadRequest.

        `certify` has the head make a certificate of a request, where its Ray encrypts.
        """
        async with self._turn:
            await self._end()
            if self._folder is None:
                return
            if token:
                await asyncio.to_thread(keep_private, self._folder / "token", token.encode())
            tls = self._folder / TLS_OF_NODE if head.tls else None
            if tls is not None:
                await _be_certified(tls, head.own, certify)
            place = await asyncio.to_thread(self._place, head.own, cluster, tls)
            self._door = LinkDoor(Path(place.folder).with_name("link.sock"))
            await self._door.begin()
            env = {**self._environ, **ray_environment(place, None, self._door.path)}
            self._process = self._keep(node_words(place, head.gcs, head.name), env, needed_ports(cluster, RayRole.NODE))

    async def close(self) -> None:
        """End whatever runs of Ray here."""
        async with self._turn:
            await self._end()

    async def leave(self) -> None:
        """End whatever runs of Ray here, and forget the secret of its cluster."""
        async with self._turn:
            await self._end()
            self._access = RayAccess()
            if self._folder is not None:
                await asyncio.to_thread((self._folder / "token").unlink, missing_ok=True)
                await asyncio.to_thread(shutil.rmtree, self._folder / TLS_OF_NODE, ignore_errors=True)

    async def _end(self) -> None:
        await self.link.close()
        if self._process is not None:
            await self._process.close()
            self._process = None
        if self._door is not None:
            await self._door.close()
            self._door = None

    @property
    def waits(self) -> str:
        """What Ray waits for before it starts; empty otherwise."""
        return self._process.waits if self._process is not None else ""

    def _keep(self, words: list[str], env: Mapping[str, str], needed: Mapping[int, str]) -> KeptProcess:
        assert self._folder is not None  # noqa: S101 - who calls it has looked
        mark = self._folder / MARKS[0]
        return KeptProcess("Ray", ray_argv(words), env, mark=mark, blocked=lambda: self._blocked(needed))

    def _place(self, address: str, cluster: ClusterConfig, tls: Path | None) -> RayPlace:
        """Return where Ray runs. Raises OSError.

        The folder is a short one, for Ray puts Unix sockets into it, and inside one of ours: it opens it to everybody.
        """
        assert self._folder is not None  # noqa: S101 - who calls it has looked
        private_folder(self._folder)
        digest = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:8]
        folder = Path(tempfile.gettempdir()) / f"claracore-ray-{os.getuid()}-{digest}"
        make_private(folder)
        token = self._folder / "token"
        if not token.exists():
            keep_private(token, secrets.token_hex(32).encode())
        return RayPlace(address, folder / "r", token, cluster, tls)


def _be_authority(folder: Path, address: str) -> None:
    try:
        from claracore.host.cluster.ray_tls import RayCertificates  # noqa: PLC0415 - cryptography, only with TLS
    except ImportError as error:
        raise OSError(NO_CRYPTOGRAPHY) from error
    RayCertificates(folder).be_authority(address)


async def _be_certified(folder: Path, address: str, certify: Certify) -> None:
    """Have a certificate for this address. Raises OSError, and as `certify`."""
    try:
        from claracore.host.cluster.ray_tls import RayCertificates  # noqa: PLC0415 - as above
    except ImportError as error:
        raise OSError(NO_CRYPTOGRAPHY) from error
    ours = RayCertificates(folder)
    if await asyncio.to_thread(ours.lacks, address):
        made = await certify(await asyncio.to_thread(ours.request))
        try:
            await asyncio.to_thread(ours.take, *made)
        except ValueError as error:
            raise OSError("what the head has made is no certificate") from error
