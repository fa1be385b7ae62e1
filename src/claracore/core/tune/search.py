"""Which tuning is tried next, given what was seen, and which is the best?

One kind of setting after another, those first that promise most; each on top of the best so far. That is far from all
combinations, but settings of different kinds hardly depend on each other, and a minute has room for a handful. What
takes more memory than is granted is not tried. At the end the best and the command as it is run once more, so that
what is told of them is no single measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from claracore.core.tune.tuning import NOTABLE, Trial, Tuning

RUNS = 2
"""Of the command as it is and of the best, before one is called better than the other."""
AS_CONFIGURED = Tuning()


@dataclass(frozen=True, slots=True)
class TuneCase:
    """What is known of a model before it is tuned: how its command runs it, and what else there is."""

    fits: Callable[[Tuning], bool]
    """Whether a tuning takes no more memory than is granted."""
    on_processor: bool
    """Whether any layer or expert computes on processors: then their threads matter."""
    threads: int
    cores: int
    """Physical cores that may be used."""
    logical: int
    micro_batch: int
    most_tokens: int
    """Of one prompt: what is computed at once cannot be more."""
    cpu_experts: int = 0
    layers: int = 0
    flash_attention: bool | None = None
    """None where it cannot be chosen: the engine or the type of the cache decides."""


def next_tuning(case: TuneCase, trials: Sequence[Trial], trials_left: int) -> Tuning | None:
    """Return what to try next; None when there is nothing more to learn, or no time for it.

    `trials_left` is for how many more there will be time.
    """
    if trials_left <= 0 or (trials and _seconds(trials, AS_CONFIGURED) is None):
        return None
    if not trials:
        return AS_CONFIGURED
    known = {trial.tuning for trial in trials}
    best = AS_CONFIGURED
    for stage in _stages(case):
        tried = [tuning for tuning in stage(best) if case.fits(tuning)]
        new = next((tuning for tuning in tried if tuning not in known), None)
        if new is not None and trials_left > _missing(trials, _best_of(trials, best, tried)):
            return new
        best = _best_of(trials, best, tried)
    return next(
        (tuning for tuning in (best, AS_CONFIGURED) if best != AS_CONFIGURED and _runs(trials, tuning) < RUNS), None
    )


def best_tuning(trials: Sequence[Trial]) -> Tuning:
    """Return the tuning that answers fastest, by all its runs: another than the command's only if that is notable."""
    best = AS_CONFIGURED
    for tuning in dict.fromkeys(trial.tuning for trial in trials):
        if _is_better(trials, tuning, AS_CONFIGURED) and (best == AS_CONFIGURED or _takes_less(trials, tuning, best)):
            best = tuning
    return best


def _stages(case: TuneCase) -> Iterator[Callable[[Tuning], list[Tuning]]]:
    """Yield the kinds of setting: from the best so far to what to try on top of it."""
    experts = _experts(case)
    if experts:
        yield lambda best: [replace(best, cpu_experts=count) for count in experts]
    batches = _micro_batches(case)
    if not case.on_processor or experts:
        yield lambda best: [replace(best, micro_batch=size) for size in batches]
    if case.on_processor:
        yield lambda best: [replace(best, threads=count) for count in _thread_counts(case)]
    if case.on_processor and not experts:
        yield lambda best: [replace(best, micro_batch=size) for size in batches]
    if case.flash_attention is not None:
        switched = not case.flash_attention
        yield lambda best: [replace(best, flash_attention=switched)]


def _experts(case: TuneCase) -> list[int]:
    """As few layers' experts in RAM as fit, one less than now, and two more: a GPU that is full may be slow."""
    if not case.cpu_experts:
        return []
    least = next((n for n in range(case.cpu_experts) if case.fits(Tuning(cpu_experts=n))), case.cpu_experts)
    counts = (least, case.cpu_experts - 1, min(case.layers, case.cpu_experts + 2))
    return [count for count in dict.fromkeys(counts) if count != case.cpu_experts]


def _micro_batches(case: TuneCase) -> list[int]:
    """Larger ones feed a GPU better, and cost less when experts are copied to it; processors like smaller ones, too."""
    if case.cpu_experts:
        sizes: tuple[int, ...] = (2048, 4096, 1024)
    else:
        sizes = (256, 1024) if case.on_processor else (1024, 2048)
    return [size for size in sizes if size != case.micro_batch and size <= case.most_tokens]


def _thread_counts(case: TuneCase) -> list[int]:
    """All logical processors, one core less for the rest of the system, and half of the cores, for slow memory."""
    counts = (case.cores, case.logical, case.cores - 1, case.cores // 2)
    return [count for count in dict.fromkeys(counts) if count > 0 and count != case.threads]


def _best_of(trials: Sequence[Trial], best: Tuning, tried: Sequence[Tuning]) -> Tuning:
    for tuning in tried:
        if _is_better(trials, tuning, best):
            best = tuning
    return best


def _is_better(trials: Sequence[Trial], one: Tuning, other: Tuning) -> bool:
    """Tell whether one takes notably less time than the other, by the runs that there were."""
    seconds, others = _seconds(trials, one), _seconds(trials, other)
    return seconds is not None and (others is None or seconds < others * (1 - NOTABLE))


def _takes_less(trials: Sequence[Trial], one: Tuning, other: Tuning) -> bool:
    seconds, others = _seconds(trials, one), _seconds(trials, other)
    return seconds is not None and others is not None and seconds < others


def _missing(trials: Sequence[Trial], best: Tuning) -> int:
    """Return how many runs are missing before something can be told of the best."""
    if best == AS_CONFIGURED:
        return 0
    return sum(max(0, RUNS - _runs(trials, tuning)) for tuning in (best, AS_CONFIGURED))


def _runs(trials: Sequence[Trial], tuning: Tuning) -> int:
    return sum(1 for trial in trials if trial.tuning == tuning)


def _seconds(trials: Sequence[Trial], tuning: Tuning) -> float | None:
    """Return how long a typical answer takes with a tuning; None if no run of it has succeeded."""
    found = [trial.speeds.answer_seconds for trial in trials if trial.tuning == tuning and trial.speeds is not None]
    return mean(found) if found else None
