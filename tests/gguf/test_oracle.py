"""The official `gguf` package reads the same as we do: types, synthetic files."""

from __future__ import annotations

from pathlib import Path

import pytest

from claracore.core.gguf.types import FILE_TYPES, TENSOR_TYPES, ValueType
from zoo.families import SERVED, Member
from zoo.oracle import assert_same, oracle
from zoo.synthetic import Typed, big_vocabulary, build, write

FEW = [member for number, member in enumerate(SERVED) if number % 6 == 0]


@pytest.mark.parametrize("member", FEW, ids=lambda member: member.file)
def test_synthetic_models(member: Member, tmp_path: Path) -> None:
    assert_same(write(tmp_path / member.file, member.image()))


def test_every_value_type(tmp_path: Path) -> None:
    scalars = {
        kind.name: Typed(kind, "x" if kind is ValueType.STRING else 1) for kind in ValueType if kind != ValueType.ARRAY
    }
    arrays = {f"{name}S": Typed(typed.type, [typed.value] * 3) for name, typed in scalars.items()}
    long = {"tokenizer.ggml.tokens": big_vocabulary(2000), "after": 1}
    assert_same(write(tmp_path / "types.gguf", build({**scalars, **arrays, **long})))


def test_the_tensor_types_are_those_of_ggml() -> None:
    known = {int(kind): (kind.name, *map(int, size)) for kind, size in oracle.GGML_QUANT_SIZES.items()}
    # The package still counts Q8_1's two scales as floats; ggml-common.h has halves. No file contains Q8_1.
    assert known.pop(9)[:2] == ("Q8_1", 32)
    assert {number: tuple(kind) for number, kind in TENSOR_TYPES.items() if number != 9} == known
    assert {kind.name: int(kind) for kind in oracle.GGUFValueType} == {kind.name: int(kind) for kind in ValueType}


def test_the_file_types_are_those_of_llama() -> None:
    for kind in oracle.LlamaFileType:
        if kind.name != "GUESSED":
            name = kind.name.removeprefix("MOSTLY_").removeprefix("ALL_").removesuffix("_MOE")
            assert FILE_TYPES[int(kind)] == name
