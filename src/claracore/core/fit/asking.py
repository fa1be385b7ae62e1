"""How is llama.cpp's own program asked about one of our plans, and how is its answer read beside our count?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from claracore.core.fit.case import EMBEDDERS
from claracore.core.fit.command import flags
from claracore.core.fit.fit_params import ABOUT_MEMORY, CHOSEN_BY_IT, Ask, FitProgram, Fitted
from claracore.core.fit.memory import LEARNT, Companions, Estimate, MemoryItem, estimate
from claracore.core.fit.places import RAM, places_of
from claracore.core.units import MIB

if TYPE_CHECKING:
    from claracore.core.fit.case import Case
    from claracore.core.fit.machine import Hardware
    from claracore.core.fit.plan import Placement
    from claracore.core.fit.settings import Settings

STEP = 64 * MIB
"""Memory to leave free is told in steps of this, so that the same question is asked again later."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Bytes in one place, as we count and as llama.cpp does, for what both were asked."""

    place: int
    counted: int
    engine: int

    @property
    def more(self) -> int:
        """How many bytes more llama.cpp says."""
        return self.engine - self.counted


@dataclass(frozen=True, slots=True)
class Asking:
    """A program to ask, about one model on one machine."""

    program: FitProgram
    hardware: Hardware
    ask: Ask

    def can_ask(self, case: Case, placement: Placement) -> bool:
        """Tell whether the program would see what the plan is for: the engine's own devices, a model that writes."""
        return case.facts.kind not in EMBEDDERS and all(self.hardware.gpus[gpu].device for gpu in placement.gpus)

    def compare(self, case: Case, placement: Placement, overrides: tuple[str, ...] = ()) -> list[Compared] | None:
        """Return what it says of each place that a plan uses, RAM last; None without an answer."""
        asked = self.program.asked_settings(placement.settings)
        words = self._words(case, placement, overrides)
        answer = self.ask(self.program.how_much(words))
        if answer is None or answer.fitted is not None:
            return None
        own = self._count(case, asked)
        gpus = places_of(case.facts, asked).gpus
        names = {gpu: self.hardware.gpus[gpu].device for gpu in gpus}
        if any(name not in answer.devices for name in names.values()):
            return None
        found = [Compared(gpu, own.on(gpu), answer.devices[name]) for gpu, name in names.items()]
        return [*found, Compared(RAM, own.on(RAM), answer.ram)] if gpus or answer.whole else found or None

    def fitted(self, case: Case, placement: Placement, context: int | None) -> Fitted | None:
        """Return what it would choose itself in the memory of the budget; None when that cannot be asked now."""
        usable = tuple(gpu for gpu, size in enumerate(case.budget.gpus) if size > 0)
        if not usable or not all(self.hardware.gpus[gpu].device for gpu in usable):
            return None
        words = self._words(case, replace(placement, gpus=usable), (), without=CHOSEN_BY_IT)
        space = [case.budget.gpus[gpu] - self._beside(case, placement, gpu) for gpu in usable]
        free = [self.hardware.gpus[gpu].free_bytes or 0 for gpu in usable]
        leave = [max(0, -(-(there - taken) // STEP) * STEP) for there, taken in zip(free, space, strict=True)]
        there_now = all(free >= case.budget.gpus[gpu] for free, gpu in zip(free, usable, strict=True))
        question = self.program.what_else(words, space, leave if there_now else None, context)
        answer = self.ask(question)
        return answer.fitted if answer is not None else None

    def _beside(self, case: Case, placement: Placement, gpu: int) -> int:
        """Return the bytes of a GPU that are taken by what it is not asked about (a projector, more slots).

        Below 0 where it counts what llama-server does not take: logits of all tokens.
        """
        asked = self._count(case, self.program.asked_settings(placement.settings))
        return placement.estimate.on(gpu) - asked.on(gpu)

    def _count(self, case: Case, settings: Settings) -> Estimate:
        """Count what it is asked about: the model alone, with what is known to be miscounted.

        The program lets each token of a batch have logits (b11434), llama-server only the last ones of each slot.
        """
        each = replace(settings, embeddings=True)
        return estimate(case.facts, each, Companions(learnt=case.companions.learnt)).loaded

    def _words(
        self, case: Case, placement: Placement, overrides: tuple[str, ...], *, without: frozenset[str] = frozenset()
    ) -> list[str]:
        settings = replace(self.program.asked_settings(placement.settings), overrides=overrides)
        asked = replace(placement, settings=settings)
        found = flags(case.facts, asked, self.program.known_flags, self.hardware, jinja=False)
        wanted = ABOUT_MEMORY - without
        return [word for flag in found if flag.words[0] in wanted for word in flag.words]


def difference_rows(compared: Sequence[Compared]) -> list[MemoryItem]:
    """Return rows that make an estimate say what llama.cpp says."""
    return [MemoryItem(LEARNT, row.place, row.more, "as llama.cpp itself counts") for row in compared if row.more]
