"""What does a model's command let expect, before it has ever run?

Reads the headers of the files that the command names (or remembers them, in the cache of `library`) and counts with
`core.fit.from_command`. Blocking: a header that was never read takes tens of milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from claracore.core.config.command import split
from claracore.core.config.model import ModelConfig
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.from_command import CommandCase, CommandEstimate, estimate_command
from claracore.core.fit.learnt import Correction, PlacementClass, placement_class
from claracore.core.fit.machine import Hardware
from claracore.core.fit.places import RAM as IN_RAM
from claracore.core.fit.places import layer_places
from claracore.core.fit.server_flags import ServerFlags, server_flags
from claracore.core.gguf.array_cache import ArrayCache
from claracore.core.gguf.errors import GGUFError
from claracore.core.gguf.header import read_header
from claracore.core.gguf.model import ModelFacts
from claracore.core.gguf.projector import ProjectorFacts
from claracore.core.memory.command_key import command_key
from claracore.core.memory.devices import by_device, device_at
from claracore.host.hardware.memory_devices import MemoryDevices
from claracore.host.library.cache import ReadingCache
from claracore.host.library.found_files import ModelFiles
from claracore.host.library.read import ModelReading, read
from claracore.host.library.walk import walk
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.named_files import shards, stamp_of

WEIGHTS = frozenset({"token embedding", "weights", "experts", "output layer", "moved weights"})
"""Rows of an estimate that a server reads from its file."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What was counted, and for which model."""

    case: CommandCase
    found: CommandEstimate

    @property
    def facts(self) -> ModelFacts:
        """What the model's file says."""
        return self.case.facts

    @property
    def hardware(self) -> Hardware:
        """The machine as the model's engine uses it."""
        return self.case.hardware

    @property
    def by_device(self) -> dict[str, int]:
        """Bytes by device, as counted: without what the process takes beside that."""
        return by_device(self.found.estimate, self.hardware)

    @property
    def request_context(self) -> int:
        """Tokens that one request may have: slots share the context, unless each may use all of it."""
        settings = self.found.settings
        return settings.context if settings.unified else settings.context // settings.parallel

    @property
    def placement(self) -> PlacementClass:
        """How the model is placed."""
        return placement_class(self.facts.dealt_layers, self.found.settings)

    @property
    def weights_in_ram(self) -> int:
        """Bytes of weights used in RAM, also by a GPU that shares it: so many of the pages of the file are needed."""
        shared = any(gpu.unified for gpu in self.hardware.gpus)
        rows = (row for row in self.found.estimate.rows if row.what in WEIGHTS)
        return sum(row.bytes for row in rows if shared or row.place == IN_RAM)

    def corrected(self, sizes: Mapping[str, int], off: Correction | None) -> dict[str, int]:
        """Return bytes by device with what the model was seen to take more, or less, than counted."""
        after = dict(sizes)
        if off is not None:
            settings, layers = self.found.settings, self.facts.dealt_layers
            for place, more in off.rows(layers, settings, layer_places(layers, settings)):
                device = device_at(place, self.hardware)
                after[device] = max(0, after.get(device, 0) + more)
        return after


@dataclass(frozen=True, slots=True)
class ReadCommand:
    """A model's command as memory sees it."""

    key: str
    """Under which name what it takes is remembered."""
    file: str = ""
    """Its model file; "" when it names none that can be read."""
    expected: Expected | None = None
    """None where it cannot be counted."""
    several_files: bool = False
    """Whether a projector is loaded beside the model, whose weights no log tells."""


