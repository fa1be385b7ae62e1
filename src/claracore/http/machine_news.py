"""What follows from news of another machine: for the configuration, for requests under way, for whoever watches?"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from claracore import __version__
from claracore.core.cluster.model import Node
from claracore.core.cluster.signs import AnswersHeard
from claracore.host.cluster.files_elsewhere import FilesOfNodes
from claracore.host.cluster.held_files import Shelves
from claracore.host.cluster.model_files import FilesOfModels
from claracore.host.cluster.models_known import ModelsKnown
from claracore.host.cluster.nodes_file import NodesFile
from claracore.host.cluster.part_sender import PartSender
from claracore.host.library.destinations import Destinations
from claracore.host.library.download import DownloadStore
from claracore.host.store.downloads import DownloadStoreOnDisk
from claracore.host.store.files import FileUnusable
from claracore.host.supervisor.prepared import FoundModels
from claracore.http.joined_nodes import JoinedNodes
from claracore.http.own_head import OwnHead
from claracore.http.ray_here import RayHere

if TYPE_CHECKING:
    from claracore.core.config.model import Config
    from claracore.core.ports.listen import Listen
    from claracore.http.access.named_keys import NamedKeys
    from claracore.http.api.events.announcer import Announcer
    from claracore.http.api.parts import Installation, Runtime
    from claracore.http.gateway.server import Gateway
    from claracore.http.server_options import Options

logger = logging.getLogger("claracore.cluster")


async def announced(options: Options, listen: Listen) -> None:
    """Tell other machines that this one is here, until cancelled, if a person has asked for it."""
    if options.announce:
        from claracore.host.cluster.announce import announce  # noqa: PLC0415 - zeroconf, only where it is asked for

        await announce(listen, __version__, tls=options.tls is not None, base_path=options.base_path)


def _model_files(
    runtime: Runtime, installation: Installation, joined: JoinedNodes, elsewhere: FilesOfNodes
) -> FilesOfModels:
    configuration, state_dir = runtime.configuration, installation.state_dir
    shelves = Shelves(Destinations(configuration, installation.followed))
    store = DownloadStore() if state_dir is None else DownloadStoreOnDisk(state_dir, configuration.sources.key)
    joined.files.relay = elsewhere.relay
    return FilesOfModels(shelves, store, joined.files, elsewhere)


class MachineNews:
    """A `ClusterListener` that has others act."""

    def __init__(
        self,
        runtime: Runtime,
        gateway: Gateway,
        announcer: Announcer,
        installation: Installation,
        keys: NamedKeys,
    ) -> None:
        self._machines = runtime.machines
        self._held_ranks = runtime.held_ranks
        self._configuration = runtime.configuration
        self._gateway = gateway
        self._announcer = announcer
        file, self.ray = NodesFile(installation.state_dir), RayHere(runtime, installation)
        self._known = ModelsKnown(installation.state_dir)
        runtime.machines.cluster.known = self._known.load()
        self.own_head = OwnHead(file, self.ray, keys)
        """Which machine this one has joined."""
        self.joined = JoinedNodes(file, self.ray, runtime, installation)
        """Which machines have joined."""
        self.parts = PartSender(runtime.machines)
        """Who gives the machines that have joined their parts of the configuration."""
        self.elsewhere = FilesOfNodes(runtime.machines.cluster, installation.state_dir)
        """Which of them has the files that this one does not have."""
        self.parts.with_files = _model_files(runtime, installation, self.joined, self.elsewhere)
        self.joined.files.is_meant = self.parts.is_meant
        self.joined.files.on_change = self.elsewhere.on_change = self.reloaded
        self._heard = AnswersHeard()
        self._found: FoundModels | None = None
        self._taking_over: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Follow the machines that the configuration in force names, and those that have joined."""
        self._machines.cluster.begin(self._configuration.now.config, self)
        self.apply(self._configuration.now.config)
        try:
            known = await asyncio.to_thread(self.joined.file.load)
            await self.own_head.begin(known)
            await self.joined.begin(known)
        except FileUnusable as error:
            logger.error("%s; the machines that have joined are not followed", error)  # noqa: TRY400 - no bug
        finally:
            self.own_head.known.set()
            self._machines.cluster.complete.set()

    async def heard_all(self, seconds: float) -> None:
        """Return when the models are served that each machine has which is followed, or this time is over."""
        cluster, changed = self._machines.cluster, asyncio.Event()
        names = tuple(cluster.peers)
        for name in names:
            cluster.watch(name, changed.set)
        try:
            async with asyncio.timeout(seconds):
                while self._machines.unheard:
                    changed.clear()
                    await changed.wait()
                while self._taking_over is not None:
                    await asyncio.shield(self._taking_over)
        except TimeoutError:
            pass
        finally:
            self._machines.are_awaited = False
            for name in names:
                cluster.unwatch(name, changed.set)

    def apply(self, config: Config) -> None:
        """Act by another configuration."""
        self._machines.cluster.reconfigure(config)
        self._machines.reconfigure(config)
        self.reloaded()

    def reloaded(self) -> None:
        """Share the models of the configuration in force."""
        self.parts.reconfigure(self._configuration.now.shared)

    async def given_away(self) -> None:
        """Leave to the process that serves now what there is only one of: Ray, and the word of our head."""
        await self.own_head.close()
        await self.ray.close()

    async def close(self) -> None:
        """Follow nobody any more."""
        await self.parts.close()
        await self.elsewhere.close()
        await self._held_ranks.close()
        await self.own_head.close()
        await self.ray.close()
        await self._machines.cluster.close()

    def models_found(self, found: FoundModels) -> None:
        """Have the models served; what is found meanwhile is taken over right after."""
        self._found = found
        if self._taking_over is None:
            self._taking_over = asyncio.create_task(self._take_over(), name="take over models of other machines")

    async def _take_over(self) -> None:
        try:
            while (found := self._found) is not None:
                self._found = None
                changes = await self._configuration.models_found(found)
                logger.info("models of other machines: %s", changes.summary)
                await asyncio.to_thread(self._known.save, self._machines.cluster.known_now())
        except Exception:
            logger.exception("the models of other machines could not be taken over")
        finally:
            self._taking_over = None

    def node_lost(self, node: Node) -> None:
        """Have requests move on that wait there for their first byte."""
        logger.warning("machine %s is lost: %s", node.name, node.why)
        self._gateway.relay.machine_lost(node.name, node.why)

    def node_up(self, node: Node) -> None:
        """Let answers from there take their time again."""
        logger.info("machine %s is there", node.name)
        self._gateway.relay.machine_back(node.name)

    def hears(self, name: str) -> bool:
        """Return whether an answer from a node has grown of late."""
        return self._heard.heard(name, self._gateway.relay.bytes_from(name), asyncio.get_running_loop().time())

    def node_changed(self, name: str) -> None:
        """Announce it; it may have to be sent its part of the configuration."""
        self.parts.look(name)
        self.elsewhere.node_changed(name)
        self._announcer.node(name)
