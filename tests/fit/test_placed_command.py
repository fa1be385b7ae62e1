"""The placement in a command is exchanged, and everything else stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from claracore.core.config.command import split
from claracore.core.fit.budget import budget_of
from claracore.core.fit.case import Wishes
from claracore.core.fit.command import command, flags, is_reason, projector_flags
from claracore.core.fit.flags import Flag, KnownFlags
from claracore.core.fit.from_command import CommandCase, estimate_command
from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor
from claracore.core.fit.placed_command import (
    NoPlaceForFlags,
    placed_flags,
    placed_words,
    says,
    with_flags,
    with_placement_of,
)
from claracore.core.fit.places import layer_places
from claracore.core.fit.plan import Placement, choices
from claracore.core.fit.server_flags import server_flags
from claracore.core.units import GIB
from claracore.host.engines.llama_flags import LLAMA_FLAGS
from fit.llama_cpp import facts

TODAY = KnownFlags(LLAMA_FLAGS)
SHAPES = ("qwen3-32b-Q4_K_M", "glm-4.5-air-Q4_K_M", "llama-3.3-70b-Q4_K_M", "bge-m3-Q8_0", "gemma-3-27b-Q4_K_M")
NEW = [Flag(("--ctx-size", "9216"), "context: new"), Flag(("--n-gpu-layers", "7"), "7 of 33 layers fit on the GPU")]


def machine(*cards: int) -> Hardware:
    gpus = tuple(
        Gpu(f"card {number}", "nvidia", Backend.CUDA, size * GIB, size * GIB, device=f"CUDA{number}")
        for number, size in enumerate(cards)
    )
    return Hardware(Processor("", 8, 8, 8), Memory(96 * GIB, 96 * GIB), gpus)


TWO = machine(24, 24)


def placements(shape: str, hardware: Hardware = TWO) -> list[Placement]:
    return choices(facts(shape), budget_of(hardware), Wishes(), TODAY)


def generated(shape: str, placement: Placement, hardware: Hardware = TWO) -> str:
    return command(f"/models/{shape}.gguf", flags(facts(shape), placement, TODAY, hardware), macro="x")


def means(shape: str, cmd: str, placement: Placement, hardware: Hardware = TWO) -> bool:
    """Whether a command means a placement, as memory reads it."""
    found = server_flags(split(cmd.replace("${x}", "llama-server --fit off")), {})
    assert found is not None
    settings = estimate_command(CommandCase(found, facts(shape), hardware, TODAY)).settings
    layers, wanted = facts(shape).dealt_layers, placement.settings
    return layer_places(layers, settings) == layer_places(layers, wanted) and replace(
        settings, split=(), gpu_layers=0
    ) == replace(wanted, split=(), gpu_layers=0, prompt_cache_mib=None, checkpoints=None)


@pytest.mark.parametrize("shape", SHAPES)
def test_any_choice_can_follow_any_other(shape: str) -> None:
    found = placements(shape)
    for before in found:
        for after in found:
            cmd = with_flags(
                generated(shape, before), placed_flags(flags(facts(shape), after, TODAY, TWO, jinja=False))
            )
            assert means(shape, cmd, after), cmd
            assert sorted(split(cmd)) == sorted(split(generated(shape, after)))
            assert sorted(cmd.splitlines()) == sorted(generated(shape, after).splitlines())


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_choice_changes_nothing(shape: str) -> None:
    for placement in placements(shape):
        cmd = generated(shape, placement)
        assert with_flags(cmd, placed_flags(flags(facts(shape), placement, TODAY, TWO))) == cmd
        assert with_placement_of(cmd, cmd) == cmd
        assert says(cmd, flags(facts(shape), placement, TODAY, TWO))
        assert not says(cmd, NEW)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "hardware", [machine(), machine(16), TWO, machine(24, 12)], ids=["none", "one", "two", "uneven"]
)
@pytest.mark.parametrize(
    "known", [TODAY, KnownFlags(), KnownFlags(LLAMA_FLAGS - {"--device"})], ids=["new", "old", "unnamed"]
)
def test_every_reason_above_a_placement_is_known(shape: str, hardware: Hardware, known: KnownFlags) -> None:
    for placement in choices(facts(shape), budget_of(hardware), Wishes(), known):
        found = flags(facts(shape), placement, known, hardware) + projector_flags(placement, hardware)
        for flag in placed_flags(found):
            assert is_reason(flag.reason), flag
        kept = [flag.words[0] for flag in found if flag not in placed_flags(found)]
        assert set(kept) <= {"--threads", "--jinja", "--embeddings", "--reranking", "--pooling"}


TYPED = """\
taskset -c 0-7 llama-server -m "/models/a b.gguf" --port ${PORT} \\
  -c 4096 --temp 0.7 \\
