"""`claracore setup [DIR...]`, `claracore fit FILE`, `claracore hardware`: what is configured, how it fits, on what."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from claracore.cli.client import JSON, show_json
from claracore.cli.progress import progress
from claracore.cli.second_opinion import opinions, planned_and_asked
from claracore.cli.serve_options import DEFAULT_CONFIG
from claracore.cli.terminal import say
from claracore.cli.verb import Verb, flag, many, option, switch, word
from claracore.core.fit.budget import budget_of
from claracore.core.fit.case import Case, Wishes
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.memory import Companions
from claracore.core.fit.opinion import SecondOpinion
from claracore.core.fit.speed import ModelSpeed
from claracore.core.memory.measured import LastLoad
from claracore.core.ports.listen import Listen, parse_listen
from claracore.errors import BadRequest
from claracore.host.engines.find import Engine, EngineMissing, find_engine
from claracore.host.footprints.remembered import learnt_here
from claracore.host.library.cache import ReadingCache
from claracore.host.library.model import LibraryModel
from claracore.host.library.scan import scan
from claracore.host.library.walk import around
from claracore.host.setup.machine import machine_for
from claracore.host.setup.others import Others
from claracore.host.setup.request import SetupOptions, SetupRequest
from claracore.host.setup.speeds import PlacedModel, speeds_here, speeds_of
from claracore.host.setup.write import SetupReport, configured_engine, write_setup
from claracore.host.state import default_state_dir

if TYPE_CHECKING:
    from rich.console import Console

    from claracore.cli.serve_options import ServeOptions
    from claracore.host.setup.following import Following

WIDTH = 140
"""Columns of a table that no terminal limits."""


def setup(
    *,
    folders: list[Path],
    config: Path,
    backend: str | None,
    vram: float | None,
    ram: float | None,
    ctx: int | None,
    parallel: int | None,
    listen: str,
    jinja: bool,
    auto_draft: bool,
    realtime: bool,
    yes: bool,
    store: list[str] | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Look at model files and this machine, and write a configuration that says why."""
    taken = None
    if not folders or store:
        from claracore.cli.stores import take_stores  # noqa: PLC0415 - not where folders are named

        taken = take_stores(store, yes=yes, as_json=as_json)
    if taken is not None:
        folders = [*folders, *taken.folders]
    options = SetupOptions(
        backend=backend, vram_gb=vram, ram_gb=ram, context=ctx, parallel=parallel, jinja=jinja,
        auto_draft=auto_draft, realtime=realtime, listen_port=parse_listen(listen).port,
    )  # fmt: skip
    engine = find_engine(configured_engine(config))
    for finding in engine.findings:
        say(finding, err=True, style="yellow")
    with progress(quiet=as_json) as on_progress:
        cache = taken.cache if taken is not None else library_cache()
        learnt = learnt_here(default_state_dir())
        request = SetupRequest(
            folders, config, options, engine, cache, dry_run=dry_run, on_progress=on_progress, learnt=learnt,
            opinions=opinions(engine), others=Others(default_state_dir()),
        )  # fmt: skip
        report = write_setup(request)
    speeds = speeds_of(report, default_state_dir())
    if as_json:
        from claracore.cli.setup_json import report_json  # noqa: PLC0415 - see console.py

        show_json({**report_json(report, listen, speeds), **(taken.as_json if taken is not None else {})})
    else:
        tell(report, console(), dry_run=dry_run, listen=listen, speeds=speeds)


