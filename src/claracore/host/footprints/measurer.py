"""When is it measured what a model's server takes?

When it is ready, when its first answer has begun (the first prompt makes it grow), and then more and more seldom for as
long as it runs: caches of conversations grow. Follows what becomes of servers as the supervisor's listener.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from claracore.core.memory.engine_log import MARK, engine_buffers
from claracore.core.scheduler.events import SecondTry, StopReason
from claracore.host.activity.swaps import Swap
from claracore.host.footprints.model_memory import ModelMemory
from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.core.config.model import ModelConfig
    from claracore.host.hardware.memory_devices import MemoryDevices
    from claracore.host.supervisor.loop import Supervisor

FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS = 60.0, 1800.0
BEFORE_SECONDS, BEFORE_LOOKS = 1.0, 10
"""For how long is looked, and how often, what was in use before a server took something."""
MOST_LINES = 1000
logger = logging.getLogger("claracore.memory")


@dataclass(slots=True, eq=False)
class _Run:
    """One run of a model's server."""

    model: ModelConfig
    unseen: frozenset[str] = frozenset()
    """Devices that do not tell what its processes have."""
    before: dict[str, int] = field(default_factory=dict)
    """What was in use on these when it was started."""
    undisturbed: bool = True
    """Whether no other server has come or gone since."""
    lines: list[str] = field(default_factory=list)
    """Those of its log that tell of buffers, until it is ready."""
    measured: bool = False
    wait_seconds: float = FIRST_WAIT_SECONDS
    timer: asyncio.TimerHandle | None = None

    def push(self, line: str) -> None:
        """Take a line of its log (`logs.output.LineListener`)."""
        if MARK in line and len(self.lines) < MOST_LINES:
            self.lines.append(line)


class Measurer:
    """Measures servers as they come, and has it remembered."""

    def __init__(self, supervisor: Supervisor, memory: ModelMemory) -> None:
        self._supervisor = supervisor
        self.memory = memory
        memory.connect(supervisor)
        self._runs: dict[str, _Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def look(self) -> None:
        """Read the commands of models that are new or changed, in the background."""
        self._spawn(self.memory.prepare(), "read the commands of models")

    async def close(self) -> None:
        """Measure no more."""
        for run in self._runs.values():
            _stop_timer(run)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what becomes of servers (supervisor.contract.ModelListener) ------------------------------------------------

    def waiting(self, model: str) -> None:
        """Do nothing."""

    def starting(self, model: str) -> None:
        """Note what is in use before a server is there."""
        self._disturb()
        run = self._runs[model] = _Run(self.memory.as_started(self._supervisor.config.models[model]))
        self._supervisor.output(model).attach(run)
        tools = self.memory.tools
        if tools is not None:
            from claracore.host.footprints.containers import is_container  # noqa: PLC0415 - see ModelMemory

            run.unseen = frozenset(tools.devices.ids) if is_container(run.model) else tools.devices.silent
            self._look_before(run, tools.devices, BEFORE_LOOKS)

    def _look_before(self, run: _Run, devices: MemoryDevices, looks: int) -> None:
        """Take the least that is in use while the server is only beginning: drivers give memory back late."""
        for device in run.unseen:
            used = devices.use(device).used
            run.before[device] = min(used, run.before.get(device, used))
        if run.unseen and looks > 1:
            again = asyncio.get_running_loop().call_later
            run.timer = again(BEFORE_SECONDS / BEFORE_LOOKS, self._look_before, run, devices, looks - 1)

    def ready(self, model: str) -> None:
        """Measure it, and again later."""
        run = self._runs.get(model)
        if run is not None:
            self._supervisor.output(model).detach(run)
            self._begin(model, run)

    def answered(self, swap: Swap) -> None:
        """Measure again when the first answer of a server has begun."""
        run = self._runs.get(swap.model)
        if run is not None and swap.phases.first_token_seconds is not None and swap.ended_at is None:
            self._begin(swap.model, run)

    def stopping(self, model: str, reason: StopReason) -> None:
        """Measure no more what is about to end."""
        del reason
        if (run := self._runs.get(model)) is not None:
            _stop_timer(run)

    def ended(self, model: str) -> None:
        """Forget a server that is gone."""
        self._disturb()
        run = self._runs.pop(model, None)
        if run is not None:
            _stop_timer(run)
            self._supervisor.output(model).detach(run)
        self.memory.inside[model] = ()

    def trying_again(self, model: str, how: SecondTry) -> None:
        """Do nothing."""

    def reported(self, model: str) -> None:
        """Do nothing."""

    def pinned(self, model: str) -> None:
        """Do nothing."""

    def _disturb(self) -> None:
        for run in self._runs.values():
            run.undisturbed = False

    # --- measuring --------------------------------------------------------------------------------------------------

    def _begin(self, model: str, run: _Run) -> None:
        _stop_timer(run)
        self._spawn(self._measure(model, run), f"measure {model}")

    def _spawn(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s ended with an unexpected error", task.get_name(), exc_info=error)

    async def _measure(self, model: str, run: _Run) -> None:
        server = self._supervisor.running(model)
        if server is not None and server.pid is not None and not server.asleep:
            await asyncio.to_thread(self._measure_now, model, run, server.pid)
            self.memory.changed(model)
        if self._runs.get(model) is run and self._supervisor.state(model) is ModelState.READY:
            _stop_timer(run)
            run.timer = asyncio.get_running_loop().call_later(run.wait_seconds, self._begin, model, run)
            run.wait_seconds = min(2 * run.wait_seconds, MOST_WAIT_SECONDS)

    def _measure_now(self, model: str, run: _Run, pid: int) -> None:
        from claracore.core.memory.measured import MeasuredCommand  # noqa: PLC0415 - see ModelMemory
        from claracore.host.footprints.containers import container_pids, is_container  # noqa: PLC0415
        from claracore.host.footprints.measuring import ServerSeen, measure  # noqa: PLC0415
        from claracore.host.hardware.usage import command_line, family  # noqa: PLC0415

        first = not run.measured
        command = self.memory.read_again(run.model) if first else self.memory.command(model)
        tools = self.memory.tools
        if command is None or tools is None:  # configured anew meanwhile
            return
        pids = tuple(family(pid))
        if is_container(run.model):
            inside = container_pids(run.model, argvs=map(command_line, pids))
            self.memory.inside[model] = tuple(inside)
            pids = (*pids, *inside) if inside else ()
        command = tools.reader.as_running(command, map(command_line, pids), tools.devices)
        before = run.before if run.undisturbed else None
        taken = measure(tools.devices, ServerSeen(pids, command, engine_buffers(run.lines), before))
        # Who has begun to end by now has given back some of it.
        if taken is None or self._runs.get(model) is not run or self._supervisor.state(model) is not ModelState.READY:
            return
        found = MeasuredCommand(model, "", (taken.by_device,), round(time.time(), 3), overheads=taken.overheads)
        self.memory.remember(command, found, same_run=run.measured)
        run.measured = True


def _stop_timer(run: _Run) -> None:
    if run.timer is not None:
        run.timer.cancel()
        run.timer = None
