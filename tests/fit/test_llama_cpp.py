"""Our estimate against what llama.cpp itself would reserve: published shapes, each on many devices that are not there.

`make bench-fit` records llama_cpp.json; the table of docs/setup.md is made of the same deviations.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from functools import cache

import pytest

from claracore.core.fit.memory import RAM, estimate
from claracore.core.gguf.model import Kind
from claracore.core.units import MIB
from fit.llama_cpp import RECORDED, Case, Taken, cases, facts, projected

WEIGHTS = {"token embedding", "weights", "experts", "output layer"}
CONTEXT = {"KV cache", "recurrent state"}
SHAPES = list(RECORDED["models"])
EXACT = 0.01
SLACK = 2 * MIB
"""Small tensors that llama.cpp pads, or has once for each device."""
PREDICTING = "glm-4.5-air-Q4_K_M"
"""Layers are counted without its prediction layer, which llama.cpp counts when it splits."""
LISTED_TWICE = "gemma-3n-e4b-Q4_K_M"
"""llama.cpp counts its embedding twice on the CPU, where both are the same pages of the file."""
LIMITS = {
    "one card": 0.09,
    "one card, experts in RAM": 0.2,
    "one card, layers in RAM": 0.1,
    "two cards": 0.43,
    "two cards, experts in RAM": 0.3,
    "two cards, layers in RAM": 0.18,
    "CPU": 0.1,
    "embedders": 2.3,
}
"""The largest part by which a device of each class may be missed."""


def places(case: Case) -> list[tuple[int, Taken]]:
    return [*enumerate(case.devices), (RAM, case.ram)]


@cache
def parts(case: Case) -> dict[tuple[int, str], int]:
    sums: dict[tuple[int, str], int] = defaultdict(int)
    for row in estimate(case.facts, case.settings).rows:
        sums[row.place, row.what] += row.bytes
    return dict(sums)


@pytest.mark.parametrize("shape", SHAPES)
def test_weights_and_context_are_where_llama_cpp_has_them(shape: str) -> None:
    for case in cases(shape):
        if (shape, case.placement) == (LISTED_TWICE, "CPU"):
            continue
        if shape == PREDICTING and "layers in RAM" in case.placement:
            continue
        for place, taken in places(case):
            model = sum(size for (where, what), size in parts(case).items() if where == place and what in WEIGHTS)
            context = sum(size for (where, what), size in parts(case).items() if where == place and what in CONTEXT)
            assert model == pytest.approx(taken.model, rel=EXACT, abs=SLACK), (case.args, place)
            assert context == pytest.approx(taken.context, rel=EXACT), (case.args, place)


def kind(case: Case) -> str:
    return "embedders" if case.settings.embeddings else case.placement


@cache
def deviations() -> dict[str, list[tuple[float, str]]]:
    """Return by class how far each device is from what llama.cpp takes there, as a part of it, and which case it is."""
    found: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for case in cases():
        expected = estimate(case.facts, case.settings)
        for place, taken in places(case):
            if place != RAM or not case.devices:
                found[kind(case)].append((expected.on(place) / taken.total - 1, f"{case} on {place}"))
    return dict(found)


@pytest.mark.parametrize("name", LIMITS)
def test_every_device_of_a_class(name: str) -> None:
    worst, case = max(deviations()[name], key=lambda deviation: abs(deviation[0]))
    assert abs(worst) <= LIMITS[name], f"{worst:+.1%}: {case}"


def test_every_class_has_limits_and_most_devices_are_close() -> None:
    assert deviations().keys() == LIMITS.keys()
    assert statistics.median(abs(part) for found in deviations().values() for part, _case in found) < 0.05


def test_enough_shapes_were_recorded() -> None:
    assert len(SHAPES) >= 25
    assert RECORDED["engine"] == "llama.cpp b11434"
    assert {facts(name).kind for name in SHAPES} >= {Kind.CHAT, Kind.EMBEDDING, Kind.RERANKER}


def test_projectors_are_read_as_such() -> None:
    rows = list(projected())
    assert len({row.shape for row in rows}) >= 8
    assert {row.facts.kind for row in rows} == {Kind.MMPROJ}
    assert {row.facts.audio for row in rows} == {True, False}
