"""How does one run of a model's server on this host go, from the order to start until it is gone?

`Life.run` is one task: lease a port, run a process on it (`server_process`), give the port back. A bind failure is no
failure of the model: the next port is tried. Nothing is decided here about who runs when; that is the scheduler.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass

from claracore.core.config.command import uses_port
from claracore.core.config.model import ModelConfig
from claracore.core.loading.failure_kinds import FailureKind
from claracore.errors import ClaraCoreError, Explained, ModelFailed, NotReadyInTime, too_many_files
from claracore.host.logs.output import OutputRing
from claracore.host.sockets.ports import Lease
from claracore.host.supervisor.adopted import Adoption
from claracore.host.supervisor.adopted_server import AdoptedServer
from claracore.host.supervisor.external import ExternalRun
from claracore.host.supervisor.in_container import prepared, with_image
from claracore.host.supervisor.named_files import Stamp, stamp_of
from claracore.host.supervisor.program import SpawnFailed
from claracore.host.supervisor.runner import Outcome, RunListener, ServerRun
from claracore.host.supervisor.running import Running
from claracore.host.supervisor.server_process import ServerProcess
from claracore.host.supervisor.start_failures import BindFailed, DiedRestoring, HeldFromIt
from claracore.host.supervisor.start_judged import not_spawned
from claracore.host.supervisor.stop_order import StopOrder
from claracore.host.supervisor.surroundings import Surroundings
from claracore.types import ModelState

logger = logging.getLogger("claracore.supervisor")

BIND_TRIES = 5
NO_PORT = "See who has it: `claracore ports why N`, or the page Ports"


@dataclass(frozen=True, slots=True)
class LocalRunner:
    """Runs models' servers as processes of this host."""

    around: Surroundings

    def new_run(self, model: ModelConfig, output: OutputRing, listener: RunListener) -> ServerRun:
        """Return a run of the model's command; without one, of the server that somebody else runs."""
        if not model.cmd.strip():
            return ExternalRun(model, self.around.keeper, listener)
        return Life(model, self.around, output, listener)

    async def foreseen(self, model: ModelConfig, output: OutputRing) -> ClaraCoreError | None:
        """Return with what a start is sure to fail; the image of a container is fetched for that."""
        try:
            self.around.keeper.refuse_unusable(model.id)
            if model.container is not None:
                await with_image(model, self.around, output, StopOrder())
                return None
        except ClaraCoreError as error:
            return error
        from claracore.host.supervisor.foreseen import foreseen  # noqa: PLC0415 - compiles a table of expressions

        return await asyncio.to_thread(foreseen, model, self.around) if model.cmd.strip() else None

    def stamp(self, model: ModelConfig) -> Stamp:
        """Return what the files look like that the model's command names."""
        return stamp_of(model, self.around.environ)


