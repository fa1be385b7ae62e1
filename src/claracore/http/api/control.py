"""How is the control plane put together, and how is it tied to the parts that it shows?"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from claracore.core.config.changes import Changes
from claracore.core.config.model import Config
from claracore.core.ports.address import is_loopback
from claracore.core.ports.listen import Listen
from claracore.host.activity.captures import Captures
from claracore.host.activity.counts import Counts
from claracore.host.activity.database import Activity, StoreUnusable
from claracore.host.activity.journal import Journal
from claracore.host.activity.rows import Row
from claracore.host.activity.swaps import Swap
from claracore.host.library.download import DownloadStore
from claracore.host.library.downloads import Downloads
from claracore.host.library.hub_access import HubAccess
from claracore.host.library.hub_tokens import HubTokens
from claracore.host.logs.proxy import ProxyLog
from claracore.host.setup.settings import SettingsFile
from claracore.host.sockets.ports import PortKeeper
from claracore.host.store.downloads import DownloadStoreOnDisk
from claracore.host.store.files import FileUnusable
from claracore.host.supervisor.configuration import Configuration, Prepared
from claracore.host.supervisor.loop import Supervisor
from claracore.http.access.guard import Guard
from claracore.http.access.key_file import KeyFile
from claracore.http.access.keyring import KeyRing
from claracore.http.access.origins import Origins, Rules
from claracore.http.api.adopt import Adopter
from claracore.http.api.context import Context
from claracore.http.api.create import create_app
from claracore.http.api.download_views import DownloadView, download_view, gone_view
from claracore.http.api.events.broadcaster import Hub
from claracore.http.api.events.sampler import Pulse
from claracore.http.api.findings import finding_views
from claracore.http.gateway.server import Gateway

logger = logging.getLogger("claracore.api")


class ControlPlane:
    """Everything behind the paths that are not inference. `app` is the ASGI application, `journal` the observer."""

    def __init__(
        self,
        supervisor: Supervisor,
        configuration: Configuration,
        keeper: PortKeeper,
        *,
        listen: Listen,
        url: str,
        state_dir: Path | None,
        log: ProxyLog,
        ring: KeyRing,
        rules: Rules,
        followed: tuple[Path, ...] = (),
    ) -> None:
        counts = Counts()
        activity = _open_activity(configuration, state_dir)
        captures = Captures(_capture_bytes(configuration.now.config))
        self.journal = Journal(supervisor, activity, counts, captures)
        self.context = Context(
            supervisor=supervisor,
            configuration=configuration,
            keeper=keeper,
            listen=listen,
            url=url,
            state_dir=state_dir,
            hub=Hub(),
            journal=self.journal,
            counts=counts,
            activity=activity,
            log=log,
            ring=ring,
            key_file=KeyFile(state_dir),
            settings=SettingsFile(state_dir),
            origins=Origins(rules),
            captures=captures,
            downloads=Downloads(
                HubAccess(configuration.environ, HubTokens(state_dir, configuration.environ)),
                DownloadStore() if state_dir is None else DownloadStoreOnDisk(state_dir, configuration.sources.key),
            ),
            followed=tuple(Path(os.path.abspath(os.path.expanduser(folder))) for folder in followed),  # noqa: PTH100, PTH111 - as the library does
        )
        self.pulse = Pulse(self.context)
        self._rules = rules
        self.app = Guard(create_app(self.context), ring, rules)
        self.context.use_keys(self.context.key_file.load())  # a damaged file ends the start: it must not open the door
        self.context.key_file.changed()
        supervisor.listener = self.journal
        configuration.on_reload = self._reloaded
        self.journal.attended = self.context.hub.attended
        self.journal.on_record = self.pulse.request_over
        self.journal.on_model = self.pulse.model_changed
        self.journal.on_told = self.pulse.model_told
        self.journal.on_row = self._row
        self.journal.on_swap = self._swap
        self.context.performance.on_sample = lambda sample: self.context.hub.publish("performance", sample)
        self._adopter = Adopter(self.context)
        downloads = self.context.downloads
        downloads.on_change = lambda download: self._download(download_view(download))
        downloads.on_gone = lambda download: self._download(gone_view(download))
        downloads.on_complete = self._adopter.adopt
        self._sampling = asyncio.get_running_loop().create_task(
            self.context.performance.run(self._sample_every, self._pids), name="performance"
        )
        ring.follow(self._look_at_keys)
        ring.on_change = self.end_streams  # Who may still listen comes again, and is asked for a key then.
        log.on_entry = lambda entry: self.pulse.logged("proxy", entry)

    def attach(self, gateway: Gateway) -> None:
        """Show and steer the requests of a gateway."""
        self.context.in_flight = lambda: gateway.in_flight
        self.context.cancel = gateway.cancel
        self.context.inside = gateway.inside
        _warn_if_open(self.context.listen, self.context.ring, self._rules)
        self.context.downloads.begin()

    def end_streams(self) -> None:
        """End the answers that would go on for ever."""
        for stream in list(self.context.streams):
            stream.end()

    async def close(self) -> None:
        """Stop watching, and write what is left."""
        self.pulse.close()
        await self.context.downloads.close()
        ending = [self._sampling, *self.context.tasks]
        for task in ending:
            task.cancel()
        await asyncio.wait(ending)
        self.journal.settle()
        await asyncio.to_thread(self.context.activity.close)

    def applied(self, prepared: Prepared, changes: Changes) -> None:
        """Hear that another configuration is in force."""
        self.context.captures.resize(_capture_bytes(prepared.config))
        self.pulse.models_changed()
        self._adopter.config_changed()
        for model_id in changes.soft | changes.restart:
            self.pulse.model_changed(model_id)
        self.context.hub.publish("ports", {}, key="")
        self._use_keys_again()

    def _look_at_keys(self) -> None:
        """Take over what `claracore keys` has changed."""
        if self.context.key_file.changed():
            self._use_keys_again()

    def _use_keys_again(self) -> None:
        try:
            self.context.use_keys(self.context.key_file.load())
        except FileUnusable as error:
            logger.error("%s; the keys that were read last stay in force", error)  # noqa: TRY400 - no bug

    def _sample_every(self) -> float | None:
        its = self.context.config.performance
        return None if its.disabled else its.every_seconds

    def _pids(self) -> dict[str, int]:
        running = self.context.supervisor.all_running()
        return {model: server.pid for model, server in running.items() if server.pid is not None}

    def _reloaded(self) -> None:
        now = self.context.configuration
        data = {
            "hash": now.digest,
            "findings": [view.model_dump() for view in finding_views(now.now.findings)],
            "rejected": [view.model_dump() for view in finding_views(now.rejected)],
        }
        self.context.hub.publish("config", data, key="")

    def _row(self, row: Row) -> None:
        self.context.hub.publish("activity", row)

    def _download(self, view: DownloadView) -> None:
        self.context.hub.publish("download", view.model_dump(mode="json"), key=view.id)

    def _swap(self, swap: Swap) -> None:
        self.context.hub.publish("swap", swap, key=(swap.model, swap.at))


@contextmanager
def proxy_log() -> Iterator[ProxyLog]:
    """Keep ClaraCore's own log for the length of a block."""
    log = ProxyLog()
    root = logging.getLogger("claracore")
    root.addHandler(log)
    try:
        yield log
    finally:
        root.removeHandler(log)


