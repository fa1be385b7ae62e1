"""Our estimate against what llama-server took on a real NVIDIA H200 (`make bench-gpu`; measured_h200.json).

The file has, per shape, the settings that ClaraCore chose, the buffers of llama-server's own log, and what NVML and the
kernel counted for the process when it was ready and after a prompt of 3,000 tokens.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from claracore.core.fit.budget import GPU_MARGIN
from claracore.core.fit.memory import Companions, Estimate, estimate
from claracore.core.fit.settings import Settings
from claracore.core.gguf.model import ModelFacts
from claracore.core.units import MIB
from fit.llama_cpp import facts_of_header, headers_in

FOLDER = Path(__file__).parent
SHAPES: list[dict[str, Any]] = json.loads((FOLDER / "measured_h200.json").read_text())["shapes"]
PROJECTOR = "mmproj-gemma3-4b-f16"
PLAIN = [shape for shape in SHAPES if "projector" not in shape["shape"]]
"""Those whose every buffer on the card is in the log, which has none of a projector's weights."""


def facts(name: str) -> ModelFacts:
    return facts_of_header(measured_headers()[name])


@cache
def measured_headers() -> dict[str, bytes]:
    """Return the headers that were measured; those of today's headers.tar.xz have other types of tied embeddings."""
    return headers_in(FOLDER / "measured_headers.tar.xz")


def expected(shape: dict[str, Any]) -> Estimate:
    settings = Settings(**{**shape["settings"], "split": tuple(shape["settings"]["split"])})
    beside = facts(PROJECTOR).projector if "projector" in shape["shape"] else None
    return estimate(facts(shape["shape"].split(",")[0]), settings, Companions(beside)).loaded


def named(shape: dict[str, Any]) -> str:
    return str(shape["shape"])


def process_mib(shape: dict[str, Any], when: str) -> int:
    (taken,) = shape[when]["by_process"]
    return int(taken) // MIB


@pytest.mark.parametrize("shape", PLAIN, ids=named)
def test_on_the_card_it_is_what_llama_cpp_reserves(shape: dict[str, Any]) -> None:
    reserved = sum(shape["buffers"]["CUDA0"].values())
    assert expected(shape).on(0) / MIB == pytest.approx(reserved, rel=0.006)


@pytest.mark.parametrize("shape", SHAPES, ids=named)
def test_the_margin_covers_what_a_process_takes_beside_its_buffers(shape: dict[str, Any]) -> None:
    assert not shape["wrong"]
    assert process_mib(shape, "used") * MIB <= expected(shape).on(0) + GPU_MARGIN


def test_a_projector_takes_what_is_counted() -> None:
    alone, beside = (shape for shape in SHAPES if shape["shape"].startswith("gemma-3-4b"))
    (counted,) = (row.bytes for row in expected(beside).rows if row.what == "vision projector")
    assert counted / MIB == pytest.approx(process_mib(beside, "ready") - process_mib(alone, "ready"), rel=0.15)
