"""Our estimate against what llama.cpp itself would reserve: published shapes, each on many devices that are not there.

`make bench-fit` records llama_cpp.json; the table of docs/setup.md is made of the same deviations.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from claracore.core.fit.memory import Companions, estimate
from claracore.core.fit.places import RAM
from claracore.core.fit.settings import Settings
from claracore.core.gguf.model import Kind
from claracore.core.units import MIB
from fit.llama_cpp import RECORDED, Case, Projected, cases, deviations, facts, projected
from fit.shapes import SMOLLM2

WEIGHTS = {"token embedding", "weights", "experts", "output layer"}
CONTEXT = {"KV cache", "recurrent state"}
SHAPES = list(RECORDED["models"])
EXACT = 0.01
SLACK = 2 * MIB
"""Small tensors that llama.cpp pads, or has once for each device."""
BILLIONS = {
    "gemma-4-31b-Q4_K_M": 30.7, "gemma-4-26b-a4b-Q4_K_M": 25.2, "nemotron-3-nano-30b-a3b-Q4_K_M": 31.6,
    "command-r7b-Q4_K_M": 8.03,
    "llama-3.1-8b-Q4_K_M": 8.03, "qwen3-32b-Q4_K_M": 32.8, "phi-4-Q4_K_M": 14.7, "gemma-2-9b-Q4_K_M": 9.24,
    "gemma-3-27b-Q4_K_M": 27.0, "gemma-3n-e4b-Q4_K_M": 6.87, "mixtral-8x7b-Q4_K_M": 46.7, "olmoe-1b-7b-Q4_K_M": 6.92,
    "qwen3-235b-a22b-Q4_K_M": 235, "gpt-oss-120b-mxfp4": 116.8, "deepseek-r1-671b-Q4_K_M": 671,
    "glm-4.5-air-Q4_K_M": 110, "minimax-m2-Q4_K_M": 229, "granite-4-h-small-Q4_K_M": 32.2,
    "falcon-h1-7b-Q4_K_M": 7.59, "lfm2-1.2b-Q4_K_M": 1.17, "kimi-linear-48b-a3b-Q4_K_M": 49.1,
    "qwen3-next-80b-a3b-Q4_K_M": 79.7, "bge-m3-Q8_0": 0.567, "nomic-embed-text-v1.5-F16": 0.137,
    "qwen3-embedding-0.6b-Q8_0": 0.596, "embeddinggemma-300m-Q8_0": 0.308,
}  # fmt: skip
"""Parameters as the model cards have them."""
PROJECTORS = {
    "mmproj-gemma3-4b-f16": (932, 1943),
    "mmproj-qwen2.5-vl-7b-f16": (1996, 6163),
    "mmproj-qwen3-vl-8b-f16": (1477, 5875),
    "mmproj-mistral-small-3.2-24b-f16": (902, 924),
}
"""What llama.cpp was seen to say about the published files, in MiB, with and without flash attention."""
CLASSES = (
    "one card", "one card, experts in RAM", "one card, layers in RAM", "two cards", "two cards, experts in RAM",
    "two cards, layers in RAM", "CPU", "embedders",
)  # fmt: skip
PROJECTOR_LIMIT = 0.05
LIMIT = 0.05
"""The largest part by which a device may be missed."""


@cache
def parts(case: Case) -> dict[tuple[int, str], int]:
    sums: dict[tuple[int, str], int] = defaultdict(int)
    for row in estimate(case.facts, case.settings).rows:
        sums[row.place, row.what] += row.bytes
    return dict(sums)


@pytest.mark.parametrize("shape", SHAPES)
def test_weights_and_context_are_where_llama_cpp_has_them(shape: str) -> None:
    for case in cases(shape):
        for place, taken in case.places:
            model = sum(size for (where, what), size in parts(case).items() if where == place and what in WEIGHTS)
            context = sum(size for (where, what), size in parts(case).items() if where == place and what in CONTEXT)
            assert model == pytest.approx(taken.model, rel=EXACT, abs=SLACK), (case.args, place)
            assert context == pytest.approx(taken.context, rel=EXACT), (case.args, place)


@pytest.mark.parametrize("name", CLASSES)
def test_every_device_of_a_class(name: str) -> None:
    worst = max(deviations()[name], key=lambda deviation: abs(deviation.part))
    assert abs(worst.part) <= LIMIT, worst


@pytest.mark.parametrize("shape", SHAPES)
def test_ram_beside_cards(shape: str) -> None:
    for case in cases(shape):
        found = estimate(case.facts, case.settings).loaded.on(RAM)
        assert found == pytest.approx(case.ram.total, rel=LIMIT, abs=SLACK * 8), case


def test_every_class_has_limits_and_most_devices_are_close() -> None:
    assert deviations().keys() == set(CLASSES)
    assert statistics.median(abs(one.part) for found in deviations().values() for one in found) < 0.01


def test_enough_shapes_were_recorded() -> None:
    assert len(SHAPES) >= 25
    assert RECORDED["engine"] == "llama.cpp b11434"
    assert {facts(name).kind for name in SHAPES} >= {Kind.CHAT, Kind.EMBEDDING, Kind.RERANKER}


@pytest.mark.parametrize(("shape", "billions"), BILLIONS.items())
def test_a_shape_is_as_large_as_the_published_model(shape: str, billions: float) -> None:
    assert facts(shape).parameters / 1e9 == pytest.approx(billions, rel=0.005)


@pytest.mark.parametrize("shape", PROJECTORS)
def test_a_projector_is_as_large_as_the_published_one(shape: str) -> None:
    taken = {row.flash_attention: row.card / MIB for row in projected() if row.shape == shape}
    assert (taken[True], taken[False]) == pytest.approx(PROJECTORS[shape], abs=0.6)


@pytest.mark.parametrize(
    "row", list(projected()), ids=lambda row: f"{row.shape}, flash attention {row.flash_attention}"
)
def test_a_projector(row: Projected) -> None:
    settings = Settings(4096, gpu_layers=99, flash_attention=row.flash_attention)
    sizes = {item.what: item.bytes for item in estimate(SMOLLM2, settings, Companions(row.facts.projector)).rows}
    assert sizes["vision projector"] == pytest.approx(row.card, rel=PROJECTOR_LIMIT)
    assert sizes["projector input"] == pytest.approx(row.ram, rel=PROJECTOR_LIMIT)


@pytest.mark.processes
def test_the_table_of_the_documentation_is_the_one_that_is_printed() -> None:
    root = Path(__file__).parents[2]
    made = subprocess.run(
        [sys.executable, str(root / "bench/fit/table.py")], capture_output=True, text=True, check=True, timeout=60
    )
    _, table = made.stdout.split("\n\n", 1)
    assert table in (root / "docs/setup.md").read_text(encoding="utf-8"), made.stdout


def test_projectors_are_read_as_such() -> None:
    rows = list(projected())
    assert len({row.shape for row in rows}) >= 8
    assert {row.facts.kind for row in rows} == {Kind.MMPROJ}
    assert {row.facts.audio for row in rows} == {True, False}
