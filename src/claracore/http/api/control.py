"""How is the control plane put together, and what does it do besides answering?

It answers whatever is not inference, samples the machine, goes on with downloads, and follows what becomes of the
configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from claracore.core.config.changes import Changes
from claracore.host.cluster.fetching import Fetching
from claracore.host.cluster.given_files import GivenFiles
from claracore.host.cluster.held_files import Shelves
from claracore.host.cluster.part_file import PartFile
from claracore.host.engines.folder import engines_folder
from claracore.host.engines.installed import EngineFolders
from claracore.host.engines.jobs import EngineJobs
from claracore.host.engines.manager import EngineManager
from claracore.host.library.destinations import Destinations
from claracore.host.library.download import Download, DownloadStore
from claracore.host.library.downloads import Downloads
from claracore.host.library.hub_access import HubAccess
from claracore.host.library.hub_tokens import HubTokens
from claracore.host.logs.proxy import ProxyLog
from claracore.host.setup.adopt import Adopter
from claracore.host.setup.prospects import Prospects
from claracore.host.setup.settings import SettingsFile
from claracore.host.setup.survey_for_config import Surveyor
from claracore.host.store.downloads import DownloadStoreOnDisk
from claracore.host.supervisor.configuration import Configuration
from claracore.host.supervisor.prepared import Prepared
from claracore.http.access.guard import Guard
from claracore.http.access.keyring import KeyRing
from claracore.http.access.named_keys import NamedKeys
from claracore.http.access.origins import Origins
from claracore.http.api.create import create_app
from claracore.http.api.events.announcer import Announcer
from claracore.http.api.events.sampler import Sampler
from claracore.http.api.parts import Events, History, Installation, Runtime
from claracore.http.gateway.server import Gateway
from claracore.http.handing_over import HandingOver
from claracore.http.head_files import HeadFiles
from claracore.http.join import Joiner
from claracore.http.joined_nodes import JoinedNodes
from claracore.http.own_head import OwnHead
from claracore.http.part_door import PartDoor
from claracore.http.ray_here import RayHere
from claracore.http.second_door import SecondDoor


class ControlPlane:
    """Everything behind the paths that are not inference; `app` is the ASGI application."""

    def __init__(  # noqa: PLR0917 - the parts of the whole
        self,
        runtime: Runtime,
        history: History,
        installation: Installation,
        events: Events,
        sampler: Sampler,
        gateway: Gateway,
        ring: KeyRing,
        named_keys: NamedKeys,
        origins: Origins,
        log: ProxyLog,
        second: SecondDoor,
        joined: JoinedNodes,
        own_head: OwnHead,
        ray: RayHere,
        handing: HandingOver,
    ) -> None:
        """Make the application; in whichever thread, it takes a while."""
        configuration, state_dir = runtime.configuration, installation.state_dir
        self._runtime = runtime
        self._history = history
        self._events = events
        self._sampler = sampler
        self._named_keys = named_keys
        runtime.memory.follow(sampler.model_changed)
        surveyor = self._surveyor = Surveyor(
            configuration, SettingsFile(state_dir), installation.listen.port, state_dir
        )
        self._adopter = Adopter(configuration, surveyor, installation.followed)
        news = DownloadNews(events.announcer, self._adopter)
        self._downloads = _downloads(installation, configuration, news)
        destinations = Destinations(configuration, installation.followed)
        self.fetching = news.fetching = Fetching(self._downloads, Shelves(destinations))
        self._engines = _engines(configuration, events.announcer)
        door = self.door = PartDoor(configuration, own_head, PartFile(state_dir))
        own_head.on_parted.append(door.remove)
        self.head_files = HeadFiles(self.fetching, door, configuration, own_head)
        door.on_taken = lambda _part: self.head_files.look()
        self.head_files.on_files = runtime.measurer.look
        self.head_files.lacking_as_head = joined.files.lacking
        runtime.machines.cluster.lacking = self.head_files.lacking
        parts = (
            *(runtime, history, installation, events, gateway, ring, self._named_keys, log, ray, door),
            *(surveyor, Prospects(surveyor, self._downloads.hub), self._downloads, own_head),
            *(destinations, second, self._engines, self.fetching, GivenFiles(Shelves(destinations))),
            *(joined.files, joined, Joiner(joined, own_head, installation, ring, named_keys, door=door), handing),
        )
        self.app = Guard(create_app(parts), ring, origins)
        self._sampling: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Sample the machine, read what models may take of it, and go on with the downloads of the last run."""
        self._runtime.measurer.look()
        self._sampling = asyncio.get_running_loop().create_task(
            self._history.samples.run(self._sample_every, self._runtime.pids), name="performance"
        )
        self._downloads.begin()
        self.head_files.look()
        loop, announcer = asyncio.get_running_loop(), self._events.announcer
        self._runtime.configuration.on_engine = lambda: _soon(loop, announcer.engines)

    def end_streams(self) -> None:
        """End the answers that would go on for ever, also those that are about to begin."""
        self._events.open_streams.close()

    async def close(self) -> None:
        """Stop watching, sampling, measuring and downloading."""
        self._sampler.close()
        await self._runtime.measurer.close()
        await self._runtime.load_times.close()
        await self.head_files.close()
        await self._downloads.close()
        await self._engines.close()
        await self._surveyor.close()
        ending = [*self._runtime.loads, *([self._sampling] if self._sampling is not None else [])]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def apply(self, prepared: Prepared, changes: Changes) -> None:
        """Act by another configuration, which is in force now."""
        self._history.captures.resize(prepared.config.capture_buffer << 20)
        self._sampler.models_changed()
        self._runtime.measurer.look()
        self._adopter.config_changed()
        self.head_files.look()
        for model_id in changes.soft | changes.restart:
            self._sampler.model_changed(model_id)
        self._events.announcer.ports()
        self._named_keys.use_again()

    def reloaded(self) -> None:
        """Announce what the configuration files say now: taken over, or rejected."""
        self._events.announcer.configuration(self._runtime.configuration)

    def _sample_every(self) -> float | None:
        settings = self._runtime.config.performance
        return None if settings.disabled else settings.every_seconds


class DownloadNews:
    """Announces downloads, and has those that are complete served (`downloads.DownloadsListener`)."""

    def __init__(self, announcer: Announcer, adopter: Adopter) -> None:
        self._announcer = announcer
        self._adopter = adopter
        self.fetching: Fetching | None = None
        """Who is told of what models of the head's need."""

    def changed(self, download: Download) -> None:
        """Announce how a download is."""
        self._announcer.download(download)
        if self.fetching is not None:
            self.fetching.changed(download)

    def removed(self, download: Download) -> None:
        """Announce that a download is not on the list any more."""
        self._announcer.download(download, removed=True)

    async def complete(self, download: Download) -> None:
        """Have the model served; by whom, where the head has wanted it, is the part's matter."""
        if download.shared and self.fetching is not None:
            await self.fetching.arrived(download)
            return
        await self._adopter.adopt(download)


def _downloads(installation: Installation, configuration: Configuration, news: DownloadNews) -> Downloads:
    state_dir, environ = installation.state_dir, configuration.environ
    store = DownloadStore() if state_dir is None else DownloadStoreOnDisk(state_dir, configuration.sources.key)
    return Downloads(HubAccess(environ, HubTokens(state_dir, environ)), store, news)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call in the event loop, from whichever thread; not any more when it has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)


def _engines(configuration: Configuration, announcer: Announcer) -> EngineJobs:
    manager = EngineManager(EngineFolders(engines_folder()), configuration.environ)
    return EngineJobs(manager, announcer.engine_job, configuration.engine_changed)
