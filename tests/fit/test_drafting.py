"""Who drafts for whom: prediction layers, heads, models, and what was written before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from claracore.core.fit.budget import Budget
from claracore.core.fit.case import Wishes
from claracore.core.fit.catalog import Candidate, choose
from claracore.core.fit.command import flags
from claracore.core.fit.document import Setup, draft_flags
from claracore.core.fit.drafting import DRAFTED, can_predict, drafting_kind, head_for
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.from_command import CommandCase, estimate_command
from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor
from claracore.core.fit.memory import Companions, estimate
from claracore.core.fit.places import RAM
from claracore.core.fit.plan import Placement, plan
from claracore.core.fit.server_flags import server_flags
from claracore.core.fit.settings import Settings
from claracore.core.fit.ways import Verdict
from claracore.core.gguf.model import Kind, ModelFacts
from claracore.core.gguf.projector import ProjectorFacts
from claracore.core.units import GIB, MIB
from fit.llama_cpp import facts

TEXT = (
    "--ctx-size --n-gpu-layers --parallel --kv-unified --n-cpu-moe --flash-attn --cache-type-k --cache-type-v "
    "--model-draft --spec-draft-model --n-gpu-layers-draft --spec-type --spec-draft-n-max --spec-synth-len"
)
KINDS = ("draft-mtp", "draft-eagle3", "draft-dflash", "draft-simple", "ngram-mod")
ENGINE = KnownFlags(frozenset({*TEXT.split(), *map(drafting_kind, KINDS)}))
HARDWARE = Hardware(Processor("cpu", 16, 8, 8), Memory(256 * GIB, 250 * GIB))
GLM = facts("glm-4.5-air-Q4_K_M")
LLAMA = facts("llama-3.1-8b-Q4_K_M")
LARGEST_CARD = 100


def card(size: int, ram: int = 128) -> Budget:
    return Budget((size * GIB,), ram * GIB, (False,))


def planned(
    model: ModelFacts, budget: Budget, known_flags: KnownFlags = ENGINE, wishes: Wishes | None = None
) -> Placement:
    return plan(model, budget, wishes or Wishes(), known_flags)


def without(*flags: str) -> KnownFlags:
    return KnownFlags((ENGINE.flags or frozenset()) - set(flags))


def words(placement: Placement, model: ModelFacts) -> list[str]:
    return [word for flag in flags(model, placement, ENGINE, HARDWARE) for word in flag.words]


def test_prediction_layers_are_used_where_all_lies_on_a_card() -> None:
    placement = planned(GLM, card(LARGEST_CARD))
    assert placement.verdict is Verdict.GPU
    assert (placement.settings.predicting, placement.settings.drafted) == (True, DRAFTED)
    assert f"--spec-type draft-mtp --spec-draft-n-max {DRAFTED}" in " ".join(words(placement, GLM))
    assert placement.budget.holds(placement.estimate)


def test_what_they_take_is_what_llama_cpp_takes() -> None:
    """GLM-4.5-Air, 131,072 tokens, 4 slots, on one simulated card: b11434's own breakdown of its second context."""
    plain = Settings(131072, parallel=4, unified=True, gpu_layers=GLM.dealt_layers + 1)
    more = estimate(GLM, replace(plain, predicting=True, drafted=DRAFTED))
    rows = {(row.what, row.place): row.bytes / MIB for row in more.rows if row.what.startswith("prediction")}
    assert rows["prediction layers", 0] == pytest.approx(69140 - 66842, rel=0.001)
    assert rows["prediction cache", 0] == 512
    assert 200 <= rows["prediction buffer", 0] <= 300
    assert 136 <= rows["prediction buffer", RAM] <= 170


def test_recurrent_states_are_kept_for_each_drafted_token() -> None:
    model = facts("qwen3-next-80b-a3b-Q4_K_M")
    plain = Settings(8192, parallel=4, unified=True, gpu_layers=model.dealt_layers + 1)
    sizes = [
        sum(row.bytes for row in estimate(model, settings).rows if row.what == "recurrent state")
        for settings in (plain, replace(plain, drafted=3))
    ]
    assert sizes[1] == 4 * sizes[0] > 0


def test_a_command_with_them_is_counted_as_it_was_planned() -> None:
    placement = planned(GLM, card(LARGEST_CARD))
    argv = ["llama-server", "--model", "m.gguf", "--fit", "off", *words(placement, GLM)]
    hardware = replace(HARDWARE, gpus=(Gpu("card", "nvidia", Backend.CUDA, LARGEST_CARD * GIB, LARGEST_CARD * GIB),))
    said = server_flags(argv, {})
    assert said is not None
    found = estimate_command(CommandCase(said, GLM, hardware, ENGINE))
    assert (found.settings.predicting, found.settings.drafted) == (True, DRAFTED)
    assert [found.estimate.on(place) for place in (0, RAM)] == [placement.loaded.on(place) for place in (0, RAM)]


@pytest.mark.parametrize("missing", [drafting_kind("draft-mtp"), "--spec-synth-len"])
def test_an_engine_that_cannot_does_not(missing: str) -> None:
    assert not planned(GLM, card(LARGEST_CARD), without(missing)).settings.predicting


