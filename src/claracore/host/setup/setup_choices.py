"""Which choices are there for a model that a set-up has found, and how does its proposal say one of them?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from claracore.core.config.lines import read_plain, value_at
from claracore.core.fit.budget import budget_of
from claracore.core.fit.case import Wishes
from claracore.core.fit.catalog import Chosen, alternatives
from claracore.core.fit.document import environment, memory_words
from claracore.core.fit.kept_choice import WantedPlacement, with_choice
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

    def of(self, model_id: str) -> list[ChoiceView]:
        """Return the choices for one of the models. Raises NotFound."""
        item = self._item(model_id)
        hardware, known_flags = self.found.setup.hardware, self.found.setup.known_flags
        return [
            choice_view(
                trade,
                hardware,
                choice_flags(item.candidate.facts, trade.placement, known_flags, hardware, projector=_sees(item)),
            )
            for trade in self._trades(item)
        ]

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
        budget = budget_of(setup.hardware, live=options.realtime, beside=beside)
        wishes = Wishes(parallel=options.parallel)
        placements = alternatives(item, budget, wishes, setup.known_flags)
        return trades(item.candidate.facts, placements, item.placement)

    def _written(self, item: Chosen, trade: Trade) -> WantedPlacement:
        setup, placement = self.found.setup, trade.placement
        words = choice_flags(item.candidate.facts, placement, setup.known_flags, setup.hardware, projector=_sees(item))
        return WantedPlacement(
            words,
            memory_words(placement),
            per_request(placement.settings),
            per_request(item.placement.settings),
            environment(placement, setup.hardware),
            trade.is_chosen,
        )


def _sees(item: Chosen) -> bool:
    return item.candidate.mmproj_path is not None