def _warn_if_open(listen: Listen, ring: KeyRing, rules: Rules) -> None:
    """Say loudly what an address without keys means."""
    if ring.any or all(is_loopback(host) for host in listen.hosts):
        return
    admin = "administer it" if rules.insecure else "not administer it"
    logger.warning(
        "NO API KEY: everybody who reaches %s may use the models and read the state, and may %s.\n"
        "  make a key:  claracore keys add NAME --scope admin --scope inference",
        listen,
        admin,
    )


def _capture_bytes(config: Config) -> int:
    return config.capture_buffer * 1024 * 1024


def _open_activity(configuration: Configuration, state_dir: Path | None) -> Activity:
    """Open the file that the configuration names, or this configuration's own in the state directory."""
    path = activity_path(configuration.now.config, configuration.sources.key, state_dir)
    try:
        return Activity(path)
    except StoreUnusable as error:
        logger.error("%s; it is kept in memory, for this run only", error)  # noqa: TRY400 - a user's disk, not a bug
        return Activity(None)


def activity_path(config: Config, key: str, state_dir: Path | None) -> Path | None:
    """Return where activity is kept; None for in memory."""
    if config.store.path:
        return Path(os.path.expanduser(config.store.path))  # noqa: PTH111 - Path's raises for a user without a home
    if state_dir is None:
        return None
    return state_dir / "activity" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.sqlite"