class Life:
    """One run of a model's server as a process of this host, or as several, one after another."""

    def __init__(
        self,
        model: ModelConfig,
        around: Surroundings,
        output: OutputRing,
        listener: RunListener,
        adoption: Adoption | None = None,
    ) -> None:
        """Nothing is started yet; with an `adoption` its server runs already."""
        self._model = model
        self._adoption = adoption
        self._around = around
        self._output = output
        self._listener = listener
        self._stop = StopOrder()
        self._process: ServerProcess | None = None
        """The last one; the ones before it could not have their ports."""

    @property
    def restartable(self) -> bool:
        """Whether requests may wait for another start: not for a command whose server is on another machine."""
        return self._process is None or self._process.verifiable

    def stop(self) -> None:
        """Order the end; the task of `run` carries it out."""
        self._stop.give()

    def sleep(self) -> None:
        """Order that the process gives its memory back; without one, or without a word for it, the end."""
        if self._process is None or not self._process.nap.sleep():
            self._stop.give()

    def wake(self) -> None:
        """Order that the process takes its memory again."""
        if self._process is None or not self._process.nap.wake():
            self._stop.give()

    def kill(self) -> None:
        """Order the end, without any grace."""
        self._stop.give(at_once=True)
        if self._process is not None and self._process.child is not None:
            self._process.child.kill()

    @property
    def process(self) -> ServerProcess | None:
        """The present process; None while there is none."""
        return self._process

    @property
    def model(self) -> ModelConfig:
        """What it was started with."""
        return self._model

    def running(self, state: ModelState) -> Running:
        """Return how it is now; `state` is what the scheduler says of its model."""
        process = self._process
        if process is None:
            return Running(state)
        pid = process.child.pid if process.child is not None else None
        reports = process.reports
        return Running(
            state,
            process.endpoint,
            pid,
            process.spawned_at,
            reports.loading,
            reports.asleep,
            process.restore_seconds,
            reports.phase,
        )

    async def reaches(self, connection: socket.socket) -> bool:
        """Whether a connection opened just now can have reached nobody but the verified server; see `ServerRun`."""
        return self._process is not None and await self._process.reaches(connection)

    async def confirm(self) -> bool:
        """Look anew at who answers: True when it is the verified server, or ours again and ready."""
        return self._process is not None and await self._process.confirm()

    async def run(self) -> Outcome:
        """Return when the process is gone and its port given back."""
        failure = await self._failure()
        process = self._process
        lost = process is not None and process.lost
        if failure is None and lost and process is not None:
            failure = process.lost_because
        return Outcome(failure, lost) if lost or not self._stop.given else Outcome()

    async def _failure(self) -> ClaraCoreError | None:
        """Run the server; returns why it did not go as it should have, None if it did until its end was ordered."""
        try:
            await self._try_ports()
        except SpawnFailed as error:
            return not_spawned(self._model, error, self._around.commands)
        except ClaraCoreError as error:
            return error
        except OSError as error:
            if not too_many_files(error):
                logger.exception("model %s: unexpected error", self._model.id)
            return ModelFailed(self._model.id, f"{error.strerror or error}")
        return None

    async def _try_ports(self) -> None:
        model = await self._prepared()
        if model is None:
            return
        keeper, avoid = self._around.keeper, frozenset[int]()
        while True:
            lease = self._lease(avoid)
            try:
                self._process = self._new_process(model, lease)
                await self._process.run()
            except BindFailed as error:
                avoid |= self._not_bound(model, lease, len(avoid) + 1, error)
                if self._stop.given:
                    return
            except HeldFromIt:
                if self._stop.given:
                    return
                logger.info("model %s: its server ended; once more, with its port let go before", model.id)
            except DiedRestoring:
                logger.warning(
                    "model %s: its server ended when conversations were restored; once more without", model.id
                )
            except (ModelFailed, NotReadyInTime, SpawnFailed) as error:
                if not await self._goes_back(error):
                    raise
            else:
                return
            finally:
                if lease is not None:
                    keeper.give_back(lease)

    async def _prepared(self) -> ModelConfig | None:
        if self._adoption is not None:
            return self._model
        return await prepared(self._model, self._around, self._output, self._stop)

    def _new_process(self, model: ModelConfig, lease: Lease | None) -> ServerProcess:
        parts = (model, self._around, self._output)
        if self._adoption is not None:
            return AdoptedServer(*parts, adoption=self._adoption, stop=self._stop, listener=self._listener)
        return ServerProcess(*parts, lease=lease, stop=self._stop, listener=self._listener)

    def _not_bound(self, model: ModelConfig, lease: Lease | None, tries: int, error: BindFailed) -> frozenset[int]:
        """Return the port that is not to be tried again. Raises ModelFailed when there is no other to try."""
        self._around.keeper.conflicts[model.id] += 1
        if lease is None or not uses_port(model) or tries >= BIND_TRIES:
            explained = Explained(FailureKind.PORT, "no port could be bound", str(error), NO_PORT)
            raise ModelFailed(model.id, f"no port could be bound: {error}", (), explained) from error
        if not self._stop.given:
            logger.warning("model %s could not bind port %d, trying the next: %s", model.id, lease.port, error)
        return frozenset({lease.port})

    async def _goes_back(self, error: ClaraCoreError) -> bool:
        """Whether the start is made once more, with the build of the engine that was in use before."""
        builds, process = self._around.commands.builds, self._process
        if builds is None or process is None or process.became_ready or self._stop.given:
            return False
        return await asyncio.to_thread(builds.failed, self._model, process.program, error)

    def _lease(self, avoid: frozenset[int]) -> Lease | None:
        if self._adoption is not None:
            return self._adoption.given.lease
        keeper, model_id = self._around.keeper, self._model.id
        if model_id not in keeper.plan.assignment and model_id not in keeper.plan.fixed:
            return None
        lease = keeper.lease(model_id, can_share=self._around.commands.can_share(self._model), avoid=avoid)
        if lease.note:
            logger.warning("%s", lease.note)
        return lease
