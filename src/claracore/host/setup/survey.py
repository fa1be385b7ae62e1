"""Which models are in the folders, and how do they fit this machine? Blocking; nothing of the configuration is read."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import platformdirs

from claracore.core.config.schema import json_schema
from claracore.core.fit.budget import Budget, UsedByOthers, budget_of
from claracore.core.fit.case import Case, Wishes
from claracore.core.fit.catalog import Candidate, Catalog, choose
from claracore.core.fit.document import Setup
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.machine import Hardware
from claracore.core.fit.reconsider import cases_of, reconsidered
from claracore.core.fit.yamltext import unwritable
from claracore.core.memory.measured import NOTHING_LEARNT, Learnt
from claracore.errors import BadRequest
from claracore.host.disk import keep
from claracore.host.library.model import LeftOut, Library, LibraryModel
from claracore.host.library.scan import scan
from claracore.host.library.vocabulary import Vocabularies
from claracore.host.setup.machine import machine_for
from claracore.host.setup.opinions import Planned, SecondOpinions
from claracore.host.setup.others import with_note
from claracore.host.setup.request import SetupOptions, SetupRequest
from claracore.host.state import user_folder, why_unusable


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found in the folders and on the machine: everything but the file that it is to be written into."""

    path: Path
    setup: Setup
    library: Library
    left_out: tuple[LeftOut, ...]
    catalog: Catalog
    listen_port: int
    learnt: Learnt = NOTHING_LEARNT
    gently: bool = False
    options: SetupOptions = field(default_factory=SetupOptions)
    others: UsedByOthers = field(default_factory=UsedByOthers)
    """What other programs use of memory."""


def survey(request: SetupRequest) -> Survey:
    """Look at the folders and the machine. Raises FolderMissing, BadRequest (unknown backend, no folder)."""
    options, engine = request.options, request.engine
    if not request.folders:
        raise BadRequest("no folder to look for models in: name at least one")
    hardware = machine_for(engine, options)
    library = scan(request.folders, cache=request.cache, on_progress=request.on_progress)
    candidates, unnameable = candidates_of(library.models, request.learnt, vocabularies=options.auto_draft)
    known_flags = KnownFlags(engine.abilities.flags)
    others = request.others.on(hardware) if request.others is not None and not options.realtime else UsedByOthers()
    hardware = with_note(hardware, others)
    beside = request.learnt.process_bytes(hardware)
    budget = budget_of(hardware, live=options.realtime, beside=beside, others=others)
    wishes = Wishes(options.context, options.parallel)
    catalog = choose(candidates, budget, wishes, known_flags, auto_draft=options.auto_draft, heads=_heads(library))
    if request.opinions is not None:
        catalog = _asked(request.opinions, catalog, cases_of(catalog, budget, wishes, known_flags), hardware, budget)
    schema = keep_schema(request.schema_dir or user_folder(platformdirs.user_data_path), dry_run=request.dry_run)
    setup = Setup(catalog.chosen, hardware, engine.written, engine.name, known_flags, schema, options.jinja)
    left_out = (*library.left_out, *unnameable)
    return Survey(
        path=request.config_path,
        setup=setup,
        library=library,
        left_out=left_out,
        catalog=catalog,
        listen_port=options.listen_port,
        learnt=request.learnt,
        gently=request.gently,
        options=options,
        others=others,
    )


def _asked(
    opinions: SecondOpinions, catalog: Catalog, cases: Mapping[str, Case], hardware: Hardware, budget: Budget
) -> Catalog:
    """Return the plans with what llama.cpp itself says of them."""
    plans = {
        chosen.candidate.id: Planned(
            Path(chosen.candidate.path), cases[chosen.candidate.id], chosen.placement, hardware
        )
        for chosen in catalog.chosen
        if chosen.candidate.id in cases
    }
    return reconsidered(catalog, opinions.about(plans), budget)


def candidates_of(
    models: Sequence[LibraryModel], learnt: Learnt = NOTHING_LEARNT, *, vocabularies: bool = False
) -> tuple[list[Candidate], list[LeftOut]]:
    """Turn what was found into candidates; what cannot be named in a configuration is left out.

    With `vocabularies` all tokens of each model are read, to find out which can draft for which.
    """
    found: list[Candidate] = []
    left_out: list[LeftOut] = []
    kinds = Vocabularies() if vocabularies else None
    for model in models:
        problem = next(filter(None, (unwritable(str(path)) for path in (model.path, *model.adapters))), None)
        if problem is None:
            found.append(replace(_candidate(model, kinds), learnt=learnt.corrections(str(model.path))))
        else:
            left_out.append(LeftOut(model.path, problem))
    return found, left_out


def _heads(library: Library) -> list[Candidate]:
    """Return the files that can only draft for another model."""
    return [
        Candidate(head.path.stem, str(head.path), head.facts)
        for head in library.heads
        if unwritable(str(head.path)) is None
    ]


def _candidate(model: LibraryModel, kinds: Vocabularies | None) -> Candidate:
    projector = model.projector
    if projector is not None and unwritable(str(projector.path)) is not None:
        projector = None
    return Candidate(
        id=model.id,
        path=str(model.path),
        facts=replace(model.facts, vision=model.vision, audio=model.audio),
        name=model.name,
        description=model.description,
        aliases=model.aliases,
        quantization=model.quantization,
        mmproj_path=str(projector.path) if projector is not None else None,
        projector=projector.facts.projector if projector is not None else None,
        vocabulary=kinds.name_of(model.path) if kinds is not None else None,
        adapters=tuple(map(str, model.adapters)),
        copies=tuple(map(str, model.copies)),
    )


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
