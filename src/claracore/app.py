"""How is everything put together, in which order does it start, and in which does it stop?

`build` makes the parts, each of which gets what it needs when it is made: configuration and front door, engine, ports,
supervisor, what is kept of requests, gateway. `App.run` serves, and makes the control plane behind the first requests.
Stop is the reverse: no new connections, answers under way may end, models stop, ports are let go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from claracore.core.config.changes import Changes
from claracore.core.config.not_here import without_joined
from claracore.core.config.peers import follows_any
from claracore.core.garbage import no_collection
from claracore.core.units import counted
from claracore.errors import ClaraCoreError
from claracore.host import memory
from claracore.host.activity.captures import Captures
from claracore.host.activity.counts import Counts
from claracore.host.activity.database import Activity, open_activity
from claracore.host.activity.journal import Journal
from claracore.host.activity.swap_history import SwapHistory
from claracore.host.cluster.held_ranks import HeldRanks
from claracore.host.cluster.machines import Machines
from claracore.host.cluster.nodes_file import joined_names
from claracore.host.conversations.keeper import ConversationKeeper
from claracore.host.engines.find import abilities_of, found_engine
from claracore.host.engines.guard import user_guard
from claracore.host.footprints.make import make_model_memory
from claracore.host.footprints.measurer import Measurer
from claracore.host.footprints.summary import summaries
from claracore.host.hardware.samples import SampleHistory
from claracore.host.loading.load_times import LoadTimes
from claracore.host.logs.findings import log_findings
from claracore.host.logs.proxy import ProxyLog, proxy_log
from claracore.host.signals import listen_to_signals
from claracore.host.sockets.history import save_history
from claracore.host.sockets.ports import PortKeeper
from claracore.host.sockets.taking import take_ports
from claracore.host.store import leftovers
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.configuration import Configuration
from claracore.host.supervisor.kin import adopting
from claracore.host.supervisor.life import LocalRunner
from claracore.host.supervisor.listeners import ModelListeners
from claracore.host.supervisor.loop import Supervisor
from claracore.host.supervisor.preload import preload
from claracore.host.supervisor.prepared import Prepared
from claracore.host.supervisor.remote import ClusterRunner
from claracore.host.supervisor.spread_runner import spread_over
from claracore.host.supervisor.surroundings import Surroundings
from claracore.http.access.key_file import KeyFile
from claracore.http.access.key_tokens import remember_tokens
from claracore.http.access.keyring import KeyRing
from claracore.http.access.named_keys import NamedKeys
from claracore.http.access.openness import warn_if_open
from claracore.http.access.origins import Origins
from claracore.http.api.events.sampler import Sampler
from claracore.http.api.late import LateControlPlane
from claracore.http.api.parts import Events, History, Installation, Runtime
from claracore.http.ending import GRACE_SECONDS, Ending
from claracore.http.front_door import Front, open_front
from claracore.http.gateway.contract import PortLimits
from claracore.http.gateway.server import Doorway, Gateway, serve
from claracore.http.gateway.tasks import Tasks
from claracore.http.handing_over import HandingOver
from claracore.http.machine_news import MachineNews, announced
from claracore.http.second_door import SecondDoor
from claracore.http.server_options import Options
from claracore.http.taking_over import Guardians, TakingOver

if TYPE_CHECKING:
    from claracore.http.api.control import ControlPlane

logger = logging.getLogger("claracore")

FIRST_LOOKS_SECONDS = 1.0
"""So long a machine that is followed has to answer after a start; when this process takes over, clients wait for it."""


@contextlib.asynccontextmanager
async def build(options: Options) -> AsyncIterator[App]:
    """Make the parts of one ClaraCore; what they hold is let go when the block ends.

    Raises ConfigError, FileUnusable, PortTaken or AlreadyRunning before anything was started.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(no_collection())
        taking = options.taking
        if taking is not None:
            await taking.begin()
        leftovers.sweep_all(options.sources.file, options.state_dir)
        front = open_front(options)
        config, joined = front.prepared.config, joined_names(options.state_dir)
        log_findings(without_joined(front.prepared.findings, joined))
        engine = await asyncio.to_thread(found_engine, config.engine)
        commands = Commands(engine, abilities_of, user_guard())
        await asyncio.to_thread(commands.learn, config.models.values())
        events = Events.make()
        log = stack.enter_context(proxy_log(events.announcer.proxy_log))
        stack.enter_context(adopting())
        if taking is not None:
            await taking.given()
        given, url = taking.ports if taking is not None else None, options.url(front.listen)
        ports = await take_ports(front.prepared.plan, url, options.state_dir, options.hold_ports, given)
        keeper = stack.enter_context(contextlib.closing(ports))
        conversations = ConversationKeeper(commands, options.environ, options.state_dir, options.sources.key)
        stack.callback(conversations.close)
        around = Surroundings(keeper, commands, options.environ, options.socket_dir, conversations=conversations)
        runner = ClusterRunner(LocalRunner(around))
        spread = spread_over(runner, keeper, options.sources.key, front.listen.port)
        memory_of_models = make_model_memory(commands, options.environ, options.state_dir, options.sources.texts)
        memory_of_models.kept_bytes = conversations.memory_bytes
        conversations.read_command = memory_of_models.command
        supervisor = Supervisor(config if taking is None else taking.former(config), spread, memory_of_models)
        memory_of_models.follow(supervisor.looks.learn_soon)
        await conversations.open(supervisor)
        configuration = Configuration(
            options.sources, front.prepared, listen=front.listen, environ=options.environ, commands=commands,
            find_engine=found_engine, state_dir=options.state_dir, tell=log_findings, ollama=options.ollama,
        )  # fmt: skip
        counts = Counts()
        measurer = Measurer(supervisor, memory_of_models)
        swaps = SwapHistory(supervisor, counts, events.announcer.swap, measurer.answered)
        load_times = LoadTimes(supervisor, memory_of_models, options.environ, options.state_dir)
        parts = (configuration, supervisor, keeper, swaps, measurer, load_times, commands, conversations)
        machines = Machines(runner.cluster, supervisor, are_awaited=bool(joined) or follows_any(config))
        runtime = Runtime(*parts, machines, HeldRanks(supervisor, configuration.ranks_held))
        app = _assemble(options, front, runtime, counts, events=events, log=log)
        _take_over(taking, app, around)
        yield app


