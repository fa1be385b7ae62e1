"""Predictions: of the right size where published numbers say what is right, silent where something is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from claracore.core.fit.budget import budget_of
from claracore.core.fit.case import Wishes
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.gpu_speeds import ROWS, gpu_speed
from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor
from claracore.core.fit.plan import plan
from claracore.core.fit.speed import MachineSpeed, ModelSpeed, SpeedSource, corrected, predicted_speed
from claracore.core.gguf.model import ModelFacts
from claracore.core.units import GIB
from fit.shapes import LLAMA_8B, NOMIC, QWEN3_30B_A3B, SMOLLM2

FLAGS = KnownFlags(
    frozenset(["--ctx-size", "--threads", "--kv-unified", "--parallel", "--n-gpu-layers", "--n-cpu-moe"])
)
DESKTOP = MachineSpeed(60e9, 8, (1008e9,), (165e12,))


def predicted(facts: ModelFacts, vram_gib: int, machine: MachineSpeed = DESKTOP) -> ModelSpeed:
    gpus = (Gpu("RTX 4090", "nvidia", Backend.CUDA, vram_gib * GIB, vram_gib * GIB),) if vram_gib else ()
    hardware = Hardware(Processor("x", 16, 8, 8), Memory(64 * GIB, 64 * GIB), gpus)
    placement = plan(facts, budget_of(hardware), Wishes(context=8192), FLAGS)
    assert placement.fits
    return predicted_speed(facts, placement.settings, placement.loaded, machine)


@pytest.mark.parametrize(
    ("facts", "vram_gib", "writing", "reading"),
    [
        # llama-bench tables: an 8B at 4 to 5 bits writes 120 to 150 and reads 5,000 to 12,000 on a 4090 ...
        (LLAMA_8B, 24, (90, 170), (2_500, 15_000)),
        # ... and 8 to 11 on two channels of DDR5, where eight cores read 20 to 80.
        (LLAMA_8B, 0, (6, 13), (15, 90)),
        # 3B of its 30B are active: several times the 8B's speed in RAM.
        (QWEN3_30B_A3B, 0, (14, 40), (40, 250)),
    ],
)
def test_they_are_of_the_right_size(
    facts: ModelFacts, vram_gib: int, writing: tuple[float, float], reading: tuple[float, float]
) -> None:
    speed = predicted(facts, vram_gib)
    assert writing[0] <= (speed.writing or 0) <= writing[1]
    assert reading[0] <= (speed.reading or 0) <= reading[1]
    assert (speed.source, speed.in_ram) == (SpeedSource.PREDICTED, vram_gib == 0)


def test_experts_in_ram_are_between() -> None:
    speeds = [predicted(QWEN3_30B_A3B, vram).writing or 0 for vram in (0, 10, 24)]
    assert speeds == sorted(speeds)
    assert speeds[0] * 1.2 < speeds[1] < speeds[2] / 1.2


def test_what_is_not_known_has_no_number() -> None:
    unknown = MachineSpeed(60e9, 8, (None,), (None,))
    assert predicted(LLAMA_8B, 24, unknown) == ModelSpeed(None, None, SpeedSource.PREDICTED)
    assert predicted(LLAMA_8B, 24, replace(unknown, gpu_bandwidths=(1008e9,))).reading is None
    assert predicted(LLAMA_8B, 0, MachineSpeed(None, 8)).writing is None


def test_an_embedder_writes_nothing() -> None:
    speed = predicted(NOMIC, 0)
    assert speed.writing is None
    assert speed.words.startswith("reads about ")


def test_words_say_what_is_predicted_and_what_was_measured() -> None:
    assert (
        ModelSpeed(80.2, 12.34, SpeedSource.PREDICTED).words
        == "writes about 12 and reads about 80 tokens/s (predicted)"
    )
    assert ModelSpeed(None, 11.8, SpeedSource.PREDICTED).short == "~12"
    measured = ModelSpeed(75.0, 9.87, SpeedSource.MEASURED, answers=40)
    assert measured.words == "writes 9.9 and reads 75 tokens/s (measured, 40 answers)"
    assert measured.short == "9.9"
    assert ModelSpeed(None, None, SpeedSource.PREDICTED).words == ""


def test_what_other_models_have_shown_corrects_a_prediction() -> None:
    told, seen = predicted(SMOLLM2, 0), ModelSpeed(None, 90.0, SpeedSource.MEASURED, answers=9)
    speed = predicted(LLAMA_8B, 0)
    after = corrected(speed, [(told, seen)])
    assert (after.writing or 0) / (speed.writing or 1) == pytest.approx(90 / (told.writing or 1))
    assert after.reading == speed.reading
    on_gpu = predicted(LLAMA_8B, 24)
    assert corrected(on_gpu, [(told, seen)]) == on_gpu, "what was seen in RAM says nothing of a GPU"


def test_one_that_is_far_off_does_not_run_away() -> None:
    told = ModelSpeed(100, 100, SpeedSource.PREDICTED, in_ram=True)
    slow = ModelSpeed(0.001, 0.001, SpeedSource.MEASURED, answers=3)
    assert corrected(told, [(told, slow)]).writing == 10


@pytest.mark.parametrize(
    ("name", "gb"),
    [
        ("NVIDIA GeForce RTX 4090", 1008),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", 672),
        ("NVIDIA H100 80GB HBM3", 3350),
        ("NVIDIA H100 PCIe", 2039),
        ("NVIDIA A100-SXM4-80GB", 2039),
        ("NVIDIA A10", 600),
        ("AMD Radeon RX 7900 XTX", 960),
        ("Apple M2 Max", 400),
        ("Apple M4", 120),
    ],
)
def test_devices_by_name(name: str, gb: float) -> None:
    found = gpu_speed(name)
    assert found is not None
    assert found.bandwidth == gb * 1e9


@pytest.mark.parametrize(
    "name", ["NVIDIA GeForce RTX 4090 Laptop GPU", "llvmpipe", "NVIDIA A1000", "Intel UHD 770", ""]
)
def test_others_have_none(name: str) -> None:
    assert gpu_speed(name) is None


def test_the_first_pattern_that_fits_is_the_closest() -> None:
    for row, (pattern, speed) in enumerate(ROWS):
        plain = pattern.pattern.replace(r"\b", "").replace(".*", " ")
        assert gpu_speed(plain) == speed, f"row {row} ({plain}) is hidden by one above it"
