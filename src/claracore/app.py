"""How is everything put together, in which order does it start, and in which does it stop?

Start: configuration, front door, orphans of a dead instance, ports, supervisor, control plane, gateway, preload and
watchers. Stop is the reverse: no new connections, answers under way may end, models stop, ports are let go.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from claracore.core.config.changes import Changes
from claracore.core.ports.listen import Listen
from claracore.errors import ClaraCoreError
from claracore.host.engines.abilities import Abilities
from claracore.host.engines.find import Engine, EngineMissing, Unusable, find_engine, learn
from claracore.host.library.cache import ReadingCache
from claracore.host.library.model import Library
from claracore.host.library.watch import watch
from claracore.host.setup.request import SetupOptions, SetupRequest
from claracore.host.setup.write import write_setup
from claracore.host.sockets.front import open_listeners, opened
from claracore.host.sockets.history import load_history, save_history
from claracore.host.sockets.ports import PortKeeper
from claracore.host.state import default_state_dir, state_problem
from claracore.host.store import files, leftovers
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.configuration import Configuration, Prepared, Sources, prepare
from claracore.host.supervisor.kin import adopting
from claracore.host.supervisor.life import LocalRunner
from claracore.host.supervisor.loop import Supervisor
from claracore.host.supervisor.server_process import Surroundings
from claracore.host.supervisor.watch import ConfigWatch
from claracore.http.access.keyring import KeyRing
from claracore.http.access.origins import Rules
from claracore.http.api.control import ControlPlane, proxy_log
from claracore.http.gateway.contract import PortLimits
from claracore.http.gateway.server import Gateway, serve
from claracore.types import Finding, ModelState

logger = logging.getLogger("claracore")

_M_MMAP_THRESHOLD = -3
"""<malloc.h>"""

GRACE_SECONDS = 30.0
"""Answers under way have this long when ClaraCore is asked to end; a second signal ends them at once."""

MODELS_GRACE_SECONDS = 10.0
"""What runs of the model servers so long after that is killed, whatever their `unloadTimeout`."""

LAST_SECONDS = 5.0
"""What is still there so long after it was killed is left behind: ClaraCore itself always ends."""


def _environ() -> dict[str, str]:
    """Return our environment without what systemd addressed to us alone (sd_listen_fds(3))."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}


@dataclass(frozen=True, slots=True)
class Following:
    """Folders whose models are kept in a configuration file while we run."""

    folders: tuple[Path, ...]
    config: Path
    setup: SetupOptions
    cache: ReadingCache
    known: Library
    """What was in the folders when they were written into the file."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may choose when starting the server."""

    sources: Sources
    listen: Listen = field(default_factory=Listen)
    watch_config: bool = True
    following: Following | None = None
    hold_ports: bool = True
    state_dir: Path | None = field(default_factory=default_state_dir)
    """What is remembered between starts is there; None keeps it in memory."""
    environ: Mapping[str, str] = field(default_factory=_environ)
    """What models inherit and `${env.NAME}` sees."""
    rules: Rules = field(default_factory=Rules)
    """Who may administer, and under which names."""
    body_buffer: int | None = None
    """Megabytes for request bodies that cannot be sent on yet; None: what the configuration says."""
    tls: ssl.SSLContext | None = None
    """Certificate and key, when we speak TLS ourselves."""


