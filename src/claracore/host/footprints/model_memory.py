"""How much of each device does a model take, and how much is there for models at this moment?

Whoever decides who runs beside whom asks here. A footprint is looked up: it is as declared, else as measured with the
same command, else as expected from it (worked out by `prepare`, in a thread), else unknown. Devices are sampled when
they are asked about, which takes about a millisecond and belongs into a thread where many ask.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from claracore.core.config.model import ModelConfig
from claracore.core.memory.declared import MemoryLimits, declared_footprint, placed
from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, DeviceMemory, Footprint, FootprintSource
from claracore.host.supervisor.running import Running

if TYPE_CHECKING:
    from claracore.core.memory.devices import Overheads
    from claracore.core.memory.measured import MeasuredCommand
    from claracore.host.footprints.command_reader import CommandReader, ReadCommand
    from claracore.host.footprints.remembered import RememberedCommands
    from claracore.host.hardware.memory_devices import DeviceUse, MemoryDevices


class Servers(Protocol):
    """What is asked of the supervisor."""

    def all_running(self) -> Mapping[str, Running]:
        """Return how each model's server is now; models without one are left out."""


@dataclass(frozen=True, slots=True)
class FootprintTools:
    """What takes a while to make: the devices, who reads commands, and what is remembered."""

    devices: MemoryDevices
    reader: CommandReader
    remembered: RememberedCommands


