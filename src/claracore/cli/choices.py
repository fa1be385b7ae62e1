"""`claracore fit FILE --choices`: in which ways could a model run on this machine, and what does each cost?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from rich.text import Text

from claracore.cli.client import show_json
from claracore.cli.setup_tables import COLOURS, helpers_words, plain_table
from claracore.core.fit.case import EMBEDDERS
from claracore.core.fit.command import flags, known, projector_flags
from claracore.core.fit.plan import Placement, choices
from claracore.core.fit.trades import Trade, trades
from claracore.core.memory.devices import device_words
from claracore.core.units import gib
from claracore.host.setup.choice_views import ChoiceView, choice_view

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from claracore.core.fit.budget import Budget
    from claracore.core.fit.case import Case
    from claracore.core.fit.machine import Hardware
    from claracore.host.setup.among_neighbours import AmongNeighbours


def show_choices(
    planned: AmongNeighbours, budget: Budget, chosen: Placement, machine: Hardware, screen: Console | None
) -> None:
    """Print the choices for a model: as a table on a screen, or as JSON with the exact flags."""
    model, case = planned.model, planned.case
    space = budget if case.facts.kind in EMBEDDERS else case.budget
    wishes = replace(case.wishes, comfort=None)
    found = choices(case.facts, space, wishes, case.known_flags, case.companions, chosen=chosen)
    views = [_view(trade, case, machine) for trade in trades(case.facts, found, chosen)]
    if screen is None:
        helpers = list(planned.helpers)
        show_json({"id": model.id, "choices": [asdict(view) for view in views], "helpers": helpers})
        return
    screen.print(Text(model.name, style="bold"), Text(model.description))
    screen.print(choices_table(views, found))
    if planned.helpers:
        screen.print(helpers_words(planned.helpers), highlight=False)
    folder = model.path.parent
    screen.print(
        f"* is what `claracore setup {folder}` writes; another one is taken in the web interface", highlight=False
    )


def choices_table(views: Sequence[ChoiceView], placements: Sequence[Placement]) -> Table:
    """Make the table of choices, the fastest first; the recommended one is marked."""
    devices = [share.device for share in views[0].devices]
    table = plain_table(None)
    table.add_column("")
    table.add_column("choice", overflow="fold")
    for name in ("context", "cache", "speed", *map(device_words, devices)):
        table.add_column(name, justify="right")
    table.add_column("beside the marked one", overflow="fold")
    for view, placement in zip(views, placements, strict=True):
        table.add_row(
            "*" if view.recommended else "",
            Text(view.title, style="bold" if view.recommended else COLOURS[placement.verdict]),
            str(view.context),
            view.cache_type,
            f"{1 / view.times_slower:.2f}",
            *(gib(share.bytes) if share.bytes else "" for share in view.devices),
            view.words,
        )
    return table


def _view(trade: Trade, case: Case, machine: Hardware) -> ChoiceView:
    words = flags(case.facts, trade.placement, case.known_flags, machine)
    if case.companions.projector is not None:
        words += known(projector_flags(trade.placement, machine), case.known_flags)
    return choice_view(trade, machine, words)
