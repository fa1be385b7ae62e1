"""What is tried next: transcripts of tunings, with the speeds that a machine would have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.tune.search import RUNS, TuneCase, best_tuning, next_tuning
from claracore.core.tune.tuning import NOTABLE, Speeds, Trial, Tuning

ENOUGH = 99
Machine = Callable[[Tuning], Speeds | None]


def on_processors(fits: Callable[[Tuning], bool] = lambda _tuning: True) -> TuneCase:
    return TuneCase(
        fits, on_processor=True, threads=8, cores=8, logical=16, micro_batch=512, most_tokens=4096, flash_attention=True
    )


def with_experts(fits: Callable[[Tuning], bool] = lambda _tuning: True) -> TuneCase:
    return TuneCase(
        fits, on_processor=True, threads=8, cores=8, logical=8, micro_batch=512, most_tokens=8192,
        cpu_experts=20, layers=48,
    )  # fmt: skip


def tuned(case: TuneCase, machine: Machine, trials_left: int = ENOUGH) -> list[Trial]:
    """Let a machine answer until there is nothing more to try."""
    trials: list[Trial] = []
    while (tuning := next_tuning(case, trials, trials_left - len(trials))) is not None:
        speeds = machine(tuning)
        trials.append(Trial(tuning, speeds, "" if speeds else "its server died"))
        assert len(trials) < 40
    return trials


def tried(trials: Sequence[Trial]) -> list[str]:
    return [trial.tuning.words for trial in trials]


def same(_tuning: Tuning) -> Speeds:
    return Speeds(100, 20)


def test_the_command_as_it_is_comes_first_and_each_kind_after_it() -> None:
    assert tried(tuned(on_processors(), same)) == [
        "as configured", "16 threads", "7 threads", "4 threads", "prompts by 256 tokens", "prompts by 1024 tokens",
        "flash attention off",
    ]  # fmt: skip


def test_what_is_better_is_kept_and_run_again_beside_the_command_as_it_is() -> None:
    def machine(tuning: Tuning) -> Speeds:
        return Speeds(100 * (1.5 if tuning.micro_batch == 1024 else 1), 20 * (1.2 if tuning.threads == 4 else 1))

    trials = tuned(on_processors(), machine)
    assert tried(trials)[4:] == [
        "4 threads, prompts by 256 tokens", "4 threads, prompts by 1024 tokens",
        "4 threads, prompts by 1024 tokens, flash attention off", "4 threads, prompts by 1024 tokens", "as configured",
    ]  # fmt: skip
    assert best_tuning(trials) == Tuning(threads=4, micro_batch=1024)


def test_a_difference_that_may_be_noise_changes_nothing() -> None:
    def machine(tuning: Tuning) -> Speeds:
        return Speeds(102, 20.4) if tuning.threads == 7 else Speeds(100, 20)

    trials = tuned(on_processors(), machine)
    assert best_tuning(trials) == Tuning()
    assert len(trials) == len(set(tried(trials)))


def test_luck_does_not_last() -> None:
    runs: list[Tuning] = []

    def machine(tuning: Tuning) -> Speeds:
        runs.append(tuning)
        if tuning == Tuning(threads=7):
            return Speeds(120, 24) if runs.count(tuning) == 1 else Speeds(80, 16)
        return Speeds(100, 20)

    trials = tuned(on_processors(), machine)
    assert sum(trial.tuning == Tuning(threads=7) for trial in trials) == RUNS
    assert best_tuning(trials) == Tuning()


def test_as_few_experts_in_ram_as_fit_come_first() -> None:
    trials = tuned(with_experts(lambda tuning: tuning.cpu_experts is None or tuning.cpu_experts >= 17), same)
    assert tried(trials)[1:4] == [f"experts of {count} layers in RAM" for count in (17, 19, 22)]
    assert tried(trials)[4:7] == [f"prompts by {size} tokens" for size in (2048, 4096, 1024)]


def test_what_takes_too_much_memory_is_never_run() -> None:
    trials = tuned(with_experts(lambda tuning: not (tuning.micro_batch or 0) > 2048), same)
    assert "prompts by 2048 tokens" in tried(trials)
    assert "prompts by 4096 tokens" not in tried(trials)


def test_on_a_gpu_threads_do_not_matter() -> None:
    case = TuneCase(
        lambda _tuning: True, on_processor=False, threads=8, cores=8, logical=16, micro_batch=512, most_tokens=8192
    )
    assert tried(tuned(case, same)) == ["as configured", "prompts by 1024 tokens", "prompts by 2048 tokens"]


def test_what_does_not_run_is_passed_over() -> None:
    def machine(tuning: Tuning) -> Speeds | None:
        return None if tuning.threads == 16 else Speeds(150 if tuning.threads == 7 else 100, 20)

    assert best_tuning(tuned(on_processors(), machine)).threads == 7


def test_without_the_command_as_it_is_there_is_nothing_to_compare_with() -> None:
    assert tried(tuned(on_processors(), lambda _tuning: None)) == ["as configured"]


@pytest.mark.parametrize("time", range(1, 12))
def test_with_little_time_the_best_is_still_run_again(time: int) -> None:
    def machine(tuning: Tuning) -> Speeds:
        return Speeds(100, 40 if tuning.threads == 16 else 20)

    trials = tuned(on_processors(), machine, time)
    assert len(trials) <= time
    if time >= 4:
        assert tried(trials).count("16 threads") == tried(trials).count("as configured") == RUNS


@given(st.dictionaries(st.integers(0, 30), st.floats(1, 1000), min_size=31), st.integers(1, 30))
def test_the_best_is_never_notably_slower_than_the_command(speeds: dict[int, float], time: int) -> None:
    def machine(tuning: Tuning) -> Speeds:
        return Speeds(speeds[hash(tuning.words) % 31], 20)

    trials = tuned(with_experts(), machine, time)
    best = best_tuning(trials)
    seconds = {
        tuning: [t.speeds.answer_seconds for t in trials if t.tuning == tuning and t.speeds]
        for tuning in (best, Tuning())
    }
    mean = {tuning: sum(found) / len(found) for tuning, found in seconds.items()}
    assert best == Tuning() or mean[best] < mean[Tuning()] * (1 - NOTABLE)
