"""Is what the commands name really on this disk?

Warnings only: a program may be installed later, and a path inside a container says nothing about this host.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from claracore.config.command import LATE, split
from claracore.config.model import Config, ModelConfig
from claracore.config.report import nearest
from claracore.ports.containers import container_of
from claracore.supervisor.program import closed_folder
from claracore.types import Finding, Place

OURS = frozenset({"llama-server", "claracore"})
FILE_FLAGS = frozenset(
    {"-m", "--model", "-md", "--model-draft", "-mm", "--mmproj", "-mv", "--model-vocoder", "--lora", "--control-vector"}
)
LLAMA = ("llama", "claracore", "koboldcpp")


def missing_things(config: Config, places: Mapping[str, Place]) -> Iterator[Finding]:
    """Give a warning for each command whose program is missing, and each model file that does not exist."""
    for model in config.models.values():
        path = f"models.{model.id}.cmd"
        for message, way_out in _missing(model):
            yield Finding("warning", message, path, places.get(path), way_out)


def _missing(model: ModelConfig) -> Iterator[tuple[str, str]]:
    try:
        argv = split(model.cmd)
    except ValueError:
        return
    if not argv:
        return
    program = argv[0]
    search = next((entry[5:] for entry in model.env if entry.startswith("PATH=")), None)
    if Path(program).name not in OURS or os.sep in program:
        found = shutil.which(program, path=search)
        if found is None:
            yield _no_program(program)
    if container_of(argv) is None and Path(program).name.startswith(LLAMA):
        for file in _files(argv):
            if not LATE.search(file) and not _is_file(file):
                yield f"the file {file} does not exist", _near_file(Path(file))


def _is_file(file: str) -> bool:
    return os.path.isfile(os.path.expanduser(file))  # noqa: PTH111, PTH113 - these never raise, Path's do


def _no_program(program: str) -> tuple[str, str]:
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
        return f"{program} is a link to a file that does not exist", "install what it should lead to, or correct it"
    return f"the program {program} does not exist", _near_file(Path(program))


def _near_file(path: Path) -> str:
    folder = path.parent
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are all we need
    except OSError as error:
        return f"{folder}: {error.strerror}"
    return nearest(path.name, names[:2000]) or f"look into {folder}"


def _files(argv: list[str]) -> Iterator[str]:
    for flag, value in zip(argv, [*argv[1:], ""], strict=True):
        name, equals, inline = flag.partition("=")
        if name in FILE_FLAGS:
            file = inline if equals else value
            if file:
                yield file
