"""How does a folder of model files become a configuration file?

Looks at the files (`library`) and the machine (`hardware`), lets `fit` decide (a `Survey`), and merges that into the
text of the file (`files`: under its lock, atomically, with a backup of what was there). Blocking; run it in a thread
from async code.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import platformdirs

from claracore.core.config.load import load
from claracore.core.config.schema import json_schema
from claracore.core.fit.budget import budget_of
from claracore.core.fit.catalog import Candidate, Catalog, choose
from claracore.core.fit.document import Setup, document
from claracore.core.fit.flags import Abilities
from claracore.core.fit.machine import Hardware, overridden, teamed
from claracore.core.fit.merge import Merged, Present, merge, model_paths
from claracore.core.fit.plan import Wishes
from claracore.core.fit.yamltext import unwritable
from claracore.errors import BadRequest, ConfigError
from claracore.host.disk import keep
from claracore.host.hardware.engine import FLAG, as_the_engine_sees, list_devices, parse_devices
from claracore.host.hardware.probe import probe
from claracore.host.library.cache import ReadingCache
from claracore.host.library.model import LeftOut, Library, LibraryModel
from claracore.host.library.scan import Progress, scan
from claracore.host.library.vocabulary import Vocabularies
from claracore.host.state import user_folder, why_unusable
from claracore.host.store import files
from claracore.types import Finding, Place


class EngineLike(Protocol):
    """What we need to know about the engine; `engines.find.Engine` is one."""

    @property
    def argv(self) -> tuple[str, ...]:
        """Words that start it."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def flags(self) -> frozenset[str]:
        """The flags it knows."""

    @property
    def embedded(self) -> bool:
        """Whether it is the one inside our own package, which computes on the processor."""


@dataclass(frozen=True, slots=True)
class SetupOptions:
    """What the person wants to be different; None leaves the choice to us."""

    backend: str | None = None
    vram_gb: float | None = None
    ram_gb: float | None = None
    context: int | None = None
    parallel: int | None = None
    jinja: bool = True
    auto_draft: bool = False
    listen_port: int = 5800
    """Where ClaraCore itself listens: a `startPort` that covers it is moved."""
    realtime: bool = False
    """Plan with memory that is free at this moment instead of installed memory."""