def fit(
    *,
    file: Path,
    ctx: int | None,
    parallel: int | None,
    vram: float | None,
    ram: float | None,
    backend: str | None,
    realtime: bool,
    choices: bool,
    as_json: bool,
) -> None:
    """Show what a model takes on this machine, and how it would run; exit code 1 when it does not fit."""
    engine = _engine()
    machine = machine_for(engine, SetupOptions(backend=backend, vram_gb=vram, ram_gb=ram))
    model = one_model(file)
    learnt = learnt_here(default_state_dir())
    companions = Companions(
        model.projector.facts.projector if model.projector else None, learnt=learnt.corrections(str(model.path))
    )
    others = None if realtime else Others(default_state_dir()).on(machine)
    budget = budget_of(machine, live=realtime, beside=learnt.process_bytes(machine), others=others)
    known_flags = KnownFlags(engine.abilities.flags if engine is not None else None)
    case = Case(model.facts, budget, Wishes(ctx, parallel), known_flags, companions)
    opinion = planned_and_asked(engine, model.path, case, machine)
    placement = opinion.placement
    if choices and placement.fits:
        from claracore.cli.choices import show_choices  # noqa: PLC0415 - see console.py

        show_choices(model, case, placement, machine, None if as_json else console())
        return
    last = learnt.last_load(str(model.path), model.facts.dealt_layers, placement.settings)
    placed = PlacedModel(str(model.path), model.facts, placement.settings, placement.loaded)
    speed = speeds_here(machine, DEFAULT_CONFIG, default_state_dir()).of([placed])[placed.path]
    _show_fit(model, opinion, last, speed, as_json=as_json)
    raise SystemExit(0 if placement.fits else 1)


def _show_fit(
    model: LibraryModel, opinion: SecondOpinion, last: LastLoad | None, speed: ModelSpeed, *, as_json: bool
) -> None:
    placement = opinion.placement
    if as_json:
        from claracore.cli.setup_json import placement_json  # noqa: PLC0415 - see console.py

        more = {"last_load": asdict(last) if last else None, "speed": asdict(speed)}
        show_json({"id": model.id, **placement_json(placement), **more, "second_opinion": opinion.as_plain})
    else:
        from rich.text import Text  # noqa: PLC0415 - see console.py

        from claracore.cli.setup_tables import fit_verdict, last_load_words, working_table  # noqa: PLC0415 - as above

        screen = console()
        screen.print(Text(model.name, style="bold"), Text(model.description))
        screen.print(working_table(placement))
        screen.print(fit_verdict(placement))
        if last is not None:
            screen.print(last_load_words(last))
        if opinion.words:
            screen.print(opinion.words, highlight=False)
        if placement.fits and speed.words:
            screen.print(Text(speed.words))


def hardware(*, backend: str | None, vram: float | None, ram: float | None, as_json: bool) -> None:
    """Show processors, memory and graphics devices as ClaraCore plans with them."""
    found = machine_for(None, SetupOptions(backend=backend, vram_gb=vram, ram_gb=ram))
    if as_json:
        budget = budget_of(found)
        usable = {"ram_bytes": budget.ram, "gpu_bytes": list(budget.gpus), "threads": found.processor.threads}
        show_json({**asdict(found), "usable": usable})
    else:
        from claracore.cli.setup_tables import hardware_table  # noqa: PLC0415 - see console.py

        console().print(hardware_table(found))


def console() -> Console:
    """Return where tables go: as wide as the terminal, and wide enough where there is none (a file, a pipe)."""
    from rich.console import Console  # noqa: PLC0415 - see console.py

    screen = Console()
    return screen if screen.is_terminal or "COLUMNS" in os.environ else Console(width=WIDTH)


def set_up_folders(chosen: ServeOptions, config: Path, listen: Listen) -> Following:
    """Write the models of the folders into the configuration and say what came of it."""
    from claracore.host.setup.following import Following  # noqa: PLC0415 - `claracore setup` serves nothing

    folders = tuple(chosen.models_folder or ())
    setup = SetupOptions(
        backend=chosen.backend,
        vram_gb=chosen.vram,
        ram_gb=chosen.ram,
        parallel=chosen.parallel,
        jinja=chosen.jinja,
        auto_draft=chosen.auto_draft,
        realtime=chosen.realtime,
        listen_port=listen.port,
    )
    cache = library_cache()
    engine = find_engine(configured_engine(config))
    with progress(quiet=not sys.stderr.isatty()) as on_progress:
        learnt = learnt_here(default_state_dir())
        request = SetupRequest(
            folders, config, setup, engine, cache, on_progress=on_progress, learnt=learnt,
            opinions=opinions(engine, 0), others=Others(default_state_dir()),
        )  # fmt: skip
        report = write_setup(request)
    if report.changed or report.left_out:
        tell(report, console(), listen=chosen.listen)
    return Following(folders, config, setup, cache, report.library)


