"""The official `gguf` package reads the same as we do: types, real models, synthetic files."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from claracore.core.gguf.header import Array, Header, read_header
from claracore.core.gguf.types import FILE_TYPES, TENSOR_TYPES, ValueType
from zoo.families import SERVED, Member
from zoo.synthetic import Typed, big_vocabulary, build, write

oracle: Any = import_module("gguf")
MODELS = sorted((Path(__file__).resolve().parents[2] / ".models").rglob("*.gguf"))


def ours(path: Path) -> Header:
    with path.open("rb", buffering=0) as stream:
        return read_header(stream, size=path.stat().st_size)


def assert_same(path: Path) -> None:
    header, reader = ours(path), oracle.GGUFReader(path)
    fields = {name: field for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert set(header.metadata) == set(fields)
    for name, value in header.metadata.items():
        assert_same_value(value, fields[name], name)
    theirs = [
        (one.name, tuple(int(n) for n in one.shape), int(one.tensor_type), int(one.data_offset), int(one.n_bytes))
        for one in reader.tensors
    ]
    assert [
        (one.name, one.shape, one.type, one.offset + header.data_offset, one.size) for one in header.tensors
    ] == theirs
    assert [one.elements for one in header.tensors] == [int(one.n_elements) for one in reader.tensors]


def assert_same_value(value: object, field: Any, name: str) -> None:
    if not isinstance(value, Array):
        assert field.contents() == value, name
        return
    assert [int(kind) for kind in field.types] == [ValueType.ARRAY, value.element], name
    assert len(field.data) == value.count, name
    if value.values is not None:
        assert tuple(field.contents()) == value.values, name


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow if "gemma" in path.name else ()) for path in MODELS],
    ids=lambda path: path.name,
)
def test_real_models(path: Path) -> None:
    """Gemma is slow because the oracle takes 10 s and 700 MB for its vocabulary."""
    assert_same(path)


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
