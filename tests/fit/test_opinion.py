"""A second opinion: what llama.cpp says is scripted, the models are published ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from claracore.core.fit.asking import Asking
from claracore.core.fit.budget import budget_of
from claracore.core.fit.case import Case, Wishes
from claracore.core.fit.fit_params import FitAnswer, FitProgram, FitQuestion, Fitted
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.learnt import Correction, PlacementClass
from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor
from claracore.core.fit.memory import Companions, estimate
from claracore.core.fit.opinion import OpinionOutcome, second_opinion
from claracore.core.fit.places import RAM
from claracore.core.fit.plan import Placement, plan
from claracore.core.fit.settings import Settings
from claracore.core.fit.ways import Verdict
from claracore.core.units import GIB, MIB
from fit.llama_cpp import facts

TEXT = (
    "--ctx-size --n-gpu-layers --parallel --kv-unified --n-cpu-moe --override-tensor --flash-attn --cache-type-k "
    "--cache-type-v --tensor-split --device --batch-size --ubatch-size --fit --threads"
)
FLAGS = KnownFlags(frozenset(TEXT.split()))
PROGRAM = FitProgram(frozenset(TEXT.split()) - {"--kv-unified"}, "/models/m.gguf")
LLAMA, MOE = "llama-3.1-8b-Q4_K_M", "qwen3-30b-a3b-Q4_K_M"


def machine(*cards: int, free: int | None = None, device: str = "CUDA") -> Hardware:
    gpus = tuple(
        Gpu("card", "nvidia", Backend.CUDA, size * GIB, size * GIB if free is None else free,
            device=f"{device}{index}" if device else "")
        for index, size in enumerate(cards)
    )  # fmt: skip
    return Hardware(Processor("cpu", 16, 8, 8), Memory(64 * GIB, 60 * GIB), gpus)


def case_of(shape: str, hardware: Hardware, wishes: Wishes | None = None, *learnt: Correction) -> Case:
    companions = Companions(learnt=learnt)
    return Case(facts(shape), budget_of(hardware), wishes or Wishes(), FLAGS, companions)


def planned(case: Case) -> Placement:
    return plan(case.facts, case.budget, case.wishes, case.known_flags, case.companions)


def words_of(question: FitQuestion) -> dict[str, str]:
    words = question.words
    return {word: words[at + 1] for at, word in enumerate(words[:-1]) if word.startswith("--")}


class Engine:
    """Answers as llama.cpp would: what is really taken is our count and `more` on each device."""

    def __init__(self, case: Case, more: Callable[[int], int] = lambda _: 0, fitted: Fitted | None = None) -> None:
        self.case, self.more, self.fitted = case, more, fitted
        self.asked: list[dict[str, str]] = []

    def __call__(self, question: FitQuestion) -> FitAnswer | None:
        words = words_of(question)
        self.asked.append(words)
        if "--fit-print" not in words:
            return FitAnswer(fitted=self.fitted) if self.fitted is not None and question.askable else None
        shares = tuple(float(part) for part in words.get("--tensor-split", "").split(",") if part)
        settings = Settings(
            int(words["--ctx-size"]),
            cache_type_k=words.get("--cache-type-k", "f16"),
            cache_type_v=words.get("--cache-type-v", "f16"),
            batch=int(words.get("--batch-size", 2048)),
            micro_batch=int(words.get("--ubatch-size", 512)),
            embeddings=True,  # logits of all tokens, as the program counts them
            gpu_layers=int(words.get("--n-gpu-layers", 0)),
            cpu_experts=int(words.get("--n-cpu-moe", 0)),
            split=shares,
        )
        counted = estimate(self.case.facts, settings).loaded
        count = max(1, len(shares))
        return FitAnswer({f"CUDA{gpu}": counted.on(gpu) + self.more(gpu) for gpu in range(count)}, counted.on(RAM))


def test_who_agrees_changes_nothing() -> None:
    hardware = machine(24)
    case = case_of(LLAMA, hardware)
    engine = Engine(case)
    opinion = second_opinion(case, planned(case), Asking(PROGRAM, hardware, engine))
    assert opinion.outcome is OpinionOutcome.AGREED
    assert opinion.placement == planned(case)
    loaded = opinion.placement.estimate.loaded
    assert [(row.place, row.counted, row.engine) for row in opinion.devices] == [
        (0, loaded.on(0), loaded.on(0)), (RAM, loaded.on(RAM), loaded.on(RAM))
    ]  # fmt: skip
    assert opinion.words.startswith("llama.cpp itself says ")
    assert engine.asked[0]["--parallel"] == "1"  # the program does not know one cache for all slots


def test_where_more_is_taken_than_there_is_the_plan_is_stepped_down() -> None:
    hardware = machine(8)
    case = case_of(LLAMA, hardware)
    before = planned(case)
    opinion = second_opinion(case, before, Asking(PROGRAM, hardware, Engine(case, lambda _: 700 * MIB)))
    assert opinion.outcome is OpinionOutcome.CORRECTED
    after = opinion.placement
    assert after.fits
    assert after.settings.context < before.settings.context or after.settings.cache_type_k == "q8_0"
    assert after.estimate.on(0) <= case.budget.gpus[0]
    assert sum(row.bytes for row in after.estimate.rows if row.working == "seen when it was loaded here") == 700 * MIB
    assert opinion.corrections == (Correction(PlacementClass.GPU, {0: 700 * MIB}, before.settings.context),)
    assert "made anew" in opinion.words


def test_a_small_difference_counts_only_where_there_is_no_room_for_it() -> None:
    roomy, tight = machine(24), machine(7)
    for hardware, outcome in ((roomy, OpinionOutcome.AGREED), (tight, OpinionOutcome.CORRECTED)):
        case = case_of(LLAMA, hardware)
        before = planned(case)
        assert (case.budget.gpus[0] - before.estimate.on(0) < 60 * MIB) == (outcome is OpinionOutcome.CORRECTED)
        opinion = second_opinion(case, before, Asking(PROGRAM, hardware, Engine(case, lambda _: 60 * MIB)))
        assert opinion.outcome is outcome


def test_less_than_counted_is_told_but_fills_no_card() -> None:
    hardware = machine(8)
    case = case_of(LLAMA, hardware)
    opinion = second_opinion(case, planned(case), Asking(PROGRAM, hardware, Engine(case, lambda _: -900 * MIB)))
    assert opinion.placement == planned(case)
    assert opinion.devices[0].more == -900 * MIB


def test_what_was_measured_here_counts_more_than_what_anybody_says() -> None:
    hardware = machine(8)
    case = case_of(LLAMA, hardware, None, Correction(PlacementClass.GPU, {0: 100 * MIB}, 8192))
    opinion = second_opinion(case, planned(case), Asking(PROGRAM, hardware, Engine(case, lambda _: 700 * MIB)))
    assert opinion.placement == planned(case)
    assert opinion.corrections == ()


@pytest.mark.parametrize("answer", [None, FitAnswer({"Vulkan0": 1}, 1), FitAnswer(fitted=Fitted(1, 1))])
def test_no_answer_of_use_changes_nothing(answer: FitAnswer | None) -> None:
    hardware = machine(24)
    case = case_of(LLAMA, hardware)
    opinion = second_opinion(case, planned(case), Asking(PROGRAM, hardware, lambda _: answer))
    assert opinion.outcome is OpinionOutcome.UNANSWERED
    assert opinion.placement == planned(case)
    assert opinion.words == ""
    assert opinion.as_plain is None


def test_devices_that_only_a_person_has_described_are_not_asked_about() -> None:
    hardware = machine(24, device="")
    case = case_of(LLAMA, hardware)
    engine = Engine(case)
    assert second_opinion(case, planned(case), Asking(PROGRAM, hardware, engine)).outcome is OpinionOutcome.UNANSWERED
    assert engine.asked == []


def test_a_better_way_is_taken_in_words_of_ours_where_they_can_say_it() -> None:
    hardware = machine(12)
    case = case_of(MOE, hardware)
    ours = planned(case)
    assert ours.verdict is Verdict.EXPERTS_IN_RAM
    worse = replace(
        ours,
        settings=replace(ours.settings, cpu_experts=ours.settings.cpu_experts + 12),
        estimate=estimate(case.facts, replace(ours.settings, cpu_experts=ours.settings.cpu_experts + 12)),
    )
    layers = range(48 - ours.settings.cpu_experts, 48)
    overrides = tuple(rf"blk\.{layer}\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU" for layer in layers)
    fitted = Fitted(ours.settings.context, 49, (), overrides)
    opinion = second_opinion(case, worse, Asking(PROGRAM, hardware, Engine(case, fitted=fitted)))
    assert opinion.outcome is OpinionOutcome.BETTER
    assert opinion.placement.settings.cpu_experts == ours.settings.cpu_experts
    assert opinion.placement.settings.overrides == ()
    assert opinion.placement.reason.startswith("llama-fit-params found a better way")
    assert case.budget.holds(opinion.placement.estimate)


def test_a_better_way_that_does_not_fit_by_its_own_figures_is_none() -> None:
    hardware = machine(12)
    case = case_of(MOE, hardware)
    ours = planned(case)
    overrides = (r"blk\.47\.ffn_(gate|gate_up|down).*=CPU",)
    fitted = Fitted(ours.settings.context, 49, (), overrides)
    opinion = second_opinion(case, ours, Asking(PROGRAM, hardware, Engine(case, fitted=fitted)))
    assert opinion.outcome is OpinionOutcome.AGREED


def test_parts_of_layers_are_written_as_they_are() -> None:
    hardware = machine(12)
    case = case_of(MOE, hardware)
    ours = planned(case)
    number = ours.settings.cpu_experts
    worse = replace(ours, settings=replace(ours.settings, cpu_experts=number + 12))
    whole = tuple(rf"blk\.{48 - at}\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU" for at in range(1, number))
    overrides = (*whole, rf"blk\.{48 - number}\.ffn_(gate|gate_up|down).*=CPU")

    class WithOverrides(Engine):
        def __call__(self, question: FitQuestion) -> FitAnswer | None:
            if "--override-tensor" in question.words:
                return FitAnswer({"CUDA0": 10 * GIB}, 9 * GIB)
            return super().__call__(question)

    engine = WithOverrides(case, fitted=Fitted(ours.settings.context, 49, (), overrides))
    opinion = second_opinion(case, worse, Asking(PROGRAM, hardware, engine))
    assert opinion.outcome is OpinionOutcome.BETTER
    assert opinion.placement.settings.overrides == overrides
    assert opinion.placement.settings.cpu_experts == number

    case = replace(case, known_flags=KnownFlags((FLAGS.flags or frozenset()) - {"--override-tensor"}))
    assert second_opinion(case, worse, Asking(PROGRAM, hardware, engine)).outcome is OpinionOutcome.AGREED


def test_memory_that_is_in_use_now_is_no_answer_about_a_budget() -> None:
    hardware = machine(12, free=4 * GIB)
    case = case_of(MOE, hardware)
    engine = Engine(case, fitted=Fitted(4096, 10))
    second_opinion(case, planned(case), Asking(PROGRAM, hardware, engine))
    asked = [words for words in engine.asked if "--fit-print" not in words]
    assert all("--fit-target" not in words for words in asked)
