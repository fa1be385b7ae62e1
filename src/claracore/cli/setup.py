"""`claracore setup [DIR...]`, `claracore hardware`: what is configured, and on what machine?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from claracore.cli.client import JSON, show_json
from claracore.cli.progress import progress
from claracore.cli.second_opinion import opinions
from claracore.cli.terminal import is_plain, say
from claracore.cli.verb import Verb, decimal_within, flag, many, option, switch, within, word
from claracore.core.fit.budget import budget_of
from claracore.core.fit.limits import LEAST_CONTEXT, MOST_CONTEXT, MOST_GB, MOST_PARALLEL
from claracore.core.fit.speed import ModelSpeed
from claracore.core.ports.listen import Listen, parse_listen
from claracore.host.engines.find import find_engine
from claracore.host.footprints.remembered import learnt_here
from claracore.host.library.cache import ReadingCache
from claracore.host.places import config_file
from claracore.host.setup.engine_named import configured_engine
from claracore.host.setup.machine import machine_for
from claracore.host.setup.others import Others
from claracore.host.setup.request import SetupOptions, SetupRequest
from claracore.host.setup.speeds import speeds_of
from claracore.host.setup.write import SetupReport, write_setup
from claracore.host.state import default_state_dir

if TYPE_CHECKING:
    from rich.console import Console

    from claracore.cli.serve_options import ServeOptions
    from claracore.host.setup.following import Following

WIDTH = 10_000
"""Columns of a table that no terminal limits."""


def setup(
    *,
    folders: list[Path],
    config: Path | None,
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
    """Look at model files and this machine, and write a configuration that says why; exit code 1 without a model."""
    config, taken = config_file(config), None
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
            opinions=opinions(engine), others=Others(default_state_dir()), even_empty=False,
        )  # fmt: skip
        report = write_setup(request)
    speeds = speeds_of(report, default_state_dir())
    if as_json:
        from claracore.cli.setup_json import report_json  # noqa: PLC0415 - see console.py

        show_json({**report_json(report, listen, speeds), **(taken.as_json if taken is not None else {})})
    else:
        tell(report, console(), dry_run=dry_run, listen=listen, speeds=speeds)
    if report.is_empty:
        raise SystemExit(1)


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

    screen = Console(color_system=None if is_plain() else "auto")
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
    with progress(quiet=False) as on_progress:
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
    if report.is_empty and not report.written:
        console.print("nothing was written", highlight=False)
        return
    done = "wrote" if report.written else ("would write" if dry_run and report.changed else "nothing to change in")
    console.print(f"{done} {report.path}", highlight=False)


MACHINE = {
    "backend": option("--backend", about="auto, cpu, cuda, rocm, vulkan, metal or sycl."),
    "vram": option("--vram", about="Video memory in GB, instead of what is found.", kind=decimal_within(0, MOST_GB)),
    "ram": option("--ram", about="RAM in GB, instead of what is found.", kind=decimal_within(0, MOST_GB)),
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
        "config": option("--config", about="Configuration file to write, or to merge into.", kind=Path),
        **MACHINE,
        "ctx": option(
            "--ctx",
            about="Context for every model, instead of the largest comfortable.",
            kind=within(LEAST_CONTEXT, MOST_CONTEXT),
        ),
        "parallel": option(
            "--parallel", about="Requests that each model answers at a time.", kind=within(1, MOST_PARALLEL)
        ),
        "listen": option("--listen", about="Where ClaraCore will listen.", default="5800"),
        "jinja": switch("--jinja", about="Use the models' own chat templates.", default=True),
        "auto_draft": switch("--auto-draft", about="Let small models draft for large ones.", default=False),
        "realtime": REALTIME,
        "dry_run": flag("--dry-run", about="Show what would be written; write nothing."),
        "as_json": JSON,
    },
)
HARDWARE = Verb(hardware, {**MACHINE, "as_json": JSON})
