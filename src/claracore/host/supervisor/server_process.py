"""How does one process of a model's server go, on one port, from its start until all of it is gone?

Spawn, wait until it answers *and* is provably ours, say so, wait for its end or for the order to stop, close our
connections to it, stop it. Which port it gets, and whether another one is tried after it, is `life`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from typing import TYPE_CHECKING

from claracore.core.config.command import bind
from claracore.core.config.model import ModelConfig
from claracore.core.ports.fixed import endpoint_of
from claracore.errors import ModelFailed, NotReadyInTime
from claracore.host.engines import states
from claracore.host.logs.output import OutputRing
from claracore.host.sockets.host import literal
from claracore.host.sockets.ports import Lease
from claracore.host.sockets.unix import clear_path, socket_path
from claracore.host.supervisor.accepted import Acceptance
from claracore.host.supervisor.child import Child, StillRuns
from claracore.host.supervisor.given_up import given_up
from claracore.host.supervisor.health import LAST_LINES, ReadyDeadline, is_healthy, wait_until_ready
from claracore.host.supervisor.in_container import check_publisher, removed
from claracore.host.supervisor.kin import MARK
from claracore.host.supervisor.nap import NapTasks
from claracore.host.supervisor.ran_out import StartLog
from claracore.host.supervisor.reports import Reports
from claracore.host.supervisor.runner import RunListener
from claracore.host.supervisor.start_failures import BindFailed, DiedRestoring
from claracore.host.supervisor.start_judged import BrokenStart, why_not_ready
from claracore.host.supervisor.stop_order import StopOrder
from claracore.host.supervisor.surroundings import Surroundings
from claracore.host.supervisor.verified import OwnerCheck, SocketWatch, Stranger
from claracore.types import Endpoint

if TYPE_CHECKING:
    from claracore.host.conversations.server import ServerConversations

logger = logging.getLogger("claracore.supervisor")

LOOK_SECONDS = 1.0
"""Between two looks at whether a server still listens; each costs some 50 us."""
DYING_SECONDS = 0.1
"""Between the end of a process's sockets and what the kernel says of its end: 1 ms, rarely more."""
HUNG_UP_SECONDS = 5.0
"""For how long a server that hangs up instead of restoring is taken to be ending: it may write down how that came."""


