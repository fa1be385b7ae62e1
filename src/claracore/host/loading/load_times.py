"""How long do loads of models take, how far is each, and what is made of the time in which one waits?

Follows what becomes of servers as a listener of the supervisor. When a load begins, or somebody begins to wait for one,
it is looked how much of the model's files is in memory; when it is over, what it took is remembered. Looks and reads
are made in threads; what is asked here is answered at once, with what was seen last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from claracore.core.loading.expected import NOTHING_EXPECTED, ExpectedLoad
from claracore.core.loading.past import ModelFile, PastLoad
from claracore.core.loading.phases import LoadPhase
from claracore.core.memory.footprint import RAM
from claracore.core.scheduler.events import SecondTry, StopReason
from claracore.core.scheduler.slot import Nap
from claracore.core.units import MIB, gib
from claracore.host.footprints.model_memory import ModelMemory
from claracore.host.loading.next_up import WAITING, NextUp
from claracore.host.loading.under_way import LoadUnderWay, Looked

if TYPE_CHECKING:
    from claracore.host.loading.read_ahead import ReadAhead, WasRead
    from claracore.host.loading.remembered_loads import RememberedLoads
    from claracore.host.supervisor.loop import Supervisor

logger = logging.getLogger("claracore.loading")

NOTABLE_BYTES: Final = 256 * MIB
"""Less that was read ahead is not worth a line, and tells nothing about a disk."""


class LoadTimes:
    """Knows what loads take."""

    def __init__(
        self, supervisor: Supervisor, memory: ModelMemory, environ: Mapping[str, str], state_dir: Path | None
    ) -> None:
        """Nothing is looked at yet. `memory` knows by which name a command is remembered."""
        self._supervisor = supervisor
        self._memory = memory
        self._environ = environ
        self._state_dir = state_dir
        self._remembered: RememberedLoads | None = None
        """Read by the first look."""
        self._read_speeds: dict[str, float] = {}
        self._seen: dict[str, Looked] = {}
        self._loads: dict[str, LoadUnderWay] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._next_up = NextUp(supervisor, self._read_ahead, self._from_disk)
        memory.follow(self._command_read)
        supervisor.expected_load = self.expected

    # --- what is asked ----------------------------------------------------------------------------------------------

    def expected(self, model: str) -> ExpectedLoad:
        """Return what is known of a model's load: of the one under way, else of the next."""
        load, seen = self._loads.get(model), self._seen.get(model)
        if load is None and self._wakes(model):
            return ExpectedLoad(phase=LoadPhase.WAKING, words="waking")
        if load is None:
            return ExpectedLoad(seen.forecast.seconds) if seen and seen.forecast else NOTHING_EXPECTED
        return load.expected(self._supervisor.running(model), self._loop.time())

    def _wakes(self, model: str) -> bool:
        slot = self._supervisor.slots.get(model)
        return slot is not None and slot.nap is Nap.WAKING

    async def look(self, model: str) -> None:
        """See anew how much of a model's files is in memory, and what its load would take."""
        found = await asyncio.to_thread(self._look, model)
        if found is not None:
            self._seen[model] = found

    # --- what becomes of servers (supervisor.contract.ModelListener) ------------------------------------------------

    def waiting(self, model: str) -> None:
        """See what the load will take for which somebody begins to wait, and use the time until then."""
        slot = self._supervisor.slots[model]
        if slot.state not in WAITING or len(slot.waiting) > 1:
            return
        self._spawn(self.look(model), f"look at the files of {model}")
        self._next_up.choose(again=True)

    def starting(self, model: str) -> None:
        """Begin to count."""
        self._loads[model] = LoadUnderWay(self._loop.time())
        self._spawn(self._begin(model, self._loads[model]), f"look at the files of {model}")
        self._next_up.choose()

    def reported(self, model: str) -> None:
        """Note when the weights are there."""
        load = self._loads.get(model)
        running = self._supervisor.running(model)
        if load is not None and running is not None and load.enter(running, self._loop.time()):
            self._next_up.choose()

    def ready(self, model: str) -> None:
        """Remember what the load took."""
        load = self._loads.pop(model, None)
        past = load.past(time.time(), self._loop.time()) if load is not None else None
        if load is not None and load.seen is not None and past is not None:
            self._spawn(asyncio.to_thread(self._remember, load.seen.command, past), f"remember the load of {model}")
        self._next_up.choose()

    def stopping(self, model: str, reason: StopReason) -> None:
        """Forget a load that is given up."""
        del reason
        self._loads.pop(model, None)
        self._next_up.choose()

    def ended(self, model: str) -> None:
        """Forget a load that has failed; see what the next one would take."""
        self._loads.pop(model, None)
        self._spawn(self.look(model), f"look at the files of {model}")
        self._next_up.choose()

    def trying_again(self, model: str, how: SecondTry) -> None:
        """Forget the load that has failed; the next one begins anew."""
        del how
        self._loads.pop(model, None)

    def pinned(self, model: str) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Look at nothing and read nothing any more."""
        self._next_up.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- looking ----------------------------------------------------------------------------------------------------

    async def _begin(self, model: str, load: LoadUnderWay) -> None:
        await self.look(model)
        load.seen = self._seen.get(model)
        if load.seen is None or not load.seen.file.bytes or load.seen.file.missing_bytes == 0:
            load.from_disk = False
            self._next_up.choose()

    def _look(self, model_id: str) -> Looked | None:
        """Look at a model's files, in a thread; None for a model that has none of its own to load."""
        from claracore.host.loading.weight_files import in_memory, weight_files  # noqa: PLC0415 - not before a load

        model = self._supervisor.config.models.get(model_id)
        if model is None or not model.cmd.strip():
            return None
        return self._seen_now(model_id, in_memory(weight_files(model, self._environ)))

    def _seen_now(self, model_id: str, file: ModelFile) -> Looked:
        """Return what is to be expected of such a file; of a command that was not read yet nothing is."""
        from claracore.core.loading.forecast import Experience  # noqa: PLC0415 - `statistics` takes 10 ms

        command = self._memory.command(model_id)
        if command is None:
            return Looked("", file, None)
        forecast = Experience(self._kept().loads, dict(self._read_speeds)).forecast(command.key, file)
        return Looked(command.key, file, forecast)

    def _command_read(self, model_id: str) -> None:
        """Expect anew what was expected before the command was read, or of another one."""
        load = self._loads.get(model_id)
        if load is None and model_id in self._seen:
            self._spawn(self.look(model_id), f"look at the files of {model_id}")
        elif load is not None and load.seen is not None and not load.seen.command:
            self._spawn(self._expect_again(model_id, load, load.seen.file), f"expect {model_id}")

    async def _expect_again(self, model_id: str, load: LoadUnderWay, file: ModelFile) -> None:
        load.seen = self._seen[model_id] = await asyncio.to_thread(self._seen_now, model_id, file)

    def _kept(self) -> RememberedLoads:
        if self._remembered is None:
            from claracore.host.loading.remembered_loads import RememberedLoads  # noqa: PLC0415 - as above

            self._remembered = RememberedLoads(self._state_dir)
        return self._remembered

    def _remember(self, command: str, load: PastLoad) -> None:
        self._kept().add(command, load)

    # --- reading ahead ----------------------------------------------------------------------------------------------

    def _from_disk(self) -> list[str]:
        """Return the models that are being loaded and may read their files from the disk."""
        loads = self._loads.copy()  # for other threads: copying a dict is one step
        return [model for model, load in loads.items() if load.from_disk and load.weights_at is None]

    def _read_ahead(self, model_id: str) -> ReadAhead:
        from claracore.host.loading.read_ahead import ReadAhead  # noqa: PLC0415 - few need it
        from claracore.host.loading.weight_files import weight_files  # noqa: PLC0415 - as above

        model = self._supervisor.config.models[model_id]

        def room() -> int:
            from claracore.host.loading.room import room_for_pages  # noqa: PLC0415 - in the thread

            # Not those of the model itself: what they have mapped is what is read.
            others = [pids for other, pids in self._memory.pids().items() if other != model_id]
            return room_for_pages(chain.from_iterable(others), self._memory.reserved_bytes(RAM))

        def ended(read: WasRead) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._was_read, model_id, read)

        reading = ReadAhead(
            lambda: weight_files(model, self._environ),
            room=room,
            wanted=lambda: self._next_up.is_wanted(model_id),
            urgent=lambda: model_id in self._loads,
            on_end=ended,
        )
        reading.start()
        return reading

    def _was_read(self, model_id: str, read: WasRead) -> None:
        if read.bytes >= NOTABLE_BYTES:
            self._read_speeds[read.disk] = read.bytes / max(read.seconds, 0.001)
            logger.info("model %s: %s were read ahead in %.1f s", model_id, gib(read.bytes), read.seconds)
        load = self._loads.get(model_id)
        if load is None:
            self._spawn(self.look(model_id), f"look at the files of {model_id}")
            return
        if load.seen is not None and load.seen.forecast is None:  # now it is known what the disk gives
            self._spawn(self._expect_again(model_id, load, load.seen.file), f"expect {model_id}")
        if read.complete:
            load.from_disk = False
            self._next_up.choose()

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = self._loop.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s ended with an unexpected error", task.get_name(), exc_info=error)
