"""What the official `gguf` package reads, held against what we read."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from claracore.core.gguf.header import Array, Header, read_header
from claracore.core.gguf.types import ValueType

oracle: Any = import_module("gguf")


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