def _take_over(taking: TakingOver | None, app: App, around: Surroundings) -> None:
    if taking is None:
        return
    taking.take_over(app.supervisor, app.gateway, around, app.front.prepared.config)
    if taking.second is not None:
        app.second.take_over(*taking.second)


def _assemble(
    options: Options, front: Front, runtime: Runtime, counts: Counts, *, events: Events, log: ProxyLog
) -> App:
    """Make what keeps and shows requests, and what takes them in."""
    config, captures = front.prepared.config, Captures(front.prepared.config.capture_buffer << 20)
    activity = open_activity(config.store.path, options.sources.key, options.state_dir)
    history = History(activity, counts, captures, SampleHistory(events.announcer.sample))
    ring = KeyRing(config.api_keys, on_change=events.open_streams.end_all)
    named_keys = NamedKeys(ring, KeyFile(options.state_dir), runtime.configuration)
    origins = Origins(options.rules)
    warn_if_open(front.listen, ring, options.rules)
    sampler = Sampler(runtime, ring, events)
    on_tokens, on_key = runtime.conversations.answered, ring.meters.used
    journal = Journal(activity, counts, captures, runtime.swaps, sampler, on_tokens=on_tokens, on_key=on_key)
    remember_tokens(ring.meters, activity)
    journal.read_sessions_from(config.ui.activity.session_id)
    runtime.supervisor.follow(ModelListeners(journal, runtime.measurer, runtime.load_times))
    url, folder = options.url(front.listen), options.state_dir
    second = SecondDoor(runtime.configuration, options, url, ring)
    installation = Installation(front.listen, url, folder, options.followed, options.fingerprint)

    def make_control() -> ControlPlane:
        """Make the control plane. It asks models through the gateway, which has it called in turn."""
        from claracore.http.api.control import ControlPlane  # noqa: PLC0415 - see late.py

        parts = (runtime, history, installation, events, sampler, gateway, ring, named_keys, origins, log, second)
        return ControlPlane(*parts, news.joined, news.own_head, news.ray, handing)

    control = LateControlPlane(make_control)
    gateway = Gateway(
        config, supervisor=runtime.supervisor, app=control.app, observer=journal,
        limits=PortLimits(body_budget_bytes=None if options.body_buffer is None else options.body_buffer << 20),
        ring=ring,
        origins=origins,
        base_path=options.base_path,
        captures=captures,
        profile=runtime.profile,
        in_flight=runtime.in_flight,
        about=summaries(runtime.memory),
        machines=runtime.machines,
    )  # fmt: skip
    news = MachineNews(runtime, gateway, events.announcer, installation, named_keys)
    doorway, kept = Doorway(front.listeners, gateway, options.tls), (journal, activity, runtime.conversations)
    guardians = options.taking.guardians if options.taking is not None else Guardians()
    handing = HandingOver(runtime.supervisor, runtime.keeper, gateway, doorway, second, *kept, guardians)
    parts = (runtime.configuration, runtime.supervisor, runtime.keeper, gateway, control, *kept, second, news)
    return App(options, front, *parts, Ending(runtime.supervisor, gateway), handing)


