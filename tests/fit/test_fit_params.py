"""What llama-fit-params prints, in the words of b11434."""

from __future__ import annotations

import json

import pytest

from claracore.core.fit.fit_params import FitAnswer, FitProgram, Fitted, read_answer
from claracore.core.fit.settings import Settings
from claracore.core.units import GIB, MIB

ROWS = [
    {"kind": "host", "name": "Host", "self": 6843, "model": 4440, "context": 2048, "compute": 354},
    {"kind": "buffer_type", "name": "CPU_REPACK", "self": 14400, "model": 14400, "context": 0, "compute": 0},
]
BREAKDOWN = json.dumps({"type": "fit_memory_breakdown", "data": {"unit": "MiB", "rows": ROWS}})
LOG = '{"type":"log","time":6741,"level":"info","msg":"llama_fit_params: printing estimated memory"}'
OVERRIDES = (
    r"blk\.13\.ffn_down.*=CUDA1",
    r"blk\.27\.ffn_(gate|up|gate_up|down).*=CPU",
    r"blk\.28\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU",
)


def test_bytes_of_devices() -> None:
    answer = read_answer("CUDA0 8975 400 168 \nCUDA1 8548 368 364 \nHost 166 0 72 \n")
    assert answer == FitAnswer({"CUDA0": 9543 * MIB, "CUDA1": 9280 * MIB}, 238 * MIB, whole=False)


def test_weights_that_are_rearranged_for_a_processor_are_in_ram() -> None:
    answer = read_answer(f"{LOG}\n{BREAKDOWN}\nHost 4440 2048 354 \n")
    assert answer == FitAnswer({}, (4440 + 2048 + 354 + 14400) * MIB, whole=True)


def test_flags_that_it_would_choose() -> None:
    assert read_answer("-c 262144 -ngl -1\n") == FitAnswer(fitted=Fitted(262144, -1))
    answer = read_answer(f'{LOG}\n-c 4096 -ngl 37 -ts 14,23 -ot "{",".join(OVERRIDES)}"\n')
    assert answer == FitAnswer(fitted=Fitted(4096, 37, (14.0, 23.0), OVERRIDES))


@pytest.mark.parametrize(
    "text",
    ["", "error: invalid argument", "{", "[]", '{"type":"fit_memory_breakdown"}', "-c x -ngl 1", '-c 1 -ngl 2 "'],
)
def test_anything_else_is_no_answer(text: str) -> None:
    assert read_answer(text) is None


def test_what_it_cannot_be_told_is_not_asked() -> None:
    settings = Settings(8192, parallel=4, unified=True, predicting=True, drafted=3)
    asked = FitProgram(frozenset(), "m.gguf").asked_settings(settings)
    assert (asked.parallel, asked.unified, asked.predicting, asked.drafted) == (1, False, False, 0)
    knowing = FitProgram(frozenset({"--kv-unified"}), "m.gguf").asked_settings(settings)
    assert (knowing.parallel, knowing.unified) == (4, True)


def test_a_question_is_the_same_whatever_is_free_at_the_moment() -> None:
    program = FitProgram(frozenset({"--log-jsonl"}), "m.gguf")
    one = program.what_else(["--parallel", "1"], [23 * GIB], [GIB], None)
    other = program.what_else(["--parallel", "1"], [23 * GIB], [2 * GIB], None)
    assert one.words == ("--model", "m.gguf", "--log-jsonl", "--parallel", "1", "--fit-target", "1024")
    assert one.about == other.about != program.what_else(["--parallel", "1"], [20 * GIB], [GIB], None).about
    assert not program.what_else([], [23 * GIB], None, 8192).askable
