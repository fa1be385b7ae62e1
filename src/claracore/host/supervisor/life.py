"""How does one run of a model's server go, from the order to start until it is gone?

`Life.run` is one task: lease a port, bind the command, spawn, wait until it is ready *and* provably ours, tell so, wait
for its end or for the order to stop, close our connections to it, stop it, give the port back. A bind failure is not a
failure of the model: the next port is tried. Nothing is decided here about who runs when; that is the scheduler.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claracore.core.config.command import Bound, bind, uses_port
from claracore.core.config.model import ModelConfig
from claracore.core.ports.bindfail import is_bind_failure
from claracore.core.ports.fixed import endpoint_of
from claracore.errors import ClaraCoreError, ModelFailed, NotReadyInTime, too_many_files
from claracore.host.engines import states
from claracore.host.logs.output import OutputRing
from claracore.host.sockets.host import literal
from claracore.host.sockets.ports import Lease, PortKeeper
from claracore.host.sockets.unix import clear_path, socket_path
from claracore.host.supervisor.accepted import Acceptance, Told
from claracore.host.supervisor.child import Child, StillRuns
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.health import Loading, Patience, is_healthy, wait_until_ready
from claracore.host.supervisor.kin import MARK
from claracore.host.supervisor.program import SpawnFailed
from claracore.host.supervisor.verified import ListenerWatch, OwnerCheck, Stranger
from claracore.types import Endpoint

logger = logging.getLogger("claracore.supervisor")

BIND_TRIES = 5
LOOK_SECONDS = 1.0
"""Between two looks at whether a server still listens; each costs some 50 us."""
DYING_SECONDS = 0.1
"""Between the end of a process's sockets and what the kernel says of its end: 1 ms, rarely more."""
LAST_LINES = 12