class ModelMemory:
    """Footprints of the models of one configuration, and the devices on which they lie."""

    def __init__(
        self,
        servers: Servers,
        models: Callable[[], Mapping[str, ModelConfig]],
        make_tools: Callable[[], FootprintTools],
        limits: Callable[[], MemoryLimits] = MemoryLimits,
    ) -> None:
        """`make_tools` is called in a thread, once; `models` and `limits` are asked each time."""
        self._servers = servers
        self._models = models
        self._make_tools = make_tools
        self._limits = limits
        self._preparing = threading.Lock()
        self._commands: dict[str, tuple[ModelConfig, ReadCommand]] = {}
        self._pids: dict[str, tuple[int, ...]] = {}
        self.tools: FootprintTools | None = None
        """None until `prepare` has been done once."""
        self.on_change: Callable[[str], None] = lambda _model: None
        """Called in the event loop with a model whose footprint may be another one now."""

    # --- footprints -------------------------------------------------------------------------------------------------

    def footprint(self, model_id: str) -> Footprint:
        """Return what a model takes; UNKNOWN for one that is not configured, or was not prepared yet."""
        model = self._models().get(model_id)
        if model is None:
            return UNKNOWN_FOOTPRINT
        found = declared_footprint(model.memory) or self._measured(model) or self._estimated(model)
        ids = self.tools.devices.ids if self.tools is not None else ()
        return placed(found, ids) if found is not None else UNKNOWN_FOOTPRINT

    def measured(self, model_id: str) -> MeasuredCommand | None:
        """Return what was seen of a model's command, as it is now, when it ran."""
        command = self.command(model_id)
        return self.tools.remembered.commands.get(command.key) if command is not None and self.tools else None

    def expected(self, model_id: str) -> Footprint | None:
        """Return what the model's command and file let expect, whatever is declared or was measured."""
        model = self._models().get(model_id)
        return self._estimated(model) if model is not None else None

    def command(self, model_id: str) -> ReadCommand | None:
        """Return a model's command as it was read; None before that."""
        found, model = self._commands.get(model_id), self._models().get(model_id)
        return found[1] if found is not None and found[0] is model else None

    def _measured(self, model: ModelConfig) -> Footprint | None:
        found = self.measured(model.id)
        return found.footprint if found is not None and found.runs else None

    def _estimated(self, model: ModelConfig) -> Footprint | None:
        command = self.command(model.id)
        if command is None or command.expected is None or self.tools is None:
            return None
        from claracore.core.memory.measured import correction_for  # noqa: PLC0415 - see `prepare`

        expected, known = command.expected, self.overheads()
        off = correction_for(self.tools.remembered.of_file(command.file), expected.placement, known)
        return Footprint(expected.corrected(known.added(expected.by_device), off), FootprintSource.ESTIMATED)

    def overheads(self) -> Overheads:
        """Return what processes take beside the buffers of their models, as this machine has shown."""
        from claracore.core.memory.measured import overheads  # noqa: PLC0415 - see `prepare`

        return overheads(self.tools.remembered.commands.values() if self.tools is not None else ())

    # --- devices ----------------------------------------------------------------------------------------------------

    def devices(self) -> tuple[DeviceMemory, ...]:
        """Sample every device; none before `prepare` has been done."""
        if self.tools is None:
            return ()
        pids = self.pids()
        return tuple(self._device(use, pids) for use in self.tools.devices.all(_all(pids)))

    def device(self, device_id: str) -> DeviceMemory | None:
        """Sample one device: quick enough to be asked every 50 ms; None for one that is not there."""
        if self.tools is None or device_id not in self.tools.devices.ids:
            return None
        pids = self.pids()
        return self._device(self.tools.devices.use(device_id, _all(pids)), pids)

    async def sampled(self) -> tuple[DeviceMemory, ...]:
        """Sample every device in a thread."""
        return await asyncio.to_thread(self.devices)

    def loaded(self) -> dict[str, Footprint]:
        """Return what each model takes that has a server, starting and stopping ones included."""
        return {model_id: self.footprint(model_id) for model_id in self._servers.all_running()}

    def pids(self) -> dict[str, tuple[int, ...]]:
        """Return the processes of each model's server, those of its container included."""
        from claracore.host.hardware.usage import family  # noqa: PLC0415 - see `prepare`

        running = self._servers.all_running()
        first = {model_id: server.pid for model_id, server in running.items() if server.pid is not None}
        return {model_id: (*family(pid), *self._pids.get(model_id, ())) for model_id, pid in first.items()}

    def note_container(self, model_id: str, pids: Iterable[int]) -> None:
        """Note which processes are a model's besides those that its command has started."""
        self._pids[model_id] = tuple(pids)

    def _device(self, use: DeviceUse, pids: Mapping[str, tuple[int, ...]]) -> DeviceMemory:
        limits = self._limits()
        if use.by_process is not None:
            ours = sum(use.by_process.values())
        else:
            ours = sum(self.footprint(model_id).on(use.id) for model_id in pids)
        return DeviceMemory(
            use.id,
            use.name,
            total=use.total,
            budget=limits.granted(use.id, use.total),
            reserved=limits.reserved(use.id),
            other=max(0, use.used - ours),
        )

    # --- what changes -----------------------------------------------------------------------------------------------

    async def prepared(self) -> None:
        """Return when `prepare` has been done once."""
        if self.tools is None:
            await self.prepare()

    async def prepare(self) -> None:
        """Read the commands of all models that are new or changed; in a thread, where this may take long."""
        for model_id in await asyncio.to_thread(self._prepare):
            self.on_change(model_id)

    def _prepare(self) -> list[str]:
        """Make the tools and read commands. What they need is imported here: no start is to wait for it."""
        with self._preparing:
            if self.tools is None:
                self.tools = self._make_tools()
            models = self._models()
            self._commands = {name: found for name, found in self._commands.items() if models.get(name) is found[0]}
            changed = [model for name, model in models.items() if name not in self._commands and model.cmd.strip()]
            for model in changed:
                self._commands[model.id] = model, self.tools.reader.read(model, self.tools.devices)
            self.tools.reader.save()
        return [model.id for model in changed]

    def read_again(self, model: ModelConfig) -> ReadCommand | None:
        """Read a model's command anew: its files may have changed. Blocking."""
        if self.tools is None:
            self._prepare()
        if self.tools is None:
            return None
        command = self.tools.reader.read(model, self.tools.devices)
        self._commands[model.id] = model, command
        return command

    def remember(self, command: ReadCommand, measured: MeasuredCommand, *, same_run: bool) -> None:
        """Remember what a server took. Blocking."""
        if self.tools is None or not command.key:
            return
        expected = command.expected
        if expected is not None:
            measured = replace(
                measured,
                file=command.file,
                expected=expected.by_device,
                placement=expected.placement.value,
                context=expected.found.settings.context,
            )
        self.tools.remembered.add(command.key, measured, same_run=same_run)


def _all(pids: Mapping[str, tuple[int, ...]]) -> frozenset[int]:
    return frozenset(pid for members in pids.values() for pid in members)
