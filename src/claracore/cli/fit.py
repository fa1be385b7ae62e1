"""`claracore fit FILE`: what does a model take on this machine, and how does it run beside its neighbours?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from claracore.cli.client import JSON, show_json
from claracore.cli.second_opinion import asked
from claracore.cli.setup import MACHINE, REALTIME, console, library_cache
from claracore.cli.verb import Verb, flag, option, within, word
from claracore.core.fit.budget import budget_of
from claracore.core.fit.case import Wishes
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.limits import LEAST_CONTEXT, MOST_CONTEXT, MOST_PARALLEL
from claracore.core.fit.opinion import SecondOpinion
from claracore.core.fit.speed import ModelSpeed
from claracore.core.memory.measured import LastLoad
from claracore.host.engines.find import Engine, EngineMissing, find_engine
from claracore.host.footprints.remembered import learnt_here
from claracore.host.places import config_file
from claracore.host.setup.among_neighbours import AmongNeighbours, among_neighbours
from claracore.host.setup.engine_named import configured_engine
from claracore.host.setup.machine import machine_for
from claracore.host.setup.others import Others
from claracore.host.setup.request import SetupOptions
from claracore.host.setup.speeds import PlacedModel, speeds_here
from claracore.host.state import default_state_dir


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
    learnt = learnt_here(default_state_dir())
    others = None if realtime else Others(default_state_dir()).on(machine)
    budget = budget_of(machine, live=realtime, beside=learnt.process_bytes(machine), others=others)
    known_flags = KnownFlags(engine.abilities.flags if engine is not None else None)
    found = among_neighbours(file, budget, Wishes(ctx, parallel), known_flags, learnt=learnt, cache=library_cache())
    opinion = asked(engine, found.model.path, found.case, found.placement, machine)
    placement = opinion.placement
    if choices and placement.fits:
        from claracore.cli.choices import show_choices  # noqa: PLC0415 - see console.py

        show_choices(found, budget, placement, machine, None if as_json else console())
        return
    last = learnt.last_load(str(found.model.path), found.case.facts.dealt_layers, placement.settings)
    placed = PlacedModel(str(found.model.path), found.case.facts, placement.settings, placement.loaded)
    speed = speeds_here(machine, config_file(), default_state_dir()).of([placed])[placed.path]
    _show_fit(found, opinion, last, speed, as_json=as_json)
    raise SystemExit(0 if placement.fits else 1)


def _show_fit(
    found: AmongNeighbours, opinion: SecondOpinion, last: LastLoad | None, speed: ModelSpeed, *, as_json: bool
) -> None:
    placement, model = opinion.placement, found.model
    if as_json:
        from claracore.cli.setup_json import placement_json  # noqa: PLC0415 - see console.py

        more = {"last_load": asdict(last) if last else None, "speed": asdict(speed), "helpers": list(found.helpers)}
        show_json({"id": model.id, **placement_json(placement), **more, "second_opinion": opinion.as_plain})
    else:
        from rich.text import Text  # noqa: PLC0415 - see console.py

        from claracore.cli.setup_tables import (  # noqa: PLC0415 - as above
            fit_verdict,
            helpers_words,
            last_load_words,
            working_table,
        )

        screen = console()
        screen.print(Text(model.name, style="bold"), Text(model.description))
        screen.print(working_table(placement))
        screen.print(fit_verdict(placement))
        if found.helpers:
            screen.print(helpers_words(found.helpers), highlight=False)
        if last is not None:
            screen.print(last_load_words(last))
        if opinion.words:
            screen.print(opinion.words, highlight=False)
        if placement.fits and speed.words:
            screen.print(Text(speed.words))


def _engine() -> Engine | None:
    try:
        return find_engine(configured_engine(config_file()))
    except EngineMissing:
        return None


FIT = Verb(
    fit,
    {
        "file": word(about="Model file; any shard of a model in several files.", kind=Path),
        "ctx": option(
            "--ctx",
            about="Context in tokens, instead of the largest comfortable.",
            kind=within(LEAST_CONTEXT, MOST_CONTEXT),
        ),
        "parallel": option("--parallel", about="Requests at a time.", kind=within(1, MOST_PARALLEL)),
        **MACHINE,
        "realtime": REALTIME,
        "choices": flag("--choices", about="Show in which ways it could run, and what each costs."),
        "as_json": JSON,
    },
)
