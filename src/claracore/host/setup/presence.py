"""Is what the commands name really on this disk?

Warnings only: a program may be installed later, and a path inside a container says nothing about this host.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from claracore.core.config.command import LATE, split
from claracore.core.config.container import ContainerConfig
from claracore.core.config.container_command import mount_of
from claracore.core.config.file_flags import WEIGHTS, named_behind
from claracore.core.config.model import Config, ModelConfig
from claracore.core.config.report import Hints
from claracore.core.ports.containers import container_of
from claracore.host.engines.container_runtimes import CANDIDATES, INSTALL
from claracore.host.supervisor.program import closed_folder
from claracore.types import Finding, Place

OURS = frozenset({"llama-server", "claracore"})
LLAMA = ("llama", "claracore", "koboldcpp")


def missing_things(config: Config, places: Mapping[str, Place]) -> Iterator[Finding]:
    """Give a warning for each command whose program is missing, and each model file that does not exist."""
    disk = _Disk()
    for model in config.models.values():
        path = f"models.{model.id}.{'cmd' if model.container is None else 'container'}"
        for message, way_out in _missing(model, disk):
            yield Finding("warning", message, path, places.get(path), way_out)


class _Disk:
    """What was looked at: many models have one program and one folder."""

    def __init__(self) -> None:
        self.has_program = lru_cache(maxsize=1024)(_has_program)
        self._names = lru_cache(maxsize=64)(_names_in)
        self._hints = Hints()

    def no_program(self, program: str) -> tuple[str, str]:
        """Say why a program cannot be started, and what to do."""
        if os.sep not in program:
            return f"the program {program!r} is not on PATH", "install it, or write its whole path"
        if os.path.isdir(program):  # noqa: PTH112 - never raises, Path's does
            return f"{program} is a folder", "name the program in it"
        closed = closed_folder(program)
        if closed is not None:
            return f"{program} may not be executed: this user may not enter {closed}", f"chmod o+x {closed}"
        if os.path.exists(program):  # noqa: PTH110 - as above
            return f"{program} may not be executed", f"chmod +x {program}"
        if os.path.islink(program):  # noqa: PTH114 - as above
            return f"{program} is a link to a file that does not exist", "install what it leads to, or correct it"
        return f"the program {program} does not exist", self.near_file(Path(program))

    def near_file(self, path: Path) -> str:
        """Say what to do about a file that is not there."""
        names = self._names(path.parent)
        return names if isinstance(names, str) else self._hints.nearest(path.name, names) or f"look into {path.parent}"


def _has_program(program: str, search: str | None) -> bool:
    return shutil.which(program, path=search) is not None


def _names_in(folder: Path) -> list[str] | str:
    """Return the first names in a folder, or why there are none."""
    try:
        return os.listdir(folder)[:2000]  # noqa: PTH208 - names are all we need
    except OSError as error:
        return f"{folder}: {error.strerror}"


def _missing(model: ModelConfig, disk: _Disk) -> Iterator[tuple[str, str]]:
    if model.container is not None:
        yield from _missing_for_container(model.container, disk)
        return
    try:
        argv = split(model.cmd)
    except ValueError:
        return
    if not argv:
        return
    program = argv[0]
    search = next((entry[5:] for entry in model.env if entry.startswith("PATH=")), None)
    if (Path(program).name not in OURS or os.sep in program) and not disk.has_program(program, search):
        yield disk.no_program(program)
    if container_of(argv) is None and Path(program).name.startswith(LLAMA):
        for file in named_behind(WEIGHTS, argv):
            if not LATE.search(file) and not _is_file(file):
                yield f"the file {file} does not exist", disk.near_file(Path(file))


def _missing_for_container(container: ContainerConfig, disk: _Disk) -> Iterator[tuple[str, str]]:
    """Say that no runtime is there, and which folders to mount are not; whether one answers is seen at the start."""
    names = CANDIDATES[container.runtime]
    if not any(disk.has_program(name, None) for name in names):
        yield f"the model runs in a container, and {' or '.join(names)} is not on PATH", INSTALL
    for text in container.mounts:
        try:
            mount = mount_of(text)
        except ValueError:
            continue  # an error already
        source = os.path.expanduser(mount.source)  # noqa: PTH111 - never raises, Path's does
        if not (mount.is_volume or os.path.exists(source)):  # noqa: PTH110 - as above
            yield f"{mount.source}, which is to be mounted, does not exist", disk.near_file(Path(source))


def _is_file(file: str) -> bool:
    return os.path.isfile(os.path.expanduser(file))  # noqa: PTH111, PTH113 - these never raise, Path's do