class App:
    """One running ClaraCore; made by `start`, ended by `stop`."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.stop = asyncio.Event()
        self.listen = options.listen
        self._signals = 0
        self._now = asyncio.Event()
        """Set by a second signal."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.supervisor: Supervisor
        self.configuration: Configuration
        self.gateway: Gateway

    @property
    def url(self) -> str:
        """Where people reach us from this machine."""
        return self.listen.url if self.options.tls is None else "https" + self.listen.url.removeprefix("http")

    async def run(self, ready: Callable[[App], None] = lambda _: None) -> None:
        """Serve until `stop` is set or a signal comes; `ready` is called once requests are accepted.

        Raises ConfigError, FileUnusable, PortTaken or AlreadyRunning before anything was started.
        """
        gc.disable()  # until `_tidy_memory`: all that start-up makes stays
        try:
            await self._run(ready)
        finally:
            gc.enable()

    async def _run(self, ready: Callable[[App], None]) -> None:
        options = self.options
        sources, key = options.sources, options.sources.key
        socket_dir = _look_after_state(options)
        loaded = sources.read(options.environ)
        prepared = prepare(loaded, options.listen, load_history(options.state_dir, key))
        listeners = open_listeners(options.listen, avoid=prepared.plan.claimed)
        self.listen = opened(options.listen, listeners)
        if self.listen != options.listen:
            prepared = prepare(loaded, self.listen, load_history(options.state_dir, key))
        _tell(prepared.findings)
        engine = await asyncio.to_thread(_engine, prepared.config.engine)
        commands = Commands(engine, _abilities)
        await asyncio.to_thread(commands.learn, prepared.config.models.values())
        with (
            proxy_log() as log,
            adopting(),
            contextlib.closing(
                PortKeeper(prepared.plan, state_dir=options.state_dir, hold=options.hold_ports)
            ) as keeper,
        ):
            keeper.ledger.set_url(self.url)
            for orphan in await asyncio.to_thread(keeper.ledger.sweep):
                logger.warning("ended a model server that a dead ClaraCore left behind: %s", orphan)
            around = Surroundings(keeper, commands, options.environ, socket_dir)
            self.supervisor = Supervisor(prepared.config, LocalRunner(around))
            self.configuration = Configuration(
                sources,
                prepared,
                listen=self.listen,
                environ=options.environ,
                commands=commands,
                find_engine=_engine,
                state_dir=options.state_dir,
            )
            ring = KeyRing()
            control = ControlPlane(
                self.supervisor,
                self.configuration,
                keeper,
                listen=self.listen,
                url=self.url,
                state_dir=options.state_dir,
                log=log,
                ring=ring,
                rules=options.rules,
                followed=options.following.folders if options.following is not None else (),
            )
            self.gateway = Gateway(
                prepared.config,
                supervisor=self.supervisor,
                app=control.app,
                observer=control.journal,
                limits=PortLimits(body_budget_bytes=None if options.body_buffer is None else options.body_buffer << 20),
                ring=ring,
                rules=options.rules,
                captures=control.context.captures,
                profile=control.context.profile,
            )
            control.attach(self.gateway)
            self.configuration.tell = _tell
            self.configuration.apply += [self._apply(keeper), control.applied]
            self._hold(keeper)
            async with self._background():
                serving = asyncio.create_task(
                    serve(
                        listeners,
                        gateway=self.gateway,
                        stop=self.stop,
                        drain_seconds=GRACE_SECONDS,
                        tls=options.tls,
                    ),
                    name="gateway",
                )
                self._spawn(self.supervisor.preload(), "preload")
                _tidy_memory()
                ready(self)
                await self._until_stopped(serving)
                control.end_streams()
                await self._ended(asyncio.create_task(self.supervisor.shut_down(GRACE_SECONDS)), serving)
            await control.close()

    async def _ended(self, *tasks: asyncio.Task[None]) -> None:
        """Wait until everything has ended; not for ever. Raises what a task ends with."""
        hurry = asyncio.ensure_future(self._now.wait())
        ends = asyncio.gather(*tasks)
        both: set[asyncio.Future[Any]] = {ends, hurry}
        try:
            await asyncio.wait(both, timeout=GRACE_SECONDS + MODELS_GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not ends.done():
                self.supervisor.kill()
                await asyncio.wait({ends}, timeout=LAST_SECONDS)
        finally:
            hurry.cancel()
        if ends.done():
            ends.result()
        else:
            left = [name for name, slot in self.supervisor.slots.items() if slot.state is not ModelState.STOPPED]
            logger.error("ending without waiting any longer for what does not end: %s", ", ".join(left) or "an answer")
            ends.cancel()
            await asyncio.wait(tasks)

    async def _until_stopped(self, serving: asyncio.Task[None]) -> None:
        """Wait for the order to stop; raises what the gateway ends with if it ends without one."""
        stopped = asyncio.ensure_future(self.stop.wait())
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if serving.done():
            serving.result()

    async def reload(self) -> None:
        """Take over what the configuration files say now; what is wrong with them is logged and changes nothing."""
        try:
            changes = await self.configuration.reload()
        except (ClaraCoreError, OSError) as error:
            logger.error("the configuration was not taken over, the old one stays in force:\n%s", error)  # noqa: TRY400
        else:
            logger.log(logging.DEBUG if changes.nothing else logging.INFO, "configuration: %s", _summary(changes))

    def _apply(self, keeper: PortKeeper) -> Callable[[Prepared, Changes], None]:
        def apply(prepared: Prepared, changes: Changes) -> None:
            keeper.replan(prepared.plan)
            self._hold(keeper)
            self.supervisor.reconfigure(prepared.config, changes.restart)
            self.gateway.reconfigure(prepared.config)

        return apply

    def _hold(self, keeper: PortKeeper) -> None:
        _tell(keeper.hold_all())
        try:
            save_history(self.options.state_dir, self.options.sources.key, keeper.plan)
        except OSError as error:
            logger.warning("the ports could not be remembered for the next start: %s", error)

    @contextlib.asynccontextmanager
    async def _background(self) -> AsyncIterator[None]:
        """Listen to signals and to changes of the files for the length of a block."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self.reload(), "reload"))
        listen_to_signals(loop, self._signalled)
        if self.options.watch_config and self.options.sources.watched:
            self._spawn(self._watch(ConfigWatch(self.options.sources.watched)), "watch")
        if self.options.following is not None:
            self._spawn(self._follow(self.options.following), "follow the models folders")
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            loop.remove_signal_handler(signal.SIGHUP)

    async def _follow(self, following: Following) -> None:
        """Write models that appear in the folders into the configuration, and mark those that vanish."""
        folders, cache = following.folders, following.cache
        async for change in watch(folders, library=following.known, cache=cache, stop=self.stop):
            for kind, models in (("new", change.appeared), ("changed", change.changed), ("gone", change.vanished)):
                if models:
                    logger.info("%s in the models folder: %s", kind, ", ".join(model.id for model in models))
            try:
                engine = await asyncio.to_thread(find_engine, self.configuration.now.config.engine)
                request = SetupRequest(folders, following.config, following.setup, engine, cache, gently=True)
                report = await asyncio.to_thread(write_setup, request)
            except (ClaraCoreError, OSError) as error:
                logger.error("the models folder changed, but %s stays as it is: %s", following.config, error)  # noqa: TRY400
            else:
                if report.written:
                    await self.reload()

    async def _watch(self, watch: ConfigWatch) -> None:
        async for _ in watch.changes(self.stop):
            await self.reload()

    def _signalled(self) -> None:
        self._signals += 1
        if self._signals == 1:
            logger.info("ending: answers under way may take up to %g s; once more ends them now", GRACE_SECONDS)
            self.stop.set()
        elif self._signals == 2:
            self._now.set()
            self._spawn(self.supervisor.shut_down(0.0), "shut down now")
            self.supervisor.kill()
            self._spawn(self.gateway.drain(0.0), "drain now")

    def _spawn(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s ended with an unexpected error", task.get_name(), exc_info=error)


def _look_after_state(options: Options) -> Path | None:
    """Sweep what a killed instance has left, or say that there is no place for anything; return where sockets go."""
    if options.sources.file is not None:
        files.sweep(options.sources.file)
    if options.state_dir is None:
        logger.warning("keys, activity, ports and caches are kept in memory, for this run only: %s", state_problem())
        return None
    for folder in (options.state_dir, options.state_dir / "downloads"):
        leftovers.sweep(folder)
    return options.state_dir / "sockets"


def listen_to_signals(loop: asyncio.AbstractEventLoop, signalled: Callable[[], None]) -> None:
    """Have SIGINT and SIGTERM call `signalled` in the loop; when it is closed they do nothing: the process is ending.

    Not by the loop's own add_signal_handler: when it is removed, and it is when the loop is closed, SIGINT is Python's
    again, and the next of many is a traceback.
    """

    def heard(number: int, _frame: FrameType | None) -> None:
        try:
            loop.call_soon_threadsafe(signalled)
        except RuntimeError:
            signal.signal(number, signal.SIG_IGN)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, heard)


def _tidy_memory() -> None:
    """Let garbage collections pass over what start-up has made, and come less often; give back what it has used.

    A request makes next to no cycles, and what it makes is gone with it; looking for them cost up to 4 % of a request.
    What start-up has freed glibc would keep: 4 MB. So it would with bodies of many megabytes: it takes the size of one
    that was freed for a reason to have the next in the heap (mallopt(3), M_MMAP_THRESHOLD), unless it is told a size.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 5, 5)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_THRESHOLD, 1 << 19)
            libc.malloc_trim(0)


def _engine(configured: str | None) -> Engine | None:
    """Find the engine; without one, commands that do not need it still work."""
    try:
        engine = find_engine(configured)
    except EngineMissing as error:
        logger.warning("%s", error)
        return None
    _tell(engine.findings)
    return engine


def _abilities(binary: str) -> Abilities:
    known = learn(binary)
    return Abilities() if isinstance(known, Unusable) else known[1]


def _tell(findings: tuple[Finding, ...]) -> None:
    levels = {"error": logging.ERROR, "warning": logging.WARNING, "note": logging.INFO}
    for finding in findings:
        logger.log(levels[finding.severity], "%s", finding.line())


def _summary(changes: Changes) -> str:
    if changes.nothing:
        return "nothing changed"
    kinds = {
        "added": changes.added,
        "removed": changes.removed,
        "to restart if loaded": changes.restart,
        "changed without restart": changes.soft,
        "settings": changes.settings,
    }
    return "; ".join(f"{kind}: {', '.join(sorted(names))}" for kind, names in kinds.items() if names)