def test_small_models_and_latent_attention_are_left_alone() -> None:
    assert can_predict(GLM, ENGINE)
    assert not can_predict(replace(GLM, parameters_active=3_000_000_000), ENGINE)
    assert not can_predict(replace(GLM, architecture="deepseek2"), ENGINE)
    assert not can_predict(replace(GLM, latent_attention=facts("deepseek-r1-671b-Q4_K_M").latent_attention), ENGINE)
    assert not can_predict(LLAMA, ENGINE)


def test_not_with_experts_in_ram_nor_with_a_projector() -> None:
    placement = planned(GLM, card(40))
    assert placement.verdict is Verdict.EXPERTS_IN_RAM
    assert not placement.settings.predicting
    seeing = plan(GLM, card(LARGEST_CARD), Wishes(), ENGINE, Companions(projector=ProjectorFacts(GIB)))
    assert not seeing.settings.predicting


def test_some_context_is_given_for_speed_but_none_that_was_asked_for() -> None:
    plain = planned(GLM, card(73), without("--spec-synth-len"))
    fast = planned(GLM, card(73))
    assert fast.settings.predicting
    assert plain.settings.context > fast.settings.context > plain.settings.context // 2
    assert fast.budget.holds(fast.estimate)
    asked = planned(GLM, card(73), wishes=Wishes(plain.settings.context))
    assert asked.settings.context == plain.settings.context
    assert not asked.settings.predicting


def head(architecture: str = "eagle3", **more: Any) -> ModelFacts:
    values: dict[str, Any] = {
        "architecture": architecture, "kind": Kind.DRAFT_HEAD, "layers": 1, "target_width": LLAMA.embedding_length,
        "target_layers": (2, 16, 29), "file_bytes": 400 * MIB, "parameters": 400_000_000,
        "parameters_active": 400_000_000,
    }  # fmt: skip
    small = replace(LLAMA, tensor_bytes=replace(LLAMA.tensor_bytes, layers=(300 * MIB,), experts=(0,)))
    return replace(small, **{**values, **more})


def test_a_head_belongs_to_a_model_of_its_width_depth_and_words() -> None:
    heads = [("a", head(target_width=5120)), ("b", head(vocab_size=1)), ("c", head(target_layers=(60,)))]
    assert head_for(LLAMA, heads, ENGINE) is None
    assert head_for(LLAMA, [*heads, ("d", head())], ENGINE) == 3
    assert head_for(LLAMA, [("d", head())], without(drafting_kind("draft-eagle3"))) is None
    assert head_for(LLAMA, [("d", head()), ("e", head("dflash", target_width=None, file_bytes=1))], ENGINE) == 1
    assert head_for(LLAMA, [("d", head(target_layers=()))], ENGINE) is None


def chosen_flags(candidates: list[Candidate], heads: list[Candidate], known_flags: KnownFlags = ENGINE) -> str:
    catalog = choose(candidates, card(24), Wishes(8192), known_flags, auto_draft=True, heads=heads)
    setup = Setup(catalog.chosen, HARDWARE, ("llama-server",), "llama-server", known_flags, "")
    found = [*flags(LLAMA, catalog.chosen[0].placement, known_flags, HARDWARE), *draft_flags(setup, catalog.chosen[0])]
    return " ".join(word for flag in found for word in flag.words)


def test_asked_for_a_head_drafts_and_is_counted() -> None:
    model = Candidate("llama", "/m/llama.gguf", LLAMA)
    text = chosen_flags([model], [Candidate("head", "/m/head.gguf", head())])
    assert "--model-draft /m/head.gguf --spec-type draft-eagle3" in text
    catalog = choose([model], card(24), Wishes(8192), ENGINE, auto_draft=True, heads=[Candidate("h", "/h", head())])
    assert any(row.what == "draft: weights" for row in catalog.chosen[0].placement.estimate.rows)
    block = chosen_flags([model], [Candidate("head", "/m/head.gguf", head("dflash"))])
    assert "--spec-type draft-dflash --spec-draft-n-max 15" in block


def test_asked_for_and_without_another_what_was_written_before_drafts() -> None:
    model = Candidate("llama", "/m/llama.gguf", LLAMA)
    assert "--spec-type ngram-mod" in chosen_flags([model], [])
    assert "--spec-type" not in chosen_flags([model], [], without(drafting_kind("ngram-mod")))
    catalog = choose([model], card(24), Wishes(8192), ENGINE)
    assert not catalog.chosen[0].placement.settings.repeating


@pytest.mark.parametrize("shape", ["gemma-3-12b-Q4_K_M", "granite-4-h-small-Q4_K_M"])
def test_where_guesses_cannot_be_taken_back_at_once_nothing_repeats(shape: str) -> None:
    catalog = choose([Candidate("m", "/m.gguf", facts(shape))], card(80), Wishes(8192), ENGINE, auto_draft=True)
    assert not catalog.chosen[0].placement.settings.repeating