@dataclass(slots=True)
class Phases:
    """When each phase of a start was over, in seconds of the monotonic clock; None while it is not."""

    ordered_at: float
    spawned_at: float | None = None
    ready_at: float | None = None

    @property
    def load_seconds(self) -> float:
        """How long it took from the order until it was ready; 0 while it is not."""
        return self.ready_at - self.ordered_at if self.ready_at is not None else 0.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every life needs of the rest."""

    keeper: PortKeeper
    commands: Commands
    environ: Mapping[str, str]
    socket_dir: Path | None
    """Where the Unix sockets of models with `transport: unix` are; None for the folder of this session."""
    told: Told = field(default_factory=set)


class _BindFailed(Exception):
    """The server could not have its port; `args` says what it printed."""


class _HeldFromIt(Exception):
    """The server ended before it was ready, perhaps because we held its port."""


@dataclass(slots=True)
class Life:
    """One run of a model's server. `endpoint` and `child` are set while it has them."""

    model: ModelConfig
    around: Surroundings
    output: OutputRing
    on_ready: Callable[[], None]
    on_closing: Callable[[Endpoint], None]
    on_told: Callable[[], None] = lambda: None
    """Called when `progress` or `asleep` is another."""
    on_lost: Callable[[str], None] = lambda _: None
    """Called once, with the reason, when nobody or somebody else answers at the endpoint although the process runs."""
    on_died: Callable[[], None] = lambda: None
    """Called when the process has ended by itself after it was ready, before anybody else hears of its end."""
    phases: Phases = field(default_factory=lambda: Phases(time.monotonic()))
    endpoint: Endpoint | None = None
    child: Child | None = None
    progress: Loading | None = None
    failure: ClaraCoreError | None = None
    asleep: bool = False
    """Whether the server has freed its memory until the next request (`--sleep-idle-seconds`)."""
    _tells_state: bool = False
    _patience: Patience | None = None
    """While it is waited for to become ready."""
    _told_ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server itself says that it is ready."""
    checked: bool = True
    """Whether connections are to be checked: not those to a server that somebody else runs, or elsewhere."""
    _watch: ListenerWatch | None = None
    """Whether the server that was verified still listens; None before that is known, and where it is not checked."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _accepted: Acceptance = field(init=False)
    _grace_seconds: float | None = None
    """Instead of the model's own."""

    def __post_init__(self) -> None:
        self._accepted = Acceptance(self.model, self.around.keeper, self.around.told)

    def kill(self) -> None:
        """Order the end, without any grace."""
        self._grace_seconds = 0.0
        self._stop.set()
        if self.child is not None:
            self.child.kill()

    def stop(self) -> None:
        """Order the end; the task of `run` carries it out."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether the end was ordered."""
        return self._stop.is_set()

    async def run(self) -> None:
        """Live; returns when the process is gone and its port given back. Why it failed is in `failure`."""
        try:
            await self._run()
        except SpawnFailed as error:
            way_out = self.around.commands.way_out(self.model)
            self.failure = SpawnFailed(f"model {self.model.id!r}: {error.message}{way_out}")
        except ClaraCoreError as error:
            self.failure = error
        except OSError as error:
            if not too_many_files(error):
                logger.exception("model %s: unexpected error", self.model.id)
            self.failure = ModelFailed(self.model.id, f"{error.strerror or error}")
        except Exception as error:
            # A bug of ours must not leave a model that is neither running nor ended.
            logger.exception("model %s: unexpected error", self.model.id)
            self.failure = ModelFailed(self.model.id, f"unexpected {type(error).__name__}: {error}")

    async def _run(self) -> None:
        if not self.model.cmd.strip():
            await self._use_external()
            return
        keeper, avoid = self.around.keeper, frozenset[int]()
        while True:
            lease = self._lease(avoid)
            try:
                await self._start_and_stop(lease)
            except _BindFailed as error:
                keeper.conflicts[self.model.id] += 1
                if lease is None or not uses_port(self.model) or len(avoid) + 1 >= BIND_TRIES:
                    raise ModelFailed(self.model.id, f"no port could be bound: {error}") from error
                if self.stopping:
                    return
                avoid |= {lease.port}
                logger.warning("model %s could not bind port %d, trying the next: %s", self.model.id, lease.port, error)
            except _HeldFromIt:
                if self.stopping:
                    return
                logger.info("model %s: its server ended; once more, with its port let go before", self.model.id)
            else:
                return
            finally:
                if lease is not None:
                    keeper.give_back(lease)

    async def _use_external(self) -> None:
        """Serve from a process that somebody else runs, as the configuration's `proxy` names it."""
        self.around.keeper.refuse_unusable(self.model.id)
        self.endpoint = endpoint_of(bind(self.model).proxy)
        self.checked = False
        self._tell_ready()
        # Connections stay open: nothing is stopped there, and models that share the server may be using them.
        await self._stop.wait()

    def _lease(self, avoid: frozenset[int]) -> Lease | None:
        keeper, model_id = self.around.keeper, self.model.id
        if model_id not in keeper.plan.assignment and model_id not in keeper.plan.fixed:
            return None
        lease = keeper.lease(model_id, can_share=self.around.commands.can_share(self.model), avoid=avoid)
        if lease.note:
            logger.warning("%s", lease.note)
        return lease

    async def _start_and_stop(self, lease: Lease | None) -> None:
        socket = self._clear_socket() if self.model.transport == "unix" else None
        bound = bind(self.model, port=lease.port if lease else None, socket=socket)
        self.endpoint = Endpoint(unix_path=socket) if socket else endpoint_of(bound.proxy)
        self._tells_state = self.around.commands.tells_state(self.model)
        self._told_ready.clear()
        states_env = states.ENVIRONMENT if self._tells_state else {}
        env = {**self.around.environ, **states_env, **bound.env, MARK: self.around.keeper.ledger.mark()}
        said: deque[str] = deque(maxlen=LAST_LINES)

        def hear(line: str) -> None:
            said.append(line)
            self.output.append(line)

        def hear_stdout(line: str) -> None:
            state = states.parse(line)
            if state is None:
                hear(line)
            else:
                self._note_state(state)

        if lease is not None:
            self.around.keeper.hand_over(lease)
        child = self.child = await Child.spawn(
            self.around.commands.argv(bound.argv, share=lease is not None and lease.shared),
            env=env,
            on_line=hear,
            on_stdout=hear_stdout if self._tells_state else None,
        )
        self.phases.spawned_at = time.monotonic()
        try:
            self.around.keeper.ledger.record_child(child.pid, self.model.id, env[MARK], child.pipe)
            if await self._becomes_ready(bound, child, lease, said):
                self.around.keeper.ledger.record_kin(child.pid, child.look_around())
                # First in the line of those who hear of it: nobody is sent to a dead server while the rest of it ends.
                child.exited.add_done_callback(lambda _: self._note_death())
                self._tell_ready()
                await self._until_end(child)
        finally:
            await self._end(child, bound, env)
            if child.exited.done():
                self._accepted.after(child.exited.result(), self._reached())
        if not self.stopping:
            raise ModelFailed(self.model.id, f"its server died: {child.exited.result()}", tuple(said))

    def _clear_socket(self) -> str:
        """Return the path of the model's Unix socket after removing what a dead server may have left there."""
        try:
            path = socket_path(self.around.socket_dir, self.model.id)
        except OSError as error:
            raise ModelFailed(self.model.id, str(error)) from error
        clear_path(path)
        return str(path)

    async def _becomes_ready(self, bound: Bound, child: Child, lease: Lease | None, said: deque[str]) -> bool:
        """Wait until the server answers (True) or the order to stop comes (False); raises as `wait_until_ready`."""
        self.endpoint = await literal(self._reached())
        check = self._accepted.check(self._reached(), child.pid, lease)
        self.checked = check is not None
        self._watch = self._watch_of(check, bound.check_endpoint) if check is not None else None
        patience = self._patience = Patience(self.model.health_check_timeout_seconds)
        waiting = asyncio.ensure_future(
            wait_until_ready(
                self._reached(),
                bound.check_endpoint,
                child=child,
                patience=patience,
                model=self.model.id,
                output=self.output,
                on_progress=None if self._tells_state else self._note_progress,
                verify=check.verify if check is not None else None,
                hint=self._told_ready if self._tells_state else None,
            )
        )
        try:
            await self._first_of(waiting)
            if not waiting.done():
                return False
            waiting.result()
        except Stranger as error:
            raise _BindFailed(str(error)) from error
        except NotReadyInTime:
            if lease is not None:
                self.around.keeper.doubt(lease, hung=True)
            raise
        except ModelFailed as error:
            if lease is not None and child.exited.done():
                if self.around.keeper.doubt(lease):
                    raise _HeldFromIt from error
                if is_bind_failure(said, port=lease.port):
                    raise _BindFailed(next((line for line in said if is_bind_failure([line])), "")) from error
            returned = child.exited.done() and child.exited.result().code == 0
            hint = self.around.commands.hint(self.model, returned=returned)
            raise ModelFailed(self.model.id, error.reason + hint, tuple(said)) from error
        else:
            return True
        finally:
            waiting.cancel()
            await asyncio.wait({waiting})

    def _watch_of(self, check: OwnerCheck, check_endpoint: str) -> ListenerWatch:
        return ListenerWatch(
            check,
            is_ready=lambda: is_healthy(self._reached(), check_endpoint),
            is_ending=self._is_ending,
            on_lost=self._note_lost,
        )

    async def _end(self, child: Child, bound: Bound, env: Mapping[str, str]) -> None:
        """Stop the process if it still runs.

        llama-server does not end while a client is connected, so our connections go first. One that reports its state
        reads stdin once it is ready, and ends by that in half the time of SIGTERM, or at SIGTERM and with that line.
        """
        where = self._reached()
        try:
            self.on_closing(where)
        finally:
            stop_argv = bind(self.model, port=where.port or None, socket=where.unix_path, pid=child.pid).stop_argv
            grace = self.model.unload_timeout_seconds if self._grace_seconds is None else self._grace_seconds
            try:
                await child.stop(
                    grace,
                    stop_argv=stop_argv,
                    env={**env, **bound.env},
                    exit_line=states.EXIT if self._tells_state else b"",
                    reads_stdin=self._told_ready.is_set(),
                )
            except StillRuns as error:
                self._give_up(error)
            self.around.keeper.ledger.forget_child(child.pid)

    def _give_up(self, error: StillRuns) -> None:
        """Say that what is left of the server goes on, on its port, and that nothing waits for it any more."""
        way_out = ""
        if error.refused and not self.model.cmd_stop.strip():
            way_out = "; end it by hand, and let `cmdStop: sudo kill ${PID}` do so the next time"
        elif error.refused:
            way_out = f"; cmdStop ({self.model.cmd_stop.strip()!r}) did not end it: end it by hand"
        where = self._reached()
        keeps = f", and keeps port {where.port} if it listens there" if where.port else ""
        logger.error("model %s: could not end %s. It goes on running%s%s", self.model.id, error, keeps, way_out)

    async def _until_end(self, child: Child) -> None:
        """Wait until the process ends or is to end.

        Once a second it is seen to that the verified server still listens, also when nobody asks: its leader may be a
        script, and a llama-server that reports its state and gets SIGTERM from somebody else (a person, an
        out-of-memory daemon) closes its socket and then waits for our word.
        """
        while not (child.exited.done() or self.stopping):
            await self._first_of(child.exited, LOOK_SECONDS if self.checked and not self.lost else None)
            if not child.exited.done():
                await self.confirm(in_passing=True)

    async def reaches(self, connection: socket.socket) -> bool:
        """Whether a connection opened just now can have reached nobody but the verified server (~30 us).

        Not while it starts: who asks then was sent to an earlier run, at the same endpoint. Raises OSError when too
        many files are open to look.
        """
        return not self.checked or ((watch := self._watch_when_ready) is not None and await watch.reaches(connection))

    async def confirm(self, *, in_passing: bool = False) -> bool:
        """Look anew at who answers: True when it is the verified server, or ours again and ready; see `lost`.

        `in_passing`: nobody has failed to reach it, so that an endpoint without a listener is not tried.
        """
        watch = self._watch_when_ready
        return watch is not None and not self.stopping and await watch.confirm(in_passing=in_passing)

    @property
    def lost(self) -> bool:
        """Whether it was ready, and nobody or somebody else answers now; `failure` says who."""
        return self._watch is not None and self._watch.lost

    @property
    def _watch_when_ready(self) -> ListenerWatch | None:
        return self._watch if self.phases.ready_at is not None else None

    def _note_lost(self, why: str) -> None:
        self.failure = ModelFailed(self.model.id, why, self.output.tail(LAST_LINES))
        self.on_lost(why)

    async def _is_ending(self) -> bool:
        """Whether the process was told to end, or has just died: of that we hear a moment after its sockets close."""
        if self.child is not None:
            await asyncio.wait({self.child.exited}, timeout=DYING_SECONDS)
        return self.stopping or self.child is None or self.child.exited.done()

    async def _first_of(self, future: asyncio.Future[Any], timeout_seconds: float | None = None) -> None:
        """Wait for the future or for the order to stop."""
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({future, stop}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()

    def _tell_ready(self) -> None:
        self.phases.ready_at = time.monotonic()
        self.on_ready()

    def _note_death(self) -> None:
        if not self.stopping:
            self.on_died()

    def _note_progress(self, progress: Loading) -> None:
        self.progress = progress
        self.on_told()

    def _note_state(self, state: states.State) -> None:
        self.asleep = state.name == "sleeping"
        if state.name == "loading":
            loading = Loading(state.loading, state.progress)
            if self._patience is not None:
                self._patience.hear(loading)
            self._note_progress(loading)
            return
        if state.name == "ready":
            self._told_ready.set()
        self.on_told()

    def _reached(self) -> Endpoint:
        assert self.endpoint is not None, "set before anything asks"  # noqa: S101 - a promise of this class
        return self.endpoint