@dataclass(slots=True)
class App:
    """One ClaraCore, made by `build`: it serves while `run` runs."""

    options: Options
    front: Front
    configuration: Configuration
    supervisor: Supervisor
    keeper: PortKeeper
    gateway: Gateway
    control: LateControlPlane
    journal: Journal
    activity: Activity
    conversations: ConversationKeeper
    second: SecondDoor
    news: MachineNews
    ending: Ending
    handing: HandingOver
    _completed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when everybody is there who acts by another configuration."""
    _tasks: Tasks = field(default_factory=Tasks)

    @property
    def url(self) -> str:
        """Where people reach us from this machine."""
        return self.options.url(self.front.listen)

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is set or a signal comes; `ready` is called once requests are accepted."""
        self._hold_ports()
        taking = self.options.taking
        async with self._background():
            if taking is not None:
                # Nobody is to hear that a model of another machine is not known: who comes meanwhile waits at the door.
                await self._complete()
                await self.news.heard_all(FIRST_LOOKS_SECONDS)
            serving = asyncio.create_task(
                serve(self.handing.entrance, gateway=self.gateway, stop=self.ending.stop, drain_seconds=GRACE_SECONDS),
                name="gateway",
            )
            if taking is None:  # else what was to be loaded is
                self._tasks.run(preload(self.supervisor), name="preload")
            self._tasks.run(self.options.notifier.be_alive(), name="watchdog")
            await self.second.begin(self.gateway.connection)
            if taking is not None:
                taking.serves(self.gateway, self.journal)
            ready()
            self.options.notifier.ready(self._status)
            if taking is None:
                await self._complete()
                self._tasks.run(self.news.heard_all(FIRST_LOOKS_SECONDS), name="wait for the other machines")
            await self.ending.ordered(serving, self.handing.done)
            if self.handing.done.is_set():
                self._control.end_streams()
                await self.news.given_away()
                await self.handing.stay()
            self.options.notifier.stopping()
            self.second.close()
            self._control.end_streams()
            self.conversations.end()
            await self.ending.ended(asyncio.create_task(self.supervisor.shut_down(GRACE_SECONDS)), serving)
        await self._control.close()
        await self.news.close()
        self.journal.flush()
        await asyncio.to_thread(self.activity.close)
        self.handing.guardians.goodbye()

    async def _complete(self) -> None:
        """Make what may come after the first request: the control plane, and what follows files."""
        await self.control.begin()
        self.configuration.follow(self.second)  # open before it is announced that it is
        self.configuration.follow(self)
        await self.news.begin()
        self._completed.set()
        self._tasks.run(announced(self.options, self.front.listen), name="announce")
        if self.front.watch is not None:
            self._tasks.run(self._reload_with(self.front.watch.changes(self.ending.stop)), name="watch")
        if self.options.following is not None:
            from claracore.host.setup.following import follow  # noqa: PLC0415 - only where folders are followed

            written = follow(self.options.following, lambda: self.configuration.now.config.engine, self.ending.stop)
            self._tasks.run(self._reload_with(written), name="follow the models folders")
        memory.tidy()

    @property
    def _control(self) -> ControlPlane:
        assert self.control.made is not None  # noqa: S101 - not before `_complete`
        return self.control.made

    # --- the configuration (supervisor.configuration.ConfigurationListener) ---------------------------------------

    def apply(self, prepared: Prepared, changes: Changes) -> None:
        """Act by another configuration: ports first, then who starts models there, then who sends requests to them."""
        self.keeper.replan(prepared.plan)
        self._hold_ports()
        self.news.apply(prepared.config)
        self.supervisor.reconfigure(prepared.config, changes.restart)
        self.gateway.reconfigure(prepared.config)
        self.journal.read_sessions_from(prepared.config.ui.activity.session_id)
        self._control.apply(prepared, changes)

    async def reloaded(self) -> None:
        """Announce what the files say now."""
        self._control.reloaded()
        self.news.reloaded()

    async def reload(self) -> None:
        """Take over what the configuration files say now; what is wrong with them is logged and changes nothing."""
        await self._completed.wait()
        with self.options.notifier.reloading(lambda: self._status):
            try:
                changes = await self.configuration.reload()
            except (ClaraCoreError, OSError) as error:
                logger.error("the configuration was not taken over, the old one stays in force:\n%s", error)  # noqa: TRY400
            else:
                logger.log(logging.DEBUG if changes.nothing else logging.INFO, "configuration: %s", changes.summary)

    @property
    def _status(self) -> str:
        return f"serves {counted(len(self.configuration.now.config.models), 'model')} on {self.url}"

    def _hold_ports(self) -> None:
        log_findings(self.keeper.hold_all())
        save_history(self.options.state_dir, self.options.sources.key, self.keeper.plan)

    # --- what runs beside serving -----------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _background(self) -> AsyncIterator[None]:
        """Listen to signals for the length of a block, and end at its end what runs beside serving."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: self._tasks.run(self.reload(), name="reload"))
        listen_to_signals(loop, self.ending.signalled)
        try:
            yield
        finally:
            await self._tasks.cancel()
            loop.remove_signal_handler(signal.SIGHUP)

    async def _reload_with(self, changes: AsyncIterator[object]) -> None:
        async for _ in changes:
            await self.reload()