class CommandReader:
    """Reads the commands of models; for any thread."""

    def __init__(self, commands: Commands, environ: Mapping[str, str], state_dir: Path | None) -> None:
        self._commands = commands
        self._environ = environ
        self._state_dir = state_dir
        self._lock = threading.Lock()
        self._cache: ReadingCache | None = None
        self._new: list[tuple[ModelFiles, ModelReading]] = []
        self._seen = ArrayCache()

    def read(self, model: ModelConfig, devices: MemoryDevices) -> ReadCommand:
        """Read one command. Raises nothing: what cannot be read is not expected to take anything."""
        try:
            argv = self._commands.argv(tuple(split(model.cmd)), share=False)
        except ValueError:
            return ReadCommand("")
        engine = self._commands.engine
        build = f"{engine.name} {engine.version}" if engine is not None else ""
        files = stamp_of(model, self._environ)
        key = command_key(argv, model.env, files=files, engine=build, devices=devices.key)
        env = {**self._environ, **dict(entry.split("=", 1) for entry in model.env if "=" in entry)}
        try:
            flags = server_flags(argv, env)
            path = flags.get("model") if flags is not None else None
            if flags is None or path is None:
                return ReadCommand(key)
            file = os.path.abspath(path)  # noqa: PTH100 - models start in our folder
            hardware = replace(devices.hardware, gpus=()) if self._commands.is_embedded(model) else devices.hardware
            expected = self._expected(flags, file, hardware, self._commands.known_flags(model))
            return ReadCommand(key, file if expected else "", expected, bool(flags.get("mmproj")))
        except (ValueError, OSError, GGUFError):
            return ReadCommand(key)

    def known_flags(self, model: ModelConfig) -> KnownFlags:
        """Return which flags the engine of a model's command knows."""
        return self._commands.known_flags(model)

    def as_running(self, command: ReadCommand, argvs: Iterable[Sequence[str]], devices: MemoryDevices) -> ReadCommand:
        """Return a command that could not be counted (a script) with what one of its processes lets expect.

        `argvs` are the command lines of its processes. A llama-server among them is taken for one as ours is.
        """
        if command.expected is not None:
            return command
        engine = self._commands.engine
        known_flags = KnownFlags(engine.abilities.flags if engine is not None else None)
        for argv in argvs:
            with contextlib.suppress(ValueError, OSError, GGUFError):
                flags = server_flags(argv, self._environ)
                path = flags.get("model") if flags is not None else None
                if flags is not None and path is not None and os.path.isabs(path):  # noqa: PTH117 - text, as written
                    expected = self._expected(flags, path, devices.hardware, known_flags)
                    return replace(command, file=path, expected=expected, several_files=bool(flags.get("mmproj")))
        return command

    def save(self) -> None:
        """Keep what was read of files for the next start, beside what scans have kept there meanwhile."""
        with self._lock:
            new, self._new = self._new, []
        if new:
            cache = ReadingCache.in_folder(self._state_dir)
            for files, reading in new:
                cache.put(files, reading)
            cache.save()

    def _expected(self, flags: ServerFlags, file: str, hardware: Hardware, known_flags: KnownFlags) -> Expected | None:
        facts = self._facts(file)
        if facts is None:
            return None
        draft = flags.get("draft")
        case = CommandCase(
            flags,
            facts,
            hardware,
            known_flags,
            tensors=_tensors(file) if flags.overrides or flags.get("cpu_dense") else (),
            projector=self._projector(flags.get("mmproj")),
            draft=self._facts(draft) if draft else None,
            adapter_bytes=sum(os.stat(adapter).st_size for adapter in flags.adapters),  # noqa: PTH116
        )
        return Expected(case, estimate_command(case))

    def _projector(self, path: str | None) -> ProjectorFacts | None:
        if path is None:
            return None
        facts = self._facts(path)
        found = facts.projector if facts is not None else None
        return found or ProjectorFacts(os.stat(path).st_size)  # noqa: PTH116

    def _facts(self, path: str) -> ModelFacts | None:
        files = _files_of(path)
        if files is None:
            return None
        with self._lock:
            if self._cache is None:
                self._cache = ReadingCache.in_folder(self._state_dir)
            reading = self._cache.get(files)
            if reading is None:
                reading = read(files, self._seen)
                if not reading.transient:
                    self._cache.put(files, reading)
                    self._new.append((files, reading))
        return reading.facts if reading.problem is None else None


def _files_of(path: str) -> ModelFiles | None:
    found = walk([Path(each) for each in shards(path)], missing_ok=True).models
    return next((files for files in found if not files.missing), None)


def _tensors(path: str) -> list[tuple[str, int]]:
    """Return name and bytes of each tensor in a model's files. Raises OSError, GGUFError."""
    found = []
    for each in shards(path):
        with open(each, "rb", buffering=0) as stream:  # noqa: PTH123 - as in library.read
            header = read_header(stream, size=os.fstat(stream.fileno()).st_size)
        found += [(tensor.name, tensor.size) for tensor in header.tensors]
    return found
