"""What each of the zoo's shapes takes at 8,192 tokens, in MiB, by row: recorded, so that a change must be meant.

test_zoo.py asks llama.cpp about those that it can load without their small norms; for the cache of the plain ones there
is an independent reckoning here, from the shape alone.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest

from claracore.core.fit.memory import estimate
from claracore.core.fit.settings import Settings
from claracore.core.gguf.facts import facts_of
from claracore.core.gguf.header import read_header
from claracore.core.gguf.model import ModelFacts
from zoo.families import SERVED, Member

FILE = Path(__file__).with_name("zoo.json")
CONTEXT = 8192
MIB = 1024**2


def facts(member: Member) -> ModelFacts:
    image = member.image()
    return facts_of(read_header(BytesIO(image.header), size=image.size))


def taken(member: Member) -> dict[str, float]:
    rows: dict[str, float] = {}
    for row in estimate(facts(member), Settings(min(CONTEXT, member.context))).rows:
        rows[row.what] = rows.get(row.what, 0) + row.bytes / MIB
    return {what: round(size, 2) for what, size in rows.items()}


RECORDED: dict[str, dict[str, float]] = json.loads(FILE.read_text()) if FILE.exists() else {}


@pytest.mark.parametrize("member", SERVED, ids=lambda member: member.file)
def test_a_shape_takes_what_it_took(member: Member) -> None:
    expected = RECORDED[member.file]
    found = taken(member)
    assert found.keys() == expected.keys(), "if this is better, run: python tests/fit/test_zoo_memory.py"
    for what, size in found.items():
        assert size == pytest.approx(expected[what], rel=0.001, abs=0.01), what


def plain(member: Member) -> bool:
    """Whether every layer has the same ordinary attention, over the whole context."""
    its = facts(member)
    same = all(len(set(part)) == 1 for part in (its.kv_heads, its.head_dim_k, its.head_dim_v))
    return same and its.causal and all(its.has_kv_cache) and not any(its.sliding) and not any(its.recurrent)


OTHERWISE = {"deepseek2", "minicpm3", "glm4moe"}
"""Latent attention; a last layer that only predicts further tokens and has no cache."""
PLAIN = [member for member in SERVED if plain(member) and member.shape.arch not in OTHERWISE]


@pytest.mark.parametrize("member", PLAIN, ids=lambda member: member.file)
def test_the_cache_is_keys_and_values_of_all_heads_in_all_layers(member: Member) -> None:
    shape = member.shape
    heads = shape.heads if isinstance(shape.heads, int) else max(shape.heads)
    kv_heads = shape.kv_heads if isinstance(shape.kv_heads, int) else max(shape.kv_heads)
    width = (shape.head_dim or shape.embedding // heads) + (
        shape.value_dim or shape.head_dim or shape.embedding // heads
    )
    tokens = min(CONTEXT, member.context)
    assert taken(member)["KV cache"] == pytest.approx(shape.layers * tokens * kv_heads * width * 2 / MIB, abs=0.01)


def test_most_of_the_zoo_is_plain() -> None:
    assert len(PLAIN) >= 30
    assert len(RECORDED) == len(SERVED) >= 60


if __name__ == "__main__":
    FILE.write_text("{\n" + ",\n".join(f"{json.dumps(its.file)}: {json.dumps(taken(its))}" for its in SERVED) + "\n}\n")
