"""Does llama.cpp know a better way to run a model than ours?

It is asked what it would choose itself, and what it would do with our context. Its answer counts as worth what ours
would be worth (`value`), and is taken when it is clearly more and llama.cpp says that it fits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from claracore.core.fit.asking import difference_rows
from claracore.core.fit.case import FLOOR
from claracore.core.fit.memory import Estimate
from claracore.core.fit.plan import Placement, placed
from claracore.core.fit.value import FULL_CONTEXT, value_of
from claracore.core.fit.ways import Verdict, Way, dealt, teams

if TYPE_CHECKING:
    from claracore.core.fit.asking import Asking
    from claracore.core.fit.case import Case
    from claracore.core.fit.fit_params import Fitted
    from claracore.core.fit.settings import Settings

WORTH_CHANGING: Final = 0.1
"""Points that another way is worth more at least; less is not worth flags that nobody expects."""
OF_LAYER: Final = re.compile(r"blk\\\.(\d+)\\\.ffn_(.*)=(\S+)")
WHOLE: Final = re.compile(r"\((up|down|gate|gate_up|\|)+\)_\(ch\|\)exps")
"""All routed experts of a layer, as `--n-cpu-moe` has them."""


@dataclass(frozen=True, slots=True)
class Moves:
    """What overrides keep elsewhere: all experts of some layers in RAM, and parts of others."""

    whole: int
    parts: int

    @property
    def plain(self) -> bool:
        """Whether `--n-cpu-moe` can say the same."""
        return not self.parts


def alternative(case: Case, placement: Placement, asking: Asking) -> Placement | None:
    """Return a way that is clearly worth more than `placement`; None when there is none, or none is told."""
    if not case.budget.gpus or _is_best(case, placement):
        return None
    wished = case.wishes.context
    contexts = (placement.settings.context,) if wished is not None else (None, placement.settings.context)
    best, most = None, value_of(case.facts, placement.settings) + WORTH_CHANGING
    for context in contexts:
        fitted = asking.fitted(case, placement, context)
        if fitted is None or fitted.context < min(FLOOR, case.longest):
            continue
        found = _placement(case, placement, fitted, asking)
        if found is not None and value_of(case.facts, _valued(case, found.settings)) > most:
            best, most = found, value_of(case.facts, _valued(case, found.settings))
    return best


def _is_best(case: Case, placement: Placement) -> bool:
    """Tell whether nothing can be worth more: all on one card, with as much context as counts."""
    full = placement.settings.context >= min(case.longest, FULL_CONTEXT)
    return placement.verdict is Verdict.GPU and len(placement.gpus) == 1 and full


def _placement(case: Case, ours: Placement, fitted: Fitted, asking: Asking) -> Placement | None:
    """Return the way as a placement of ours if it fits; with its overrides as they are where we cannot say the same."""
    moves = _moves(fitted)
    gpus = teams(case)[-1]
    base = replace(
        case.settings(min(fitted.context, _enough(case, ours)), ours.settings.cache_type_k),
        batch=ours.settings.batch,
        micro_batch=ours.settings.micro_batch,
        gpu_layers=fitted.gpu_layers if fitted.gpu_layers >= 0 else case.facts.dealt_layers + 1,
        cpu_experts=moves.whole,
    )
    settings = dealt(case, base, gpus)
    if moves.plain and case.fits(settings):
        return _placed(case, settings, gpus, case.costs(settings))
    if fitted.overrides and not case.known_flags.knows("--override-tensor"):
        return None
    settings = replace(
        base,
        split=_split(case, fitted, gpus),
        cpu_experts=moves.whole + (moves.parts if case.facts.experts else 0),
        overrides=fitted.overrides,
    )
    trial = _placed(case, settings, gpus, case.costs(settings))
    compared = asking.compare(case, trial, fitted.overrides)
    if compared is None:
        return None
    cost = Estimate((*case.costs(settings).rows, *difference_rows(compared)))
    return _placed(case, settings, gpus, cost) if case.budget.holds(cost) else None


def _enough(case: Case, ours: Placement) -> int:
    """Return the longest context to take: more than counts would only take memory from another model."""
    return min(case.longest, max(ours.settings.context, FULL_CONTEXT))


def _placed(case: Case, settings: Settings, gpus: tuple[int, ...], cost: Estimate) -> Placement:
    verdict = Verdict.EXPERTS_IN_RAM if settings.cpu_experts else Verdict.GPU
    if settings.gpu_layers <= case.facts.dealt_layers:
        verdict = Verdict.PARTLY
    found = placed(case, Way(verdict, settings, gpus, case.longest), cost)
    return replace(found, reason=f"llama-fit-params found a better way: {found.reason}")


def _valued(case: Case, settings: Settings) -> Settings:
    """Return the settings to value: a layer of which a part is in RAM counts as there, so that no part is overrated."""
    if not settings.overrides or case.facts.experts:
        return settings
    return replace(settings, gpu_layers=max(0, settings.gpu_layers - _moves_of(settings.overrides).parts))


def _moves(fitted: Fitted) -> Moves:
    return _moves_of(fitted.overrides)


def _moves_of(overrides: tuple[str, ...]) -> Moves:
    whole = parts = 0
    for text in overrides:
        match = OF_LAYER.fullmatch(text)
        if match is not None and match[3] == "CPU" and WHOLE.fullmatch(match[2]):
            whole += 1
        else:
            parts += 1
    return Moves(whole, parts)


def _split(case: Case, fitted: Fitted, gpus: tuple[int, ...]) -> tuple[float, ...]:
    """Return its shares for all GPUs of the machine; without any it shares by memory."""
    count = len(case.budget.gpus)
    if count < 2:
        return ()
    shares = dict(zip(gpus, fitted.split, strict=False)) if fitted.split else dict(enumerate(case.budget.gpus))
    return tuple(float(shares.get(gpu, 0)) if gpu in gpus else 0.0 for gpu in range(count))
