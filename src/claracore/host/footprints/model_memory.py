"""How much of each device does a model take, and how much is there for models at this moment?

Whoever decides who runs beside whom asks here. A footprint is as declared, else as measured with the same command, else
as expected from it, else unknown. `devices`, `device` and `footprint` are for threads: devices are sampled when they
are asked about, which takes about a millisecond, and a command that was never seen is read. `known` only looks up.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from claracore.core.config.model import Config, ModelConfig
from claracore.core.memory.declared import MemoryLimits, declared_footprint, placed
from claracore.core.memory.footprint import RAM, UNIFIED, UNKNOWN_FOOTPRINT, DeviceMemory, Footprint, FootprintSource
from claracore.host.supervisor.running import Running

if TYPE_CHECKING:
    from claracore.core.memory.measured import Learnt, MeasuredCommand
    from claracore.host.footprints.command_reader import CommandReader, ReadCommand
    from claracore.host.footprints.remembered import RememberedCommands
    from claracore.host.hardware.memory_devices import DeviceUse, MemoryDevices

MOST_COUNTS = 10
Written = tuple[str, tuple[str, ...]]


class Servers(Protocol):
    """What is asked of the supervisor."""

    config: Config

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
        self, make_tools: Callable[[], FootprintTools], kept_bytes: Callable[[int], int] = lambda _: 0
    ) -> None:
        """`make_tools` is called in a thread, once.

        `kept_bytes` tells how much RAM kept conversations take, after the oldest have gone that are over so many bytes.
        """
        self._kept_bytes = kept_bytes
        self._servers: Servers | None = None
        self._make_tools = make_tools
        self._making = threading.Lock()
        self._preparing = threading.Lock()
        self._commands: dict[str, tuple[Written, ReadCommand]] = {}
        self._estimates: dict[str, tuple[ReadCommand, Learnt, Footprint]] = {}
        """Of each model, for the command and by the measurements from which it was worked out."""
        self._pids: dict[str, tuple[int, ...]] = {}
        self.tools: FootprintTools | None = None
        """None until `prepare` has been done once."""
        self._followers: list[Callable[[str], None]] = []

    def _models(self) -> Mapping[str, ModelConfig]:
        return self._servers.config.models if self._servers is not None else {}

    def _limits(self) -> MemoryLimits:
        if self._servers is None:
            return MemoryLimits()
        limits = self._servers.config.routing.router.settings.memory
        return MemoryLimits(limits.reserve, limits.budget)

    def connect(self, servers: Servers) -> None:
        """Ask these which models there are, and which servers run; before, there are none."""
        self._servers = servers

    def follow(self, on_change: Callable[[str], None]) -> None:
        """Call `on_change`, in the event loop, with each model whose footprint may be another one from now on."""
        self._followers.append(on_change)

    def changed(self, model_id: str) -> None:
        """Tell those who follow that a model's footprint may be another one."""
        for call in self._followers:
            call(model_id)

    # --- footprints -------------------------------------------------------------------------------------------------

    def footprint(self, model_id: str) -> Footprint:
        """Return what a model takes; UNKNOWN for one that is not configured. Blocking: it may read commands."""
        model = self._models().get(model_id)
        if model is not None and self.command(model_id) is None and model.cmd.strip():
            self.read_again(model)
        return self.known(model_id)

    def known(self, model_id: str) -> Footprint:
        """Return what a model takes, as far as its command was read."""
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
        return found[1] if found is not None and model is not None and found[0] == written(model) else None

    def _measured(self, model: ModelConfig) -> Footprint | None:
        found = self.measured(model.id)
        return found.footprint if found is not None and found.runs else None

    def _estimated(self, model: ModelConfig) -> Footprint | None:
        command = self.command(model.id)
        if command is None or command.expected is None or self.tools is None:
            return None
        learnt, expected = self.tools.remembered.learnt, command.expected
        known = self._estimates.get(model.id)
        if known is None or known[0] is not command or known[1] is not learnt:
            off = learnt.correction(command.file, expected.placement)
            sizes = expected.corrected(learnt.overheads.added(expected.by_device), off)
            known = self._estimates[model.id] = command, learnt, Footprint(sizes, FootprintSource.ESTIMATED)
        return known[2]

    # --- devices ----------------------------------------------------------------------------------------------------

    def devices(self) -> tuple[DeviceMemory, ...]:
        """Sample every device. Blocking: the first time the machine is looked at, which takes longer."""
        devices, pids = self._tools().devices, self.pids()
        return tuple(self._device(use, pids) for use in devices.all(_all(pids)))

    def device(self, device_id: str) -> DeviceMemory | None:
        """Sample one device: quick enough to be asked every 50 ms; None for one that is not there. Blocking."""
        devices = self._tools().devices
        if device_id not in devices.ids:
            return None
        pids = self.pids()
        return self._device(devices.use(device_id, _all(pids)), pids)

    async def sampled(self) -> tuple[DeviceMemory, ...]:
        """Sample every device in a thread."""
        return await asyncio.to_thread(self.devices)

    def loaded(self) -> dict[str, Footprint]:
        """Return what each model takes that has a server, starting and stopping ones included."""
        return {model_id: self.known(model_id) for model_id in self._running()}

    def pids(self) -> dict[str, tuple[int, ...]]:
        """Return the processes of each model's server, those of its container included."""
        from claracore.host.hardware.usage import family  # noqa: PLC0415 - see `prepare`

        first = {model_id: server.pid for model_id, server in self._running().items() if server.pid is not None}
        return {model_id: (*family(pid), *self._pids.get(model_id, ())) for model_id, pid in first.items()}

    def _running(self) -> Mapping[str, Running]:
        """Return the servers that run; the event loop may start or end one while another thread counts them."""
        for _ in range(MOST_COUNTS):
            with contextlib.suppress(RuntimeError):
                return self._servers.all_running() if self._servers is not None else {}
        return {}

    def note_container(self, model_id: str, pids: Iterable[int]) -> None:
        """Note which processes are a model's besides those that its command has started."""
        self._pids[model_id] = tuple(pids)

    def _device(self, use: DeviceUse, pids: Mapping[str, tuple[int, ...]]) -> DeviceMemory:
        limits = self._limits()
        if use.by_process is not None:
            ours = sum(use.by_process.values())
        else:
            ours = sum(self.known(model_id).on(use.id) for model_id in pids)
        kept = self._kept(use, ours) if use.id in {RAM, UNIFIED} else 0
        return DeviceMemory(
            use.id,
            use.name,
            total=use.total,
            budget=limits.granted(use.id, use.total),
            reserved=limits.reserved(use.id) + kept,
            other=max(0, use.used - ours - kept),
        )

    def _kept(self, use: DeviceUse, ours: int) -> int:
        """Return how many bytes of a device are kept conversations', for which no model is ever refused.

        They are no other program's: what others use more than before is taken for memory that is to come back.
        """
        kept = self._kept_bytes(use.total)
        largest = max((self.known(model_id).on(use.id) for model_id in self._models()), default=0)
        free = use.total - self._limits().reserved(use.id) - max(0, use.used - ours - kept)
        return kept if kept <= free - largest else self._kept_bytes(max(0, free - largest))

    # --- what changes -----------------------------------------------------------------------------------------------

    async def prepared(self) -> None:
        """Return when `prepare` has been done once."""
        if self.tools is None:
            await self.prepare()

    async def prepare(self) -> None:
        """Read the commands of all models that are new or changed; in a thread, where this may take long."""
        for model_id in await asyncio.to_thread(self._prepare):
            self.changed(model_id)

    def _prepare(self) -> list[str]:
        """Make the tools and read commands. What they need is imported here: no start is to wait for it."""
        tools = self._tools()
        with self._preparing:
            models = self._models()
            changed = [model for model in models.values() if model.cmd.strip() and self.command(model.id) is None]
            for model in changed:
                self._commands[model.id] = written(model), tools.reader.read(model, tools.devices)
            for gone in self._commands.keys() - models.keys():
                del self._commands[gone]
            tools.reader.save()
        return [model.id for model in changed]

    def _tools(self) -> FootprintTools:
        with self._making:
            if self.tools is None:
                self.tools = self._make_tools()
            return self.tools

    def read_again(self, model: ModelConfig) -> ReadCommand:
        """Read a model's command anew: its files may have changed. Blocking."""
        tools = self._tools()
        command = tools.reader.read(model, tools.devices)
        self._commands[model.id] = written(model), command
        return command

    def remember(self, command: ReadCommand, measured: MeasuredCommand, *, same_run: bool) -> None:
        """Remember what a server took. Blocking."""
        if not command.key:
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
        self._tools().remembered.add(command.key, measured, same_run=same_run)


def written(model: ModelConfig) -> Written:
    """Return what of a model's configuration decides about memory."""
    return model.cmd, model.env


def _all(pids: Mapping[str, tuple[int, ...]]) -> frozenset[int]:
    return frozenset(pid for members in pids.values() for pid in members)
