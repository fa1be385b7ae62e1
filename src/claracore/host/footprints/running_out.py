"""What follows from a start for which memory was not enough: what does the model need, who has it, what would do?

Blocking; asked once for each such start, when everything of the server is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from claracore.core.config.command import split
from claracore.core.config.tree import Unreadable
from claracore.core.fit.server_flags import visible_devices
from claracore.core.fit.step_down import StepDown
from claracore.core.fit.untouched import untouched_commands
from claracore.core.memory.allocation_errors import ANY_GPU, AllocationError
from claracore.core.memory.footprint import (
    RAM,
    UNIFIED,
    UNKNOWN_FOOTPRINT,
    DeviceMemory,
    Footprint,
    FootprintSource,
    gpu,
)
from claracore.core.memory.larger_need import LEAST_MORE, larger_need
from claracore.core.memory.shortage import DeviceShortage, MemoryUser, is_limited, shortage_words
from claracore.core.scheduler.known_memory import POLL_SECONDS
from claracore.errors import ClaraCoreError
from claracore.host.footprints.lesser import lessened
from claracore.host.hardware.memory_users import process_name
from claracore.host.supervisor.ran_out import SeenShortage, StartShown

if TYPE_CHECKING:
    from claracore.core.config.model import ModelConfig
    from claracore.core.memory.engine_log import EngineBuffers
    from claracore.host.footprints.command_reader import CommandReader, ReadCommand
    from claracore.host.footprints.lesser import LesserCommands
    from claracore.host.hardware.memory_devices import MemoryDevices

Texts = Callable[[], list[tuple[str, str]]]
"""Reads the files of the configuration: (file, text)."""
RETURN_SECONDS = 3.0
"""For how long memory of the server that has ended is waited for."""
MOST_FOREIGN = 5


class KnownMemories(Protocol):
    """What is known of all models, and where it is remembered."""

    @property
    def lessers(self) -> LesserCommands:
        """With what models are started instead of their own commands."""

    def known(self, model_id: str) -> Footprint:
        """Return what a model takes."""

    def counted(self, command: ReadCommand) -> dict[str, int] | None:
        """Return what a command is expected to take, by device."""

    def pids(self) -> dict[str, tuple[int, ...]]:
        """Return the processes of each model's server."""

    def devices(self) -> tuple[DeviceMemory, ...]:
        """Sample every device."""

    def note_need(self, model: ModelConfig, command: ReadCommand, needed: Footprint, *, proven: bool) -> None:
        """Remember what a model needs for which memory was not enough."""