class ServerProcess:
    """One process of a model's server; `run` is all of it."""

    def __init__(
        self,
        model: ModelConfig,
        around: Surroundings,
        output: OutputRing,
        *,
        lease: Lease | None,
        stop: StopOrder,
        listener: RunListener,
    ) -> None:
        """Nothing is started yet. Raises ModelFailed when there is no place for the model's socket, ValueError."""
        self.model = model
        self.child: Child | None = None
        self.spawned_at: float | None = None
        """In seconds of `time.monotonic()`."""
        self.reports = Reports(lambda: listener.reported(model.id), cmd=model.cmd)
        self.nap = NapTasks(self, listener, stop.give)
        self.program = ""  # what its command began with, once it was started: another engine may be in use by then
        self.verifiable = True
        """Whether it can be verified who listens, and connections are checked: not for a server on another machine."""
        self.lost_because: ModelFailed | None = None
        self._around = around
        self._output = output
        self.lease = lease
        self._stop = stop
        self._listener = listener
        socket_file = self._socket_file()
        self._bound = bind(model, port=lease.port if lease else None, socket=socket_file)
        self.endpoint = Endpoint(unix_path=socket_file) if socket_file else endpoint_of(self._bound.proxy)
        self._reports_state = around.commands.tells_state(model)
        states_env = states.ENVIRONMENT if self._reports_state else {}
        self._env = {**around.environ, **states_env, **self._bound.env, MARK: self._mark()}
        self._printed: deque[str] = deque(maxlen=LAST_LINES)
        self._start_log = StartLog()
        self._accepted = Acceptance(model, around.keeper, around.announced)
        self._watch: SocketWatch | None = None
        """Whether who was verified still listens; None before that is known, and where it is not `verifiable`."""
        self.became_ready = False
        self.is_given = False  # True while another process looks after it
        self._conversations: ServerConversations | None = None

    @property
    def restore_seconds(self) -> float | None:
        """How long it took to bring its conversations back; None where there were none."""
        return self._conversations.restore_seconds if self._conversations is not None else None

    async def run(self) -> None:
        """Return when the process is gone and the end was ordered.

        Raises SpawnFailed, BindFailed, HeldFromIt, DiedRestoring, NotReadyInTime, ModelFailed, OSError.
        """
        child = self.child = await self._begun()
        try:
            if await self._is_there(child):
                # First in the line of those who hear of it: nobody is sent to a dead server while the rest of it ends.
                child.exited.add_done_callback(lambda _: self._note_death())
                self.became_ready = True
                await self._serves()
                await self._until_end(child)
        finally:
            await self.nap.close()
            await self._end(child)
            if child.exited.done():
                self._accepted.after(child.exited.result(), self.endpoint)
        if not self._stop.given:
            raise ModelFailed(self.model.id, f"its server died: {child.exited.result()}", tuple(self._printed))

    async def _begun(self) -> Child:
        if self._around.conversations is not None:
            self._conversations = await self._around.conversations.begin(self.model)
        more = self._conversations.words if self._conversations is not None else ()
        if lease := self.lease:
            self._around.keeper.hand_over(lease)
        argv = (*self._around.commands.argv(self._bound.argv, share=bool(lease and lease.shared)), *more)
        self.program = argv[0]
        on_stdout = self._on_stdout if self._reports_state else None
        child = await Child.spawn(argv, env=self._env, on_line=self._on_line, on_stdout=on_stdout)
        self.spawned_at = time.monotonic()
        return child

    async def _is_there(self, child: Child) -> bool:
        """Wait until it is ready; False when the order to stop comes first."""
        ledger = self._around.keeper.ledger
        ledger.record_child(child.pid, self.model.id, self._env[MARK], child.pipe)
        if not (await self._becomes_ready(child) and await self._gets_conversations(child)):
            return False
        ledger.record_kin(child.pid, child.look_around())
        return True

    async def _serves(self) -> None:
        self._listener.ready(self.model.id, self.endpoint)
        await self._around.commands.loaded(self.model, self.program)

    # --- what is asked of it while it runs --------------------------------------------------------------------------

    async def reaches(self, connection: socket.socket) -> bool:
        """Whether a connection opened just now can have reached nobody but the verified server; see `ServerRun`."""
        return not self.verifiable or (
            (watch := self._watch_when_ready) is not None and await watch.reaches(connection)
        )

    async def confirm(self, *, in_passing: bool = False) -> bool:
        """Look anew at who answers: True when it is the verified server, or ours again and ready; see `lost`.

        `in_passing`: nobody has failed to reach it, so that an endpoint without a listener is not tried.
        """
        watch = self._watch_when_ready
        return watch is not None and not self._stop.given and await watch.confirm(in_passing=in_passing)

    async def answers_again(self) -> bool:
        """Whether it answers, and is who was verified; waits until it does. Raises ModelFailed, NotReadyInTime."""
        if self.child is None:
            return False
        check, deadline = self._bound.check_endpoint, ReadyDeadline(self.model.health_check_timeout_seconds)
        name, output = self.model.id, self._output
        await wait_until_ready(self.endpoint, check, child=self.child, deadline=deadline, model=name, output=output)
        return not self.verifiable or await self.confirm()

    @property
    def lost(self) -> bool:
        """Whether it was ready, and nobody or somebody else answers now; `lost_because` says who."""
        return self._watch is not None and self._watch.lost

    @property
    def _watch_when_ready(self) -> SocketWatch | None:
        """None while it starts: who asks then was sent to an earlier process, at the same endpoint."""
        return self._watch if self.became_ready else None

    # --- start ------------------------------------------------------------------------------------------------------

    def _mark(self) -> str:
        """Return by what all that comes of the process is known."""
        return self._around.keeper.ledger.mark()

    def _socket_file(self) -> str | None:
        """Return the path of the model's Unix socket after removing what a dead server may have left there."""
        if self.model.transport != "unix":
            return None
        try:
            path = socket_path(self._around.socket_dir, self.model.id)
        except OSError as error:
            raise ModelFailed(self.model.id, str(error)) from error
        clear_path(path)
        return str(path)

    def _on_line(self, line: str) -> None:
        self._printed.append(line)
        if self._conversations is not None:
            self._conversations.hear(line)
        if not self.became_ready:
            self._start_log.push(line)
            self.reports.hear(line)
        self._output.append(line)

    def _on_stdout(self, line: str) -> None:
        if not self.reports.take(line):
            self._on_line(line)

    async def _becomes_ready(self, child: Child) -> bool:
        """Wait until the server answers (True) or the order to stop comes (False); raises as `run`."""
        self.endpoint = await literal(self.endpoint)
        check = self._accepted.check(self.endpoint, child.pid, self.lease)
        self.verifiable = check is not None
        self._watch = self._watch_of(check) if check is not None else None
        deadline = self.reports.deadline = ReadyDeadline(self.model.health_check_timeout_seconds)
        waiting = asyncio.ensure_future(
            wait_until_ready(
                self.endpoint,
                self._bound.check_endpoint,
                child=child,
                deadline=deadline,
                model=self.model.id,
                output=self._output,
                on_progress=None if self._reports_state else self.reports.take_loading,
                verify=check.verify if check is not None else None,
                hint=self.reports.says_ready if self._reports_state else None,
            )
        )
        try:
            await self._stop.or_done(waiting)
            if not waiting.done():
                return False
            waiting.result()
        except Stranger as error:
            raise BindFailed(str(error)) from error
        except NotReadyInTime:
            if self.lease is not None:
                self._around.keeper.doubt(self.lease, hung=True)
            raise
        except ModelFailed as error:
            how = child.exited.result() if child.exited.done() else None
            start = BrokenStart(self.model, self.lease, self._around, tuple(self._printed), self._start_log)
            raise why_not_ready(start, error.reason, how) from error
        else:
            await check_publisher(self.model, self._bound.argv, self.endpoint.port, self._around)
            return True
        finally:
            waiting.cancel()
            await asyncio.wait({waiting})

    def _watch_of(self, check: OwnerCheck) -> SocketWatch:
        return SocketWatch(
            check,
            is_ready=lambda: is_healthy(self.endpoint, self._bound.check_endpoint),
            is_ending=self._is_ending,
            on_lost=self._note_lost,
        )

    async def _gets_conversations(self, child: Child) -> bool:
        """Bring conversations back before the first request; False when the order to stop comes first."""
        if self._conversations is not None:
            self.reports.restoring()
            await self._stop.beside(child.exited, self._conversations.restore(self.endpoint))
            if self._conversations.cut_off:
                await asyncio.wait({child.exited}, timeout=HUNG_UP_SECONDS)
            if child.exited.done() and not self._stop.given:
                self._conversations.crashed()
                raise DiedRestoring
        return not self._stop.given

    # --- end --------------------------------------------------------------------------------------------------------

    async def _until_end(self, child: Child) -> None:
        """Wait until the process ends or is to end.

        Once a second it is seen to that the verified server still listens, also when nobody asks: its leader may be a
        script, and a llama-server that reports its state and gets SIGTERM from somebody else (a person, an
        out-of-memory daemon) closes its socket and then waits for our word.
        """
        while not (child.exited.done() or self._stop.given):
            await self._stop.or_done(child.exited, LOOK_SECONDS if self.verifiable and not self.lost else None)
            if not child.exited.done() and not self.is_given:
                await self.confirm(in_passing=True)
                await self._save_ahead(child)

    async def _save_ahead(self, child: Child) -> None:
        """Save conversations of a server that is idle; an order to stop waits for the one that is being written."""
        may = not (self._stop.given or self.lost or self.reports.asleep)
        if may and self._conversations is not None and self._conversations.due_ahead:
            saving = self._conversations.save_ahead(self.endpoint, lambda: self._stop.given)
            await self._stop.beside(child.exited, saving, only_at_once=True)

    @property
    def _is_well(self) -> bool:
        """Whether it ends on purpose, and has something to save: one that sleeps would load its model for that."""
        return self.became_ready and self._stop.given and not (self.lost or self.reports.asleep)

    def _note_death(self) -> None:
        if not self._stop.given:
            self._listener.died(self.model.id)

    def _note_lost(self, why: str) -> None:
        self.lost_because = ModelFailed(self.model.id, why, self._output.tail(LAST_LINES))
        self._listener.lost(self.model.id, why)

    async def _is_ending(self) -> bool:
        """Whether the process was told to end, or has just died: of that we hear a moment after its sockets close."""
        if self.child is not None:
            await asyncio.wait({self.child.exited}, timeout=DYING_SECONDS)
        return self._stop.given or self.child is None or self.child.exited.done()

    async def _end(self, child: Child) -> None:
        """Stop the process if it still runs.

        llama-server does not end while a client is connected, so our connections go first. One that reports its state
        reads stdin once it is ready, and ends by that in half the time of SIGTERM, or at SIGTERM and with that line.
        """
        where = self.endpoint
        saving = self._conversations if self._is_well else None
        try:
            self._listener.closing(where)
            if saving is not None:
                await self._stop.beside(child.exited, saving.save(where), only_at_once=True)
        finally:
            kept = self._conversations
            listing = asyncio.create_task(kept.list_saved()) if kept is not None else None
            try:
                await self._stop_child(child, where)
            finally:
                if listing is not None:
                    await listing

    async def _stop_child(self, child: Child, where: Endpoint) -> None:
        stop_argv = bind(self.model, port=where.port or None, socket=where.unix_path, pid=child.pid).stop_argv
        line, reads = states.EXIT if self._reports_state else b"", self.reports.says_ready.is_set()
        grace_seconds = 0.0 if self._stop.at_once else self.model.unload_timeout_seconds
        try:
            await child.stop(grace_seconds, stop_argv=stop_argv, env=self._env, exit_line=line, reads_stdin=reads)
        except StillRuns as error:
            cmd_stop = self.model.cmd_stop.strip()
            logger.error("model %s: %s", self.model.id, given_up(error, cmd_stop, where.port))  # noqa: TRY400 - no bug
        await removed(self.model, self._bound.argv, self._around)
        self._around.keeper.ledger.forget_child(child.pid)
