"""How much of each device does a model take, and how much is there for models at this moment?

Whoever decides who runs beside whom asks here. A footprint is as declared, else as measured with the same command, else
as expected from it, else unknown. `devices`, `device` and `footprint` are for threads: devices are sampled when they
are asked about, which takes about a millisecond, and a command that was never seen is read. `known` only looks up.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from claracore.core.config.model import Config, ModelConfig
from claracore.core.memory.declared import MemoryLimits, declared_footprint, placed
from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, DeviceMemory, Footprint, FootprintSource
from claracore.host.footprints.kept_beside import KeptBytes, kept_beside, nothing_kept
from claracore.host.footprints.lesser import LesserCommands
from claracore.host.footprints.taken_now import TakenNow, every, had_by
from claracore.host.supervisor.running import Running

if TYPE_CHECKING:
    from claracore.core.memory.measured import Learnt, MeasuredCommand
    from claracore.host.footprints.command_reader import CommandReader, ReadCommand
    from claracore.host.footprints.remembered import RememberedCommands
    from claracore.host.hardware.memory_devices import DeviceUse, MemoryDevices
    from claracore.host.supervisor.ran_out import SeenShortage, StartShown

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


Texts = Callable[[], list[tuple[str, str]]]
NO_TEXTS: Texts = list


@dataclass(frozen=True, slots=True)
class Lack:
    """What a model needs by a start for which memory was not enough, in bytes by device."""

    sizes: Mapping[str, int]
    proven: bool


class ModelMemory:
    """Footprints of the models of one configuration, and the devices on which they lie."""

    def __init__(
        self, make_tools: Callable[[], FootprintTools], lessers: LesserCommands | None = None, texts: Texts = NO_TEXTS
    ) -> None:
        """`make_tools` is called in a thread, once; `texts` reads the files of the configuration."""
        self.lessers = lessers or LesserCommands(None)
        self._texts = texts
        self._usable: dict[str, int] = {}
        """What models might take of each device together when it was sampled last."""
        self._needs: dict[str, tuple[ModelConfig, Lack]] = {}
        """Of models that say what they take, and took more: until they run, or say something else."""
        self.kept_bytes: KeptBytes = nothing_kept
        self._servers: Servers | None = None
        self._taken_now = TakenNow()
        self._make_tools = make_tools
        self._making = threading.Lock()
        self._preparing = threading.Lock()
        self._commands: dict[str, tuple[Written, ReadCommand]] = {}
        self._estimates: dict[str, tuple[ReadCommand, Learnt, Footprint]] = {}
        """Of each model, for the command and by the measurements from which it was worked out."""
        self.inside: dict[str, tuple[int, ...]] = {}
        """The processes in the containers of models, as far as they are known: their commands have not started them."""
        self.tools: FootprintTools | None = None
        """None until `prepare` has been done once."""
        self._followers: list[Callable[[str], None]] = []

    def _models(self) -> Mapping[str, ModelConfig]:
        """Return the models as they are started."""
        models = self._servers.config.models if self._servers is not None else {}
        return self.lessers.applied(models)

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
        needed = self._raised(model, placed(found, ids)) if found is not None else UNKNOWN_FOOTPRINT
        return self._taken_now.raised(model_id, needed)

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

    def _raised(self, model: ModelConfig, found: Footprint) -> Footprint:
        """Return what a model takes that lacked memory when it was started last.

        What is not proven is no more than there is: that it does not fit is not known.
        """
        if model.memory:
            asked = self._needs.get(model.id)
            lack = asked[1] if asked is not None and asked[0] == model else None
        else:
            measured = self.measured(model.id)
            lack = Lack(measured.at_least, measured.proven) if measured is not None and measured.at_least else None
        if lack is None:
            return found
        most = {} if lack.proven else self._usable
        sizes = {device: min(size, most.get(device, size)) for device, size in lack.sizes.items()}
        return replace(found, by_device={**found.by_device, **{d: max(s, found.on(d)) for d, s in sizes.items()}})

    def _measured(self, model: ModelConfig) -> Footprint | None:
        found = self.measured(model.id)
        return found.footprint if found is not None and found.runs else None

    def _estimated(self, model: ModelConfig) -> Footprint | None:
        command = self.command(model.id)
        if command is None or command.expected is None or self.tools is None:
            return None
        learnt, known = self.tools.remembered.learnt, self._estimates.get(model.id)
        if known is None or known[0] is not command or known[1] is not learnt:
            sizes = self.counted(command) or {}
            known = self._estimates[model.id] = command, learnt, Footprint(sizes, FootprintSource.ESTIMATED)
        return known[2]

    def counted(self, command: ReadCommand) -> dict[str, int] | None:
        """Return what a command is expected to take, by device; None where it cannot be counted."""
        expected = command.expected
        if expected is None or self.tools is None:
            return None
        learnt = self.tools.remembered.learnt
        off = learnt.correction(command.file, expected.placement)
        return expected.corrected(learnt.overheads.added(expected.by_device), off)

    # --- devices ----------------------------------------------------------------------------------------------------

    def devices(self) -> tuple[DeviceMemory, ...]:
        """Sample every device. Blocking: the first time the machine is looked at, which takes longer."""
        devices, pids = self._tools().devices, self.pids()
        self._taken_now.see(uses := devices.all(every(pids)), pids)
        found = tuple(self._device(use, pids) for use in uses)
        self._usable = {device.id: device.usable for device in found}
        self.lessers.reconsider({device.id: device for device in found}, self._running())
        return found

    def device(self, device_id: str) -> DeviceMemory | None:
        """Sample one device: quick enough to be asked every 50 ms; None for one that is not there. Blocking."""
        devices = self._tools().devices
        if device_id not in devices.ids:
            return None
        pids = self.pids()
        return self._device(devices.use(device_id, every(pids)), pids)

    async def sampled(self) -> tuple[DeviceMemory, ...]:
        """Sample every device in a thread."""
        return await asyncio.to_thread(self.devices)

    def loaded(self) -> dict[str, Footprint]:
        """Return what each model takes that has a server here, starting and stopping ones included."""
        config = self._servers.config if self._servers is not None else Config()
        return {model_id: self.known(model_id) for model_id in self._running() if config.peer_of(model_id) is None}

    def pids(self) -> dict[str, tuple[int, ...]]:
        """Return the processes of each model's server, those of its container included."""
        from claracore.host.hardware.usage import family  # noqa: PLC0415 - see `prepare`

        first = {model_id: server.pid for model_id, server in self._running().items() if server.pid is not None}
        return {model_id: (*family(pid), *self.inside.get(model_id, ())) for model_id, pid in first.items()}

    def _running(self) -> Mapping[str, Running]:
        """Return the servers that run; the event loop may start or end one while another thread counts them."""
        for _ in range(MOST_COUNTS):
            with contextlib.suppress(RuntimeError):
                return self._servers.all_running() if self._servers is not None else {}
        return {}

    def _device(self, use: DeviceUse, pids: Mapping[str, tuple[int, ...]]) -> DeviceMemory:
        limits = self._limits()
        awake = [model_id for model_id, server in self._running().items() if model_id in pids and not server.asleep]
        ours = had_by(use, map(self.known, awake))
        kept = kept_beside(use, ours, self.reserved_bytes(use.id), map(self.known, self._models()), self.kept_bytes)
        return DeviceMemory(
            use.id,
            use.name,
            total=use.total,
            budget=limits.granted(use.id, use.total),
            reserved=limits.reserved(use.id) + kept,
            other=max(0, use.used - ours - kept),
        )

    def reserved_bytes(self, device_id: str) -> int:
        """Return how much of a device is kept free for others."""
        return self._limits().reserved(device_id)

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
                self.read_again(model)
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
        as_started = self.lessers.recall(model, command.key)
        if as_started is not model:
            command = tools.reader.read(as_started, tools.devices)
        self._commands[model.id] = written(as_started), command
        return command

    def remember(self, command: ReadCommand, measured: MeasuredCommand, *, same_run: bool) -> None:
        """Remember what a server took. Blocking."""
        self._needs.pop(measured.model, None)
        self.lessers.worked(measured.model)
        if command.key:
            self._tools().remembered.add(command.key, _of_command(command, measured), same_run=same_run)

    # --- when memory is short ---------------------------------------------------------------------------------------

    def as_started(self, model: ModelConfig) -> ModelConfig:
        """Return a model as it is started: with less than configured, where memory was short for that."""
        return self.lessers.as_started(model)

    def lessen(self, model_id: str) -> None:
        """Have a model that ran out of memory started with less from now on."""
        self.lessers.lessen(model_id)

    def ran_out(self, model: ModelConfig, shown: StartShown) -> SeenShortage:
        """Take in that a model was started like this and ran out of memory; returns what follows. Blocking."""
        from claracore.host.footprints.running_out import RunningOut  # noqa: PLC0415 - see `prepare`

        command = self.command(model.id) or self.read_again(model)
        tools = self._tools()
        return RunningOut(self, tools.devices, tools.reader, model, command, self._texts).seen(shown)

    def note_need(self, model: ModelConfig, command: ReadCommand, needed: Footprint, *, proven: bool) -> None:
        """Remember what a model needs for which memory was not enough: a proof corrects its estimates. Blocking."""
        from claracore.core.memory.measured import MeasuredCommand  # noqa: PLC0415 - see `prepare`

        if model.memory:
            self._needs[model.id] = model, Lack(needed.by_device, proven)
        elif command.key:
            sizes = needed.by_device
            lacked = MeasuredCommand(model.id, "", (), round(time.time(), 3), at_least=sizes, proven=proven)
            lacked = replace(lacked, loaded=sizes) if proven else lacked
            self._tools().remembered.add_need(command.key, _of_command(command, lacked))


def _of_command(command: ReadCommand, measured: MeasuredCommand) -> MeasuredCommand:
    """Return a measurement with what was expected of the command."""
    expected = command.expected
    if expected is None:
        return measured
    return replace(
        measured,
        file=command.file,
        expected=expected.by_device,
        placement=expected.placement.value,
        context=expected.found.settings.context,
    )


def written(model: ModelConfig) -> Written:
    """Return what of a model's configuration decides about memory."""
    return model.cmd, model.env
