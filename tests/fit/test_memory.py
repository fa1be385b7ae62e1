"""Our estimate against llama.cpp's own numbers: recorded for many settings, live for a few."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.fit.cache import cache_bytes, cells
from claracore.core.fit.compute import compute_buffers
from claracore.core.fit.memory import Companions, estimate
from claracore.core.fit.places import RAM, layer_places, places_of
from claracore.core.fit.settings import Settings
from claracore.core.gguf.projector import ProjectorFacts
from fit.oracle import ask
from fit.shapes import GEMMA, LLAMA_8B, NOMIC, QWEN3_30B_A3B, SMOLLM2, loaded

MIB = 1024**2
MODELS = {"smollm2": SMOLLM2, "gemma": GEMMA}
RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())
FILES = {
    "smollm2": Path(__file__).parents[2] / ".models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "gemma": Path(__file__).parents[2] / ".models/gemma/gemma-3-270m-q4_k_m.gguf",
}


def settings_of(options: Mapping[str, Any]) -> Settings:
    return Settings(
        context=options["n_ctx"],
        parallel=options.get("n_parallel", 1),
        unified=options.get("kv_unified", False),
        cache_type_k=options.get("cache_type_k", "f16"),
        cache_type_v=options.get("cache_type_v", "f16"),
        micro_batch=options.get("n_ubatch", 512),
        flash_attention=options.get("flash_attn_type") != "DISABLED",
        full_window=options.get("swa_full", False),
        embeddings=options.get("embedding", False),
    )


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: f"{case['model']}-{case['settings']}")
def test_what_llama_cpp_printed(case: dict[str, Any]) -> None:
    facts, settings = MODELS[case["model"]], settings_of(case["settings"])
    assert sum(cache_bytes(facts, settings)) / MIB == pytest.approx(sum(case["cache_mib"]), abs=0.01)
    size = cells(facts, settings)
    assert set(case["cells"]) <= {size.full, size.sliding}
    computing = compute_buffers(facts, settings, places_of(facts, settings))[RAM]
    assert computing / MIB == pytest.approx(case["compute_mib"], rel=0.03)
    assert loaded(facts, settings) / MIB == pytest.approx(case["total_mib"], rel=0.03)


@pytest.mark.processes
@pytest.mark.parametrize("model", ["smollm2", "gemma"])
@pytest.mark.parametrize(
    "options",
    [
        {"n_ctx": 4096},
        {"n_ctx": 16384, "cache_type_k": "q8_0", "cache_type_v": "q8_0", "n_parallel": 2},
    ],
    ids=str,
)
def test_what_llama_cpp_says_now(model: str, options: dict[str, Any]) -> None:
    answer = ask(FILES[model], **options)
    assert answer.complete, "".join(answer.lines)
    total = estimate(MODELS[model], settings_of(options)).total / MIB
    assert total == pytest.approx(answer.total_mib, rel=0.1)


def test_layers_go_to_gpus_from_the_output_down() -> None:
    assert layer_places(4, Settings(1024)) == (RAM,) * 5
    assert layer_places(4, Settings(1024, gpu_layers=1)) == (RAM, RAM, RAM, RAM, 0)
    assert layer_places(4, Settings(1024, gpu_layers=3)) == (RAM, RAM, 0, 0, 0)
    assert layer_places(4, Settings(1024, gpu_layers=99)) == (0, 0, 0, 0, 0)
    assert layer_places(3, Settings(1024, gpu_layers=4, split=(0.5, 0.5))) == (0, 0, 1, 1)
    assert layer_places(3, Settings(1024, gpu_layers=4, split=(0.0, 1.0))) == (1, 1, 1, 1)


def test_experts_can_stay_in_ram() -> None:
    def weights(settings: Settings, place: int) -> int:
        rows = estimate(QWEN3_30B_A3B, settings).rows
        return sum(row.bytes for row in rows if row.what == "experts" and row.place == place)

    everything = Settings(8192, gpu_layers=49)
    half = Settings(8192, gpu_layers=49, cpu_experts=24)
    moved = weights(everything, 0) - weights(half, 0)
    assert moved == sum(QWEN3_30B_A3B.tensor_bytes.experts[:24]) == weights(half, RAM)


def test_an_encoder_has_no_cache() -> None:
    assert sum(cache_bytes(NOMIC, Settings(2048, embeddings=True))) == 0


def test_companions_are_counted_where_they_are_loaded() -> None:
    alone = estimate(LLAMA_8B, Settings(8192, gpu_layers=33))
    seeing = estimate(LLAMA_8B, Settings(8192, gpu_layers=33), Companions(ProjectorFacts(600 * MIB)))
    assert seeing.on(0) - alone.on(0) == 700 * MIB
    drafted = estimate(
        LLAMA_8B, Settings(8192, gpu_layers=33), Companions(draft=SMOLLM2, draft_settings=Settings(8192))
    )
    assert drafted.on(0) == alone.on(0)
    assert drafted.on(RAM) - alone.on(RAM) == estimate(SMOLLM2, Settings(8192)).total


@given(
    context=st.integers(256, 200_000),
    more=st.integers(0, 100_000),
    parallel=st.integers(1, 8),
    layers=st.integers(0, 40),
    unified=st.booleans(),
)
def test_more_context_never_takes_less(context: int, more: int, parallel: int, layers: int, unified: bool) -> None:  # noqa: FBT001
    small = Settings(context, parallel=parallel, unified=unified, gpu_layers=layers)
    large = Settings(context + more, parallel=parallel, unified=unified, gpu_layers=layers)
    for facts in (SMOLLM2, GEMMA, LLAMA_8B, QWEN3_30B_A3B):
        assert estimate(facts, small).total <= estimate(facts, large).total


@given(layers=st.integers(0, 50), cpu=st.integers(0, 60), share=st.floats(0.0, 1.0))
def test_every_weight_has_exactly_one_place(layers: int, cpu: int, share: float) -> None:
    settings = Settings(4096, gpu_layers=layers, cpu_experts=cpu, split=(share, 1 - share))
    rows = estimate(QWEN3_30B_A3B, settings).rows
    weights = sum(row.bytes for row in rows if row.what in {"weights", "experts", "output layer", "token embedding"})
    assert weights == QWEN3_30B_A3B.tensor_bytes.total