# the card has 24 GB
# context: the most that fits this way; it was trained with 131072 tokens, and more than that has never been of any
# use to anybody
  --n-gpu-layers 99
# mine
  -fa on -ctk q8_0 -ctv q8_0
--override-kv tokenizer.ggml.add_bos_token=bool:false
"""
CHANGED = """\
taskset -c 0-7 llama-server -m "/models/a b.gguf" --port ${PORT} \\
  --temp 0.7 \\
# context: new
--ctx-size 9216
# the card has 24 GB
# 7 of 33 layers fit on the GPU
--n-gpu-layers 7
# mine
--override-kv tokenizer.ggml.add_bos_token=bool:false
"""


def test_what_a_person_has_typed_stays() -> None:
    assert with_flags(TYPED, NEW) == CHANGED
    assert split(CHANGED)[-1] == "tokenizer.ggml.add_bos_token=bool:false"


def test_a_remark_below_a_reason_is_not_taken_for_it() -> None:
    cmd = "${x} -m y\n# context: all\n# never more than this\n-c 4096\n"
    assert "# never more than this\n" in with_flags(cmd, NEW)


@pytest.mark.parametrize(
    ("cmd", "changed"),
    [
        ("llama-server -m x -c 4096 -ngl 99 --port 1", "llama-server -m x --ctx-size 9216 --n-gpu-layers 7 --port 1"),
        ("llama-server -m x --flash-attn --jinja", "llama-server -m x --ctx-size 9216 --n-gpu-layers 7 --jinja"),
        ("llama-server -m x -fa off --cpu-moe", "llama-server -m x --ctx-size 9216 --n-gpu-layers 7"),
        ("${all} ${PORT}", "${all} ${PORT} --ctx-size 9216 --n-gpu-layers 7"),
        ("llama-server --ctx_size 1 -m x\n", "llama-server --ctx-size 9216 --n-gpu-layers 7 -m x\n"),
        ("python3 -m claracore engine -c 1", "python3 -m claracore engine --ctx-size 9216 --n-gpu-layers 7"),
    ],
)
def test_one_line_stays_one_line(cmd: str, changed: str) -> None:
    assert with_flags(cmd, NEW) == changed


@pytest.mark.parametrize("cmd", ["sh -c 'llama-server -c 1'", "docker run x -c 1", "vllm serve -c 1", ""])
def test_other_programs_are_left_alone(cmd: str) -> None:
    with pytest.raises(NoPlaceForFlags):
        with_flags(cmd, NEW)
    assert not says(cmd, NEW)


def test_a_command_that_cannot_be_split_is_an_error() -> None:
    with pytest.raises(ValueError, match="not closed"):
        placed_words("llama-server 'x")


def test_a_placement_is_carried_to_a_command_that_was_generated_anew() -> None:
    shape = "qwen3-32b-Q4_K_M"
    found = placements(shape)
    chosen, planned = generated(shape, found[0]), generated(shape, found[-1]).replace("--threads 8", "--threads 4")
    carried = with_placement_of(planned, chosen)
    assert carried == generated(shape, found[0]).replace("--threads 8", "--threads 4")


def test_prediction_comes_and_goes_with_the_placement_and_other_drafting_stays() -> None:
    predicting = [Flag(("--spec-type", "draft-mtp"), "predicts"), Flag(("--spec-draft-n-max", "3"), "at a time")]
    model = "llama-server -m m.gguf"
    assert placed_flags([*NEW, *predicting]) == [*NEW, *predicting]
    with_prediction = with_flags(f"{model} -c 1024", [*NEW, *predicting])
    assert "--spec-type draft-mtp --spec-draft-n-max 3" in with_prediction
    assert with_flags(with_prediction, NEW) == f"{model} --ctx-size 9216 --n-gpu-layers 7"
    other = "--model-draft d.gguf --spec-type draft-simple --spec-draft-n-max 5"
    assert other in with_flags(f"{model} -c 1024 {other}", NEW)
    assert "-ot" not in with_flags(f"{model} -c 1024 -ot x=CPU", NEW)
