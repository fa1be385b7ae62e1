"""Which placement is chosen, on which machine, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.config.command import split
from claracore.core.fit.budget import Budget, budget_of
from claracore.core.fit.case import Wishes
from claracore.core.fit.command import command, engine_command, flags, projector_flags, quoted, quoted_path
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor
from claracore.core.fit.memory import Companions, estimate
from claracore.core.fit.plan import Placement, plan
from claracore.core.fit.settings import Settings
from claracore.core.fit.ways import Verdict
from claracore.core.gguf.model import Kind, ModelFacts
from claracore.core.gguf.projector import ProjectorFacts
from claracore.core.units import GIB
from fit.shapes import GEMMA, LLAMA_8B, LLAMA_70B, NOMIC, QWEN3_30B_A3B, SMOLLM2

PROCESSOR = Processor("x", 16, 8, 8)
MODERN_TEXT = (
    "--reuse-port --fit --ctx-size --n-gpu-layers --parallel --kv-unified --threads --jinja --n-cpu-moe --flash-attn "
    "--cache-type-k --cache-type-v --main-gpu --split-mode --tensor-split --embeddings --reranking --pooling"
)
MODERN = KnownFlags(frozenset(MODERN_TEXT.split()))
OLD = KnownFlags(frozenset({"--ctx-size", "--n-gpu-layers", "--parallel", "--threads"}))


def machine(*cards: int, ram: int = 64, unified: bool = False) -> Hardware:
    gpus = tuple(Gpu(f"card {size}", "nvidia", Backend.CUDA, size * GIB, size * GIB, unified) for size in cards)
    return Hardware(PROCESSOR, Memory(ram * GIB, ram * GIB), gpus)


def placed(
    facts: ModelFacts, hardware: Hardware, wishes: Wishes | None = None, known_flags: KnownFlags = MODERN
) -> Placement:
    return plan(facts, budget_of(hardware), wishes or Wishes(), known_flags)


def words(
    facts: ModelFacts, placement: Placement, known_flags: KnownFlags = MODERN, hardware: Hardware | None = None
) -> list[str]:
    found = flags(facts, placement, known_flags, hardware or machine(*(24,) * len(placement.budget.gpus)))
    return [word for flag in found for word in flag.words]


CASES = [
    # model, cards in GiB, RAM in GiB -> verdict, context, cache, layers on GPUs, layers with experts in RAM
    (SMOLLM2, (), 8, Verdict.CPU, 8192, "f16", 0, 0),
    (LLAMA_8B, (), 32, Verdict.CPU, 32768, "f16", 0, 0),
    (LLAMA_8B, (), 8, Verdict.CPU, 17408, "q8_0", 0, 0),
    (LLAMA_8B, (24,), 32, Verdict.GPU, 56320, "f16", 33, 0),
    (LLAMA_8B, (12,), 32, Verdict.GPU, 52224, "f16", 33, 0),
    (LLAMA_8B, (8,), 32, Verdict.GPU, 35840, "q8_0", 33, 0),
    (LLAMA_8B, (6,), 32, Verdict.GPU, 7168, "q8_0", 33, 0),
    (LLAMA_8B, (4,), 32, Verdict.PARTLY, 32768, "q8_0", 13, 0),
    (LLAMA_70B, (24,), 64, Verdict.PARTLY, 32768, "q8_0", 41, 0),
    (LLAMA_70B, (24, 24), 64, Verdict.GPU, 34816, "q8_0", 81, 0),
    (LLAMA_70B, (24, 24, 24), 64, Verdict.GPU, 90112, "f16", 81, 0),
    (LLAMA_70B, (), 32, Verdict.NOT, 2048, "q8_0", 0, 0),
    (QWEN3_30B_A3B, (24,), 32, Verdict.GPU, 40960, "f16", 49, 0),
    (QWEN3_30B_A3B, (8,), 32, Verdict.EXPERTS_IN_RAM, 40960, "q8_0", 49, 37),
    (NOMIC, (8,), 32, Verdict.GPU, 2048, "f16", 13, 0),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].name}-{case[1]}-{case[2]}")
def test_the_best_place_that_there_is(
    case: tuple[ModelFacts, tuple[int, ...], int, Verdict, int, str, int, int],
) -> None:
    facts, cards, ram, *expected = case
    placement = placed(facts, machine(*cards, ram=ram))
    found = placement.settings
    layers = [found.gpu_layers, found.cpu_experts]
    assert [placement.verdict, found.context, found.cache_type_k, *layers] == expected
    assert placement.fits == placement.budget.holds(placement.estimate)


def test_never_more_context_than_trained() -> None:
    placement = placed(SMOLLM2, machine(24), Wishes(context=100_000))
    assert placement.settings.context == 8192
    assert placement.context_reason == "all that the model was trained with, although 100000 were asked for"


def test_a_wish_is_not_bargained_with() -> None:
    assert placed(LLAMA_8B, machine(24), Wishes(context=1000)).settings.context == 1000
    assert placed(LLAMA_8B, machine(ram=16), Wishes(context=131072)).verdict is Verdict.CPU
    refused = placed(LLAMA_8B, machine(ram=8), Wishes(context=131072))
    assert refused.verdict is Verdict.NOT
    assert "even with 131072 tokens" in refused.reason


def test_one_card_is_preferred_to_two() -> None:
    placement = placed(SMOLLM2, machine(12, 24))
    assert placement.gpus == (1,)
    text = words(SMOLLM2, placement)
    assert text[text.index("--main-gpu") + 1] == "1"
    assert "--tensor-split" not in text


def test_a_split_follows_the_sizes() -> None:
    placement = placed(LLAMA_70B, machine(32, 16))
    assert placement.verdict is Verdict.GPU
    text = words(LLAMA_70B, placement)
    assert text[text.index("--tensor-split") + 1] == "55,26"
    used = [placement.estimate.on(gpu) / placement.budget.gpus[gpu] for gpu in (0, 1)]
    assert min(used) > 0.9


def test_unified_memory_is_not_counted_twice() -> None:
    assert placed(LLAMA_70B, machine(48, ram=48, unified=True)).verdict is Verdict.GPU
    tight = placed(LLAMA_70B, machine(32, ram=40, unified=True))
    assert tight.verdict is Verdict.NOT, "32 + 40 GiB would hold it, 40 do not"


def test_an_old_engine_gets_flags_it_knows() -> None:
    placement = placed(QWEN3_30B_A3B, machine(8), known_flags=OLD)
    assert placement.verdict is Verdict.PARTLY
    given = {word for word in words(QWEN3_30B_A3B, placement, OLD) if word.startswith("--")}
    assert given <= OLD.flags if OLD.flags else False
    assert engine_command(["s"], OLD) == "s --host 127.0.0.1 --port ${PORT}"
    assert placement.settings.parallel == 1


def test_flash_attention_is_a_switch_in_old_engines_and_a_choice_in_new_ones() -> None:
    assert MODERN.flash_attention == ("--flash-attn", "on")
    assert KnownFlags(frozenset({"--flash-attn"})).flash_attention == ("--flash-attn",)
    assert KnownFlags(frozenset()).flash_attention == ()


def test_embedders_read_an_input_in_one_batch() -> None:
    text = words(NOMIC, placed(NOMIC, machine()))
    assert "--embeddings" in text
    assert text[text.index("--parallel") + 1] == "4"
    assert "--kv-unified" in text
    assert "--jinja" not in words(replace(NOMIC, chat_template=True), placed(NOMIC, machine()))
    reader = replace(LLAMA_8B, kind=Kind.EMBEDDING, pooling="last")
    assert placed(reader, machine()).settings.micro_batch == 512
    assert placed(reader, machine()).settings.context == 8192
    assert placed(reader, machine()).settings.parallel == 1, "inputs that share a cache fail when it is full"
    assert "--jinja" not in words(reader, placed(reader, machine()))
    ranker = replace(NOMIC, kind=Kind.RERANKER)
    assert "--reranking" in words(ranker, placed(ranker, machine()))


def test_threads_follow_the_quota() -> None:
    placement = placed(SMOLLM2, machine())
    limited = replace(machine(), processor=replace(PROCESSOR, quota=2.5))
    (flag,) = [flag for flag in flags(SMOLLM2, placement, MODERN, limited) if "--threads" in flag.words]
    assert flag.words == ("--threads", "2")
    assert flag.reason == "threads: this container may use 2.5 processors"


def test_every_flag_has_a_reason() -> None:
    for facts in (SMOLLM2, GEMMA, LLAMA_70B, QWEN3_30B_A3B, NOMIC):
        for flag in flags(facts, placed(facts, machine(24, 8)), MODERN, machine(24, 8)):
            assert len(flag.reason.split()) >= 3
            assert "${" not in flag.reason


@given(
    model=st.sampled_from([SMOLLM2, GEMMA, LLAMA_8B, LLAMA_70B, QWEN3_30B_A3B, NOMIC]),
    cards=st.lists(st.integers(0, 80 * GIB), max_size=3),
    ram=st.integers(0, 256 * GIB),
    context=st.none() | st.integers(256, 200_000),
    parallel=st.none() | st.integers(1, 8),
    mmproj=st.sampled_from([None, ProjectorFacts(800 * 1024**2)]),
)
def test_what_is_chosen_fits(  # noqa: PLR0917 - hypothesis passes them by name
    model: ModelFacts,
    cards: list[int],
    ram: int,
    context: int | None,
    parallel: int | None,
    mmproj: ProjectorFacts | None,
) -> None:
    room = Budget(tuple(cards), ram, (False,) * len(cards))
    placement = plan(model, room, Wishes(context, parallel), MODERN, Companions(mmproj))
    assert placement.fits == room.holds(placement.estimate) or not placement.fits
    assert placement.settings.context <= (model.context_trained or 0)
    assert placement.reason
    if context is not None and placement.fits:
        assert placement.settings.context == min(context, model.context_trained or 0)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_quoted_words_split_into_themselves(text: str) -> None:
    assert split(f"a {quoted(text)} b") == ["a", text, "b"]
    assert split(f"a {quoted_path(text)} b") == ["a", text, "b"]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=30))
def test_a_command_splits_into_its_words(path: str) -> None:
    found = flags(SMOLLM2, placed(SMOLLM2, machine()), MODERN, machine())
    got = split(command(path, found))
    assert got[:3] == ["${llama-server}", "--model", path]
    assert got[3:] == [word for flag in found for word in flag.words]


def test_what_llama_server_keeps_while_it_answers_is_bounded() -> None:
    today = KnownFlags((MODERN.flags or frozenset()) | {"--cache-ram", "--ctx-checkpoints"})
    for ram, expected in ((8, 0), (16, 1408), (64, 8192)):
        placement = placed(LLAMA_8B, machine(ram=ram), known_flags=today)
        assert placement.settings.prompt_cache_mib == pytest.approx(expected, abs=512)
        assert placement.fits
        assert placement.budget.holds(placement.estimate)
        assert placement.loaded.total <= placement.estimate.total
    text = words(GEMMA, placed(GEMMA, machine(ram=1), known_flags=today), today)
    assert int(text[text.index("--cache-ram") + 1]) < 512
    assert "--cache-ram" not in words(NOMIC, placed(NOMIC, machine(), known_flags=today), today)
    assert placed(LLAMA_8B, machine()).settings.prompt_cache_mib is None


def test_checkpoints_are_counted_and_bounded_where_windows_are_large() -> None:
    today = KnownFlags((MODERN.flags or frozenset()) | {"--cache-ram", "--ctx-checkpoints"})
    layers, kv_heads, width, window = 62, 16, 128, 1024
    large = replace(
        LLAMA_8B, layers=layers, kv_heads=(kv_heads,) * layers, head_dim_k=(width,) * layers,
        head_dim_v=(width,) * layers, has_kv_cache=(True,) * layers, sliding_window=window, recurrent=(),
        sliding=tuple((layer + 1) % 6 != 0 for layer in range(layers)), heads=(32,) * layers,
    )  # fmt: skip
    each = 52 * window * kv_heads * width * 2 * 2
    roomy, tight = (placed(large, machine(24, ram=ram), known_flags=today) for ram in (96, 6))
    for placement in (roomy, tight):
        (row,) = [row for row in placement.estimate.rows if row.what == "checkpoints"]
        count, slots = placement.settings.checkpoints or 0, placement.settings.parallel
        assert row.bytes == each * count * slots
        assert count >= 2, "without any it reads whole conversations again"
        text = words(large, placement, today)
        assert text[text.index("--ctx-checkpoints") + 1] == str(count), "the engine would keep 32 unless told otherwise"
    assert roomy.settings.checkpoints == roomy.settings.context // 8192 + 2
    assert (tight.settings.checkpoints or 0) < (roomy.settings.checkpoints or 0)


def test_nothing_goes_to_a_card_unasked() -> None:
    today = KnownFlags((MODERN.flags or frozenset()) | {"--device", "--no-mmproj-offload"})
    card = machine(0)
    placement = placed(LLAMA_70B, card, known_flags=today)
    assert placement.settings.gpu_layers == 0
    text = words(LLAMA_70B, placement, today, card)
    assert text[text.index("--device") + 1] == "none"
    text = words(LLAMA_70B, placement, MODERN, card)
    assert text[text.index("--n-gpu-layers") + 1] == "0"
    assert "--n-gpu-layers" not in words(LLAMA_70B, placement, MODERN, machine())
    (flag,) = projector_flags(placement, card)
    assert flag.words == ("--no-mmproj-offload",)
    assert projector_flags(placement, machine()) == []


def test_devices_are_named_where_the_engine_has_named_them() -> None:
    today = KnownFlags((MODERN.flags or frozenset()) | {"--device"})
    first, second = machine(24, 24).gpus
    both = replace(machine(), gpus=(replace(first, device="CUDA0"), replace(second, device="CUDA2")))
    idle = replace(both, idle=(replace(first, device="CUDA1"),))
    text = words(LLAMA_8B, placed(LLAMA_8B, both), today, both)
    assert text[text.index("--device") + 1] == "CUDA0"
    assert "--main-gpu" not in text
    text = words(LLAMA_70B, placed(LLAMA_70B, idle), today, idle)
    assert text[text.index("--device") + 1] == "CUDA0,CUDA2"
    assert text[text.index("--tensor-split") + 1] == "40,41"
    assert "--device" not in words(LLAMA_70B, placed(LLAMA_70B, both), today, both)


def test_flash_attention_is_asked_for_where_it_is_a_switch() -> None:
    old = KnownFlags((OLD.flags or frozenset()) | {"--flash-attn"})
    assert "--flash-attn" in words(SMOLLM2, placed(SMOLLM2, machine(), known_flags=old), old)
    assert "--flash-attn" not in words(SMOLLM2, placed(SMOLLM2, machine()), MODERN)
    without = placed(LLAMA_8B, machine(8), known_flags=OLD)
    assert not without.settings.flash_attention
    assert without.settings.context < placed(LLAMA_8B, machine(8)).settings.context


def test_a_small_cache_on_a_card_is_unpacked_while_a_prompt_is_read() -> None:
    def computing(kind: str) -> int:
        settings = Settings(32768, gpu_layers=33, cache_type_k=kind, cache_type_v=kind)
        rows = estimate(LLAMA_8B, settings).rows
        return sum(row.bytes for row in rows if row.what == "compute buffer" and row.place == 0)

    assert computing("q8_0") >= 32768 * 2 * 8 * 128 * 2
    assert computing("f16") < computing("q8_0")
