"""What is wrong on this machine, and what is there to do about it?

Each check is a sentence with a way out. The same checks serve `claracore doctor` and `GET /api/doctor`; blocking, run
them in a thread.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from claracore.build import version_text
from claracore.core.config.load import load_many
from claracore.core.ports.listen import Listen
from claracore.core.units import GIB
from claracore.errors import ClaraCoreError
from claracore.host.disk_space import free_at
from claracore.host.engines.find import EngineMissing, find_engine
from claracore.host.hardware.probe import probe
from claracore.host.setup.check import Check
from claracore.host.setup.container_checks import container_checks
from claracore.host.setup.engine_checks import engine_checks
from claracore.host.setup.examine import examine
from claracore.host.state import state_problem
from claracore.host.store import files

LOW_DISK_BYTES = 2 * GIB
NEEDED = ("fastapi", "msgspec", "pydantic", "ruamel.yaml", "uvloop")


@dataclass(frozen=True, slots=True)
class Subject:
    """Folders, listen address and configuration of the ClaraCore that is examined."""

    config: Path | None
    config_dir: Path | None
    listen: Listen
    state_dir: Path | None
    environ: Mapping[str, str]
    engine: str | None = None


def diagnose(subject: Subject) -> list[Check]:
    """Look at everything that can be wrong; raises nothing."""
    return [
        *_versions(),
        *_engine(subject),
        *_machine(),
        *_config(subject),
        *_disk(subject),
    ]


def _versions() -> Iterator[Check]:
    found = []
    for name in NEEDED:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            yield Check("versions", ok=False, message=f"{name} is not installed", way_out="reinstall claracore")
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("versions", ok=True, message=f"claracore {version_text()}, Python {version}, {', '.join(found)}")


def _engine(subject: Subject) -> Iterator[Check]:
    try:
        engine = find_engine(subject.engine)
    except EngineMissing as error:
        yield Check("engine", ok=False, message=error.message.partition("\n")[0], way_out="see `claracore --help`")
        return
    for finding in engine.findings:
        yield Check("engine", ok=False, message=finding.message, way_out=finding.way_out)
    yield Check("engine", ok=True, message=f"{engine.name} {engine.version} runs ({' '.join(engine.argv)})")
    try:
        sources = files.read_sources(subject.config, subject.config_dir)
        config = load_many(sources, env=subject.environ).config
    except ClaraCoreError:
        config = None  # told by `_config`
    yield from engine_checks(engine, config)


def _machine() -> Iterator[Check]:
    machine = probe()
    gpus = [f"{gpu.name} ({(gpu.total_bytes or 0) / GIB:.1f} GiB)" for gpu in machine.gpus]
    yield Check(
        "graphics", ok=True, message=", ".join(gpus) or "no graphics device was found: models run on processors"
    )
    for note in machine.notes:
        yield Check("hardware", ok=False, message=note, way_out="claracore setup --backend ... --vram ... overrides it")
    memory = machine.memory
    message = f"{memory.available_bytes / GIB:.1f} of {memory.total_bytes / GIB:.1f} GiB of RAM are free"
    yield Check("memory", ok=True, message=message)


def _config(subject: Subject) -> Iterator[Check]:
    if subject.config is None and subject.config_dir is None:
        return
    try:
        sources: Sequence[tuple[str, str]] = files.read_sources(subject.config, subject.config_dir)
    except ClaraCoreError as error:
        yield Check("config", ok=False, message=error.message, way_out="claracore setup FOLDER writes one")
        return
    found = examine(sources, env=subject.environ, listen=subject.listen)
    for finding in found.findings:
        name = "ports" if "port" in finding.path.lower() else "config"
        yield Check(name, finding.severity == "note", finding.problem(), finding.way_out)
    if found.loaded.config is not None:
        yield Check("config", ok=True, message=f"{sources[0][0]} names {len(found.loaded.config.models)} models")
        yield from container_checks(found.loaded.config, subject.environ)


def _disk(subject: Subject) -> Iterator[Check]:
    if subject.state_dir is None:
        message = "nothing is remembered between starts: keys, activity, ports and caches are kept in memory only"
        yield Check("state", ok=False, message=message, way_out=state_problem())
        return
    try:
        free = free_at(subject.state_dir)
    except OSError as error:
        yield Check("disk", ok=False, message=f"{subject.state_dir}: {error.strerror}", way_out="look at the disk")
        return
    enough = free >= LOW_DISK_BYTES
    message = f"{free / GIB:.1f} GiB are free where ClaraCore keeps its state ({subject.state_dir})"
    yield Check("disk", enough, message, "" if enough else "make room: activity and logs can no longer be kept soon")
