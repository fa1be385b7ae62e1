"""How does a folder of model files become a configuration file?

Looks at the files (`library`) and the machine (`hardware`), lets `fit` decide, and writes the text (`files`:
atomically, with a backup of what was there). Blocking; run it in a thread from async code.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from claracore.errors import BadRequest, Conflict
from claracore.fit.budget import budget_of
from claracore.fit.catalog import Candidate, Catalog, choose
from claracore.fit.document import Setup, document
from claracore.fit.flags import Abilities
from claracore.fit.machine import Hardware, overridden
from claracore.fit.plan import Wishes
from claracore.fit.yamltext import unwritable
from claracore.hardware.probe import probe
from claracore.library.cache import ReadingCache
from claracore.library.model import LeftOut, LibraryModel
from claracore.library.scan import Progress, scan
from claracore.store import files


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
    backup: Path | None = None
    notes: tuple[str, ...] = field(default=())

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


def write_setup(
    folders: Sequence[Path],
    config_path: Path,
    options: SetupOptions,
    *,
    engine: EngineLike,
    cache: ReadingCache | None = None,
    dry_run: bool = False,
    on_progress: Progress | None = None,
) -> SetupReport:
    """Scan the folders and write the configuration.

    Raises FolderMissing, BadRequest (unknown backend, no folder), FileUnusable (the file cannot be read or written).
    """
    if not folders:
        raise BadRequest("no folder to look for models in: name at least one")
    hardware = machine_for(engine, options)
    library = scan(folders, cache=cache, on_progress=on_progress)
    candidates, unnameable = candidates_of(library.models)
    abilities = Abilities(engine.flags)
    room = budget_of(hardware, live=options.realtime)
    wishes = Wishes(options.context, options.parallel)
    catalog = choose(candidates, room, wishes, abilities, auto_draft=options.auto_draft)
    setup = Setup(catalog.chosen, hardware, engine.argv, engine.name, abilities, schema_path(), options.jinja)
    if config_path.exists():
        raise Conflict(f"{config_path} exists already")
    report = SetupReport(
        path=config_path,
        text=document(setup),
        catalog=catalog,
        left_out=(*library.left_out, *unnameable),
        hardware=hardware,
        engine_name=engine.name,
        written=False,
    )
    return report if dry_run else written(report)


def machine_for(engine: EngineLike, options: SetupOptions) -> Hardware:
    """Return the machine as this engine can use it and as the person describes it."""
    hardware = probe()
    backend = options.backend
    if engine.embedded and backend in (None, "auto", "") and options.vram_gb is None and hardware.gpus:
        note = "the embedded engine computes on the processor: install a llama-server to use the graphics devices"
        return replace(overridden(hardware, backend="cpu", ram_gb=options.ram_gb), notes=(*hardware.notes, note))
    try:
        return overridden(hardware, backend=backend, vram_gb=options.vram_gb, ram_gb=options.ram_gb)
    except ValueError as error:
        raise BadRequest(str(error), param="backend") from error


def candidates_of(models: Sequence[LibraryModel]) -> tuple[list[Candidate], list[LeftOut]]:
    """Turn what was found into candidates; what cannot be named in a configuration is left out."""
    found: list[Candidate] = []
    left_out: list[LeftOut] = []
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
                mmproj_path=str(projector.path) if projector and usable else None,
                mmproj_bytes=projector.facts.file_bytes if projector and usable else 0,
            )
        )
    return found, left_out


def written(report: SetupReport) -> SetupReport:
    """Write the report's text, keeping what was there as a backup; a file that would not change is not touched."""
    if not report.changed:
        return report
    expected = files.digest(report.old_text) if report.old_text is not None else ""
    done = files.write(report.path, report.text, expected=expected)
    return replace(report, written=True, backup=done.backup)


def schema_path() -> str:
    """Return where the schema of the configuration is, for editors."""
    return "https://claracore.dev/config.schema.json"