@dataclass(frozen=True, slots=True)
class RunningOut:
    """One start that failed, looked into."""

    memory: KnownMemories
    machine: MemoryDevices
    reader: CommandReader
    model: ModelConfig
    """As it was started."""
    command: ReadCommand
    texts: Texts

    def seen(self, shown: StartShown) -> SeenShortage:
        """Return what follows, and have it remembered."""
        known = self.memory.known(self.model.id)
        device = self._device(shown.error, known)
        is_ours = self._is_ours()
        if device is None:
            return SeenShortage(known, words=shortage_words(shown.error, None, is_ours=is_ours))
        error = _with_buffers(shown.error, device, shown.buffers)
        self._await_return(device, known.on(device))
        short = self._shortage(device)
        expected = self.memory.counted(self.command) or {}
        limited = is_limited(error, short, expected.get(device, 0))
        usable, available = self._room()[device]
        need = larger_need(error, known.on(device), available, usable)
        raised = known
        if not limited:
            raised = self._remember(known, {**known.by_device, device: need.bytes}, proven=need.proven)
        less = UNKNOWN_FOOTPRINT
        least = need.bytes if need.proven else short.free + LEAST_MORE
        step, off = self._step(error, short, None if limited else least)
        if self.memory.lessers.is_lesser(self.model):
            self.memory.lessers.drop(self.model.id)
        elif is_ours and step is not None:
            less = self._less(step, off, short, None if limited else least)
        words = shortage_words(error, short, limited=limited, is_ours=is_ours)
        return SeenShortage(raised, less, limited, words, step.ways() if step is not None else ())

    # --- what was short ---------------------------------------------------------------------------------------------

    def _device(self, error: AllocationError, known: Footprint) -> str | None:
        """Return which of our devices the message means; None where it cannot be told."""
        ids = self.machine.ids
        if UNIFIED in ids:
            return UNIFIED
        if error.device == RAM:
            return RAM
        name = error.device
        if name != ANY_GPU:
            index = int(name.removeprefix("gpu"))
            visible = self._visible()
            name = gpu(visible[index]) if visible is not None and index < len(visible) else name
        if name in ids:
            return name
        gpus = [each for each in ids if each != RAM]
        return max(gpus, key=known.on, default=None)

    def _visible(self) -> tuple[int, ...] | None:
        env = dict(entry.split("=", 1) for entry in self.model.env if "=" in entry)
        try:
            return visible_devices(env)
        except ValueError:
            return None

    def _await_return(self, device: str, size: int) -> None:
        """Wait a while until a card has so much free: drivers give back late what the server had."""
        until = time.monotonic() + RETURN_SECONDS
        while device not in {RAM, UNIFIED} and time.monotonic() < until:
            use = self.machine.use(device)
            if use.total - use.used >= size:
                break
            time.sleep(POLL_SECONDS)

    def _shortage(self, device: str) -> DeviceShortage:
        devices = self.machine
        use = devices.use(device)
        ours = {pid: model_id for model_id, pids in self.memory.pids().items() for pid in pids}
        users: dict[str, int] = {}
        foreign = []
        for pid, size in devices.users(device).items():
            if (model_id := ours.get(pid)) is None:
                foreign.append((size, pid))
            else:
                users[model_id] = users.get(model_id, 0) + size
        named = [MemoryUser(process_name(pid), size, pid) for size, pid in sorted(foreign, reverse=True)[:MOST_FOREIGN]]
        models = [MemoryUser(model_id, size) for model_id, size in users.items()]
        return DeviceShortage(device, use.total, max(0, use.total - use.used), (*models, *named))

    # --- what it needs ----------------------------------------------------------------------------------------------

    def _room(self) -> dict[str, tuple[int, int]]:
        """Return for each device what all models may take, and what is there beside those that run."""
        others = [self.memory.known(other) for other in self.memory.pids() if other != self.model.id]
        found = {}
        for device in self.memory.devices():
            taken = sum(other.on(device.id) for other in others)
            found[device.id] = device.usable, max(0, device.usable - taken)
        return found

    def _remember(self, known: Footprint, sizes: Mapping[str, int], *, proven: bool) -> Footprint:
        """Have it remembered, and return what the model is taken to need from now on."""
        if known.source is FootprintSource.UNKNOWN:
            return known
        raised = Footprint(dict(sizes), known.source if self.model.memory else FootprintSource.MEASURED)
        self.memory.note_need(self.model, self.command, raised, proven=proven)
        return raised

    # --- what would do ----------------------------------------------------------------------------------------------

    def _is_ours(self) -> bool:
        """Whether setup wrote the command that was started, and nobody has changed it, be it for a trial."""
        try:
            written = [untouched_commands(text).get(self.model.id) for _, text in self.texts()]
            behind_macro = [split(cmd)[1:] for cmd in written if cmd is not None]
        except (ClaraCoreError, Unreadable, OSError, ValueError):
            return False
        words = split(self.model.cmd)
        return any(words[-len(own) :] == own for own in behind_macro if own)

    def _step(self, error: AllocationError, short: DeviceShortage, least: int | None) -> tuple[StepDown | None, int]:
        """Return the commands with less that fit, and how many bytes their counts are off; None without a count.

        `least` is what the model's own takes at least; None where that is not known, because a limit of its own process
        was in the way: then half of what it could not get is left out.
        """
        own, device = self._count(self.model.cmd), short.device
        if own is None:
            return None, 0
        left = {each: available for each, (_, available) in self._room().items()}
        off, counted = 0, own.get(device, 0)
        if least is not None:
            off = max(0, least - counted)
            left[device] = max(0, left[device] - off)
        else:
            left[device] = max(0, min(left[device], counted - max(LEAST_MORE, (error.asked or 0) // 2)))
        return self._step_down(device, left), off

    def _less(self, step: StepDown, off: int, short: DeviceShortage, least: int | None) -> Footprint:
        """Offer a command with less; returns what it takes."""
        found, device = step.lesser(), short.device
        if found is None:
            return UNKNOWN_FOOTPRINT
        beyond = {device: max(least, self._room()[device][0]) if least is not None else short.total}
        self.memory.lessers.offer(lessened(self.model, self.command.key, found, beyond))
        return Footprint({**found.sizes, device: found.sizes.get(device, 0) + off}, FootprintSource.ESTIMATED)

    def _step_down(self, device: str, room: Mapping[str, int]) -> StepDown | None:
        expected = self.command.expected
        if expected is None:
            return None
        return StepDown(
            self.model.cmd,
            expected.found.settings,
            expected.facts.dealt_layers,
            bool(expected.facts.experts),
            self._count,
            room,
            in_ram=device in {RAM, UNIFIED},
            known_flags=self.reader.known_flags(self.model),
        )

    def _count(self, cmd: str) -> Mapping[str, int] | None:
        model = self.model.model_copy(update={"cmd": cmd})
        return self.memory.counted(self.reader.read(model, self.machine))


def _with_buffers(error: AllocationError, device: str, buffers: EngineBuffers) -> AllocationError:
    """Return the error with what the server had by its log, where it does not say itself."""
    if error.had is not None or error.device == ANY_GPU:
        return error
    number = error.device.removeprefix("gpu")
    had = buffers.in_ram + buffers.mapped if device == RAM else buffers.on_gpu(int(number)) if number.isdecimal() else 0
    return replace(error, had=had) if had else error