def library_cache() -> ReadingCache:
    """Return what is remembered of model files on this machine."""
    return ReadingCache.in_folder(default_state_dir())


def tell(
    report: SetupReport,
    console: Console,
    *,
    dry_run: bool = False,
    listen: str = "5800",
    speeds: Mapping[str, ModelSpeed] | None = None,
) -> None:
    """Print what was, or would be, configured; what was left out; and what changed in an existing file."""
    from claracore.cli.setup_tables import (  # noqa: PLC0415 - see console.py
        changes,
        hardware_table,
        left_out_table,
        model_rows,
        models_table,
        nothing_found,
    )

    console.print(hardware_table(report.hardware))
    if report.catalog.chosen:
        console.print(models_table(model_rows(report, parse_listen(listen), speeds or {})))
    else:
        console.print(nothing_found(report), highlight=False)
    if report.left_out or report.catalog.refused:
        console.print(left_out_table(report))
    if report.merged is not None:
        for words in changes(report):
            console.print(words, highlight=False)
        if difference := report.diff:
            console.print(difference, markup=False, highlight=False, soft_wrap=True)
    if report.backup is not None:
        console.print(f"the old file is in {report.backup}", highlight=False)
    done = "wrote" if report.written else ("would write" if dry_run and report.changed else "nothing to change in")
    console.print(f"{done} {report.path}", highlight=False)


def one_model(file: Path) -> LibraryModel:
    """Read one model as it is read among its neighbours: with its other shards, its projector and its id there.

    Raises BadRequest with the reason why it cannot be served.
    """
    library = scan(around(file), cache=library_cache())
    real = file.resolve()
    model = next(
        (model for model in library.models if real in {path.resolve() for path in (*model.paths, *model.copies)}), None
    )
    if model is None:
        reasons = [left.reason for left in library.left_out if left.path.resolve() == real]
        reasons.append("it is no model file (*.gguf), or only a part of one")
        raise BadRequest(f"{file} cannot be served: {reasons[0]}")
    return model


def _engine() -> Engine | None:
    try:
        return find_engine(configured_engine(DEFAULT_CONFIG))
    except EngineMissing:
        return None


MACHINE = {
    "backend": option("--backend", about="auto, cpu, cuda, rocm, vulkan, metal or sycl."),
    "vram": option("--vram", about="Video memory in GB, instead of what is found.", kind=float),
    "ram": option("--ram", about="RAM in GB, instead of what is found.", kind=float),
}
REALTIME = switch("--realtime", about="Plan with memory that is free right now.", default=False)
SETUP = Verb(
    setup,
    {
        "folders": word(
            about="Folders with GGUF files; looked through recursively. Without one: where other programs keep models.",
            kind=Path,
            nargs="*",
        ),
        "yes": flag("--yes", about="Take all models that other programs keep here, without asking."),
        "store": many("--store", about="Take those of one program, e.g. ollama; may be given more than once."),
        "config": option(
            "--config", about="Configuration file to write, or to merge into.", kind=Path, default=DEFAULT_CONFIG
        ),
        **MACHINE,
        "ctx": option("--ctx", about="Context for every model, instead of the largest comfortable.", kind=int),
        "parallel": option("--parallel", about="Requests that each model answers at a time.", kind=int),
        "listen": option("--listen", about="Where ClaraCore will listen.", default="5800"),
        "jinja": switch("--jinja", about="Use the models' own chat templates.", default=True),
        "auto_draft": switch("--auto-draft", about="Let small models draft for large ones.", default=False),
        "realtime": REALTIME,
        "dry_run": flag("--dry-run", about="Show what would be written; write nothing."),
        "as_json": JSON,
    },
)
FIT = Verb(
    fit,
    {
        "file": word(about="Model file; any shard of a model in several files.", kind=Path),
        "ctx": option("--ctx", about="Context in tokens, instead of the largest comfortable.", kind=int),
        "parallel": option("--parallel", about="Requests at a time.", kind=int),
        **MACHINE,
        "realtime": REALTIME,
        "choices": flag("--choices", about="Show in which ways it could run, and what each costs."),
        "as_json": JSON,
    },
)
HARDWARE = Verb(hardware, {**MACHINE, "as_json": JSON})
