"""Which choices are there for a model that a set-up has found, and how does its proposal say one of them?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from claracore.core.config.lines import read_plain, value_at
from claracore.core.fit.budget import budget_of
from claracore.core.fit.case import Wishes
from claracore.core.fit.catalog import Chosen, alternatives
from claracore.core.fit.document import environment, memory_words
from claracore.core.fit.flags import Flag
from claracore.core.fit.kept_choice import WantedPlacement, with_choice
from claracore.core.fit.placed_command import says
from claracore.core.fit.plan import Placement
from claracore.core.fit.trades import Trade, trades
from claracore.errors import NotFound
from claracore.host.setup.choice_views import ChoiceView, PlacementSettings, choice_flags, choice_view
from claracore.host.setup.model_choices import named_trade, per_request
from claracore.host.setup.survey import Survey
from claracore.host.setup.write import SetupReport


@dataclass(frozen=True, slots=True)
class FoundChoices:
    """The choices for the models that a set-up has found."""

    found: Survey
    report: SetupReport

    def of(self, model_id: str) -> tuple[list[ChoiceView], int | None]:
        """Return the choices for one of the models, and which of them the proposed text says. Raises NotFound."""
        item = self._item(model_id)
        found = self._trades(item)
        words = [self._flags(item, trade.placement) for trade in found]
        command = value_at(read_plain(self.report.text), ("models", model_id, "cmd"))
        current = (at for at, flags in enumerate(words) if isinstance(command, str) and says(command, flags))
        views = [
            choice_view(trade, self.found.setup.hardware, flags) for trade, flags in zip(found, words, strict=True)
        ]
        return views, next(current, None)

    def text_with(self, text: str, wanted: Mapping[str, PlacementSettings]) -> str:
        """Return the proposed text with choices in it; models that are not in it are passed over.

        Raises NotFound, Conflict for what is no choice, EditRefused.
        """
        for model_id, settings in wanted.items():
            item = self._item(model_id)
            if value_at(read_plain(text), ("models", model_id)) is not None:
                text = with_choice(text, model_id, self._written(item, named_trade(self._trades(item), settings)))
        return text

    def _item(self, model_id: str) -> Chosen:
        for item in self.report.catalog.chosen:
            if self.report.ids.get(item.candidate.path, item.candidate.id) == model_id:
                return item
        raise NotFound(f"no model {model_id!r} was found that can be run here")

    def _trades(self, item: Chosen) -> list[Trade]:
        setup, options = self.found.setup, self.found.options
        beside = self.found.learnt.process_bytes(setup.hardware)
        budget = budget_of(setup.hardware, live=options.realtime, beside=beside, others=self.found.others)
        wishes = Wishes(parallel=options.parallel)
        placements = alternatives(item, budget, wishes, setup.known_flags)
        return trades(item.candidate.facts, placements, item.placement)

    def _written(self, item: Chosen, trade: Trade) -> WantedPlacement:
        placement = trade.placement
        return WantedPlacement(
            self._flags(item, placement),
            memory_words(placement),
            per_request(placement.settings),
            per_request(item.placement.settings),
            environment(placement, self.found.setup.hardware),
            trade.is_chosen,
        )

    def _flags(self, item: Chosen, placement: Placement) -> list[Flag]:
        setup, sees = self.found.setup, item.candidate.mmproj_path is not None
        return choice_flags(item.candidate.facts, placement, setup.known_flags, setup.hardware, projector=sees)