@dataclass(frozen=True, slots=True)
class SetupReport:
    """What was, or would be, written, and why."""

    path: Path
    text: str
    catalog: Catalog
    left_out: tuple[LeftOut, ...]
    hardware: Hardware
    engine_name: str
    written: bool
    old_text: str | None = None
    merged: Merged | None = None
    """What happened to the models that were in the file; None when there was no file."""
    backup: Path | None = None
    notes: tuple[str, ...] = field(default=())
    library: Library = field(default_factory=lambda: Library((), ()))
    """Everything that was found, as it was when the text was made."""

    ids: Mapping[str, str] = field(default_factory=dict)
    """Model file -> id, where the file gives another than the scan does."""

    @property
    def changed(self) -> bool:
        """Whether the new text differs from the old one."""
        return self.text != self.old_text

    @property
    def diff(self) -> str:
        """The difference as a unified diff; empty when there was no file or nothing changes."""
        if self.old_text is None:
            return ""
        before, after = self.old_text.splitlines(keepends=True), self.text.splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, str(self.path), f"{self.path} (new)"))


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found in the folders and on the machine: everything but the file that it is to be written into."""

    path: Path
    setup: Setup
    library: Library
    left_out: tuple[LeftOut, ...]
    catalog: Catalog
    listen_port: int
    gently: bool = False

    def onto(self, old: str | None) -> SetupReport:
        """Return what the file would say that says `old` now (None: there is none). Raises ConfigError."""
        merged = None
        if old is not None and old.strip():
            merged = merged_with(old, self.setup, self.path, self.listen_port, gently=self.gently)
        return SetupReport(
            path=self.path,
            text=merged.text if merged is not None else document(self.setup),
            old_text=old,
            merged=merged,
            ids=merged.ids if merged is not None else {},
            catalog=self.catalog,
            library=self.library,
            left_out=self.left_out,
            hardware=self.setup.hardware,
            engine_name=self.setup.engine_name,
            written=False,
        )

    def onto_file(self) -> SetupReport:
        """Return what the file would say, going by what it says at this moment. Raises FileUnusable, ConfigError."""
        return self.onto(files.read(self.path) if self.path.exists() else None)

    def write(self) -> SetupReport:
        """Merge into the file as it is when its turn has come, however long looking has taken; see `files.change`."""
        report: SetupReport | None = None

        def edit(old: str | None) -> str:
            nonlocal report
            report = self.onto(old)
            return report.text

        done = files.change(self.path, edit)
        assert report is not None, "a change edits"  # noqa: S101 - the promise of `files.change`
        return replace(report, written=report.changed, backup=done.backup)


def write_setup(
    folders: Sequence[Path],
    config_path: Path,
    options: SetupOptions,
    *,
    engine: EngineLike,
    cache: ReadingCache | None = None,
    schema_dir: Path | None = None,
    dry_run: bool = False,
    gently: bool = False,
    on_progress: Progress | None = None,
) -> SetupReport:
    """Scan the folders and write the configuration, or merge it into the one that is there.

    The JSON schema for editors goes to `schema_dir`, by default the user's data folder; a dry run writes nothing. With
    `gently` no model that runs is made to start anew (see `merge`).

    Raises as `survey`, and FileUnusable or DiskFull (the file cannot be read or written).
    """
    found = survey(
        folders,
        config_path,
        options,
        engine=engine,
        cache=cache,
        schema_dir=schema_dir,
        dry_run=dry_run,
        gently=gently,
        on_progress=on_progress,
    )
    return found.onto_file() if dry_run else found.write()


def survey(
    folders: Sequence[Path],
    config_path: Path,
    options: SetupOptions,
    *,
    engine: EngineLike,
    cache: ReadingCache | None = None,
    schema_dir: Path | None = None,
    dry_run: bool = False,
    gently: bool = False,
    on_progress: Progress | None = None,
) -> Survey:
    """Look at the folders and the machine. Raises FolderMissing, BadRequest (unknown backend, no folder)."""
    if not folders:
        raise BadRequest("no folder to look for models in: name at least one")
    hardware = machine_for(engine, options)
    library = scan(folders, cache=cache, on_progress=on_progress)
    candidates, unnameable = candidates_of(library.models, vocabularies=options.auto_draft)
    abilities = Abilities(engine.flags)
    room = budget_of(hardware, live=options.realtime)
    wishes = Wishes(options.context, options.parallel)
    catalog = choose(candidates, room, wishes, abilities, auto_draft=options.auto_draft)
    schema = keep_schema(schema_dir or user_folder(platformdirs.user_data_path), dry_run=dry_run)
    setup = Setup(catalog.chosen, hardware, engine.argv, engine.name, abilities, schema, options.jinja)
    left_out = (*library.left_out, *unnameable)
    return Survey(config_path, setup, library, left_out, catalog, options.listen_port, gently)


def configured_engine(config_path: Path) -> str | None:
    """Return the `engine` that an existing configuration names; None without one, or when the file cannot be used."""
    if not config_path.exists():
        return None
    config = load(files.read(config_path), file=str(config_path), env=os.environ).config
    return config.engine if config is not None else None


def merged_with(old: str, setup: Setup, path: Path, listen_port: int, *, gently: bool = False) -> Merged:
    """Merge the setup into an existing text. Raises ConfigError when the text cannot be read or changed."""
    loaded = load(old, file=str(path), env=os.environ)
    commands = {name: model.cmd for name, model in loaded.config.models.items()} if loaded.config else {}
    if loaded.config is None:
        raise ConfigError([finding for finding in loaded.findings if finding.severity == "error"])
    spelled = {_identity(item.candidate.path): item.candidate.path for item in setup.chosen}
    paths = {}
    for name, found in model_paths(commands).items():
        there = os.path.abspath(found)  # noqa: PTH100 - text, as written; models start in our folder
        paths[name] = spelled.get(_identity(there), there)
    missing = {name for name, found in paths.items() if not os.path.exists(found)}  # noqa: PTH110 - text, as written
    today = datetime.now(UTC).date().isoformat()
    try:
        merged = merge(old, setup, Present(paths, missing), today=today, listen_port=listen_port, gently=gently)
    except ValueError as error:
        raise ConfigError([Finding("error", str(error), place=Place(str(path), 1, 1))]) from error
    after = load(merged.text, file=str(path), env=os.environ)
    if after.config is None:
        raise ConfigError([finding for finding in after.findings if finding.severity == "error"])
    return merged


def _identity(path: str) -> tuple[int, int] | str:
    """Return what all names of one file have in common; the path itself for a file that is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116 - text, as written
    except OSError:
        return path
    return status.st_dev, status.st_ino


def machine_for(engine: EngineLike | None, options: SetupOptions) -> Hardware:
    """Return the machine as this engine can use it (as it is, without one) and as the person describes it.

    Raises BadRequest for an unknown backend.
    """
    hardware = probe()
    said = options.backend not in (None, "auto", "") or options.vram_gb is not None
    if engine is not None and not said:
        hardware = _with_engine(hardware, engine)
    try:
        hardware = teamed(hardware, options.backend)
        return overridden(hardware, backend=options.backend, vram_gb=options.vram_gb, ram_gb=options.ram_gb)
    except ValueError as error:
        raise BadRequest(str(error), param="backend") from error


def _with_engine(hardware: Hardware, engine: EngineLike) -> Hardware:
    """Return the machine with the devices that the engine can use."""
    if engine.embedded:
        note = "the embedded engine computes on the processor: install a llama-server to use the graphics devices"
        return replace(hardware, gpus=(), notes=(*hardware.notes, note)) if hardware.gpus else hardware
    listed = list_devices(engine.argv) if FLAG in engine.flags else None
    devices = parse_devices(listed) if listed is not None else None
    return hardware if devices is None else as_the_engine_sees(hardware, devices)


def candidates_of(
    models: Sequence[LibraryModel], *, vocabularies: bool = False
) -> tuple[list[Candidate], list[LeftOut]]:
    """Turn what was found into candidates; what cannot be named in a configuration is left out.

    With `vocabularies` all tokens of each model are read, to find out which can draft for which.
    """
    found: list[Candidate] = []
    left_out: list[LeftOut] = []
    kinds = Vocabularies()
    for model in models:
        problem = unwritable(str(model.path))
        if problem is not None:
            left_out.append(LeftOut(model.path, problem))
            continue
        projector = model.projector
        usable = projector is not None and unwritable(str(projector.path)) is None
        found.append(
            Candidate(
                id=model.id,
                path=str(model.path),
                facts=replace(model.facts, vision=model.vision, audio=model.audio),
                name=model.name,
                description=model.description,
                aliases=model.aliases,
                quantization=model.quantization,
                mmproj_path=str(projector.path) if projector and usable else None,
                mmproj_bytes=projector.facts.file_bytes if projector and usable else 0,
                vocabulary=kinds.name_of(model.path) if vocabularies else None,
            )
        )
    return found, left_out


def keep_schema(folder: Path | None, *, dry_run: bool) -> str:
    """Write the JSON schema of this version's configuration where editors find it.

    Returns its path; empty when there is no place for it.
    """
    if folder is None:
        return ""
    path = folder / "config.schema.json"
    text = json.dumps(json_schema(), indent=1) + "\n"
    with contextlib.suppress(OSError):
        if dry_run or (path.exists() and path.read_text(encoding="utf-8") == text):
            return str(path)
        if why_unusable(folder) is None:
            keep(path, text.encode())
            return str(path)
    return ""
