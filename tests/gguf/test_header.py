"""The header reader: what it reads, what it refuses, and that it never does anything else."""

from __future__ import annotations

import struct
import tracemalloc
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.gguf.array_cache import ArrayCache
from claracore.core.gguf.errors import GGUFError, HeaderTruncated, NotGGUF
from claracore.core.gguf.facts import facts_of
from claracore.core.gguf.header import TEXTS_KEPT, VALUES_KEPT, Array, Header, read_header
from claracore.core.gguf.types import ValueType
from zoo.hostile import GOOD, HOSTILE, TOLERATED
from zoo.synthetic import ByteOrder, Raw, TensorSpec, Typed, big_vocabulary, build


def parse(data: bytes, size: int | None = None, seen: ArrayCache | None = None) -> Header:
    return read_header(BytesIO(data), size=len(data) if size is None else size, seen=seen)


def test_the_corpus_is_large() -> None:
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_give_one_clean_error(data: bytes, message: str) -> None:
    with pytest.raises(GGUFError, match=message):
        parse(data)


@pytest.mark.parametrize("data", TOLERATED.values(), ids=TOLERATED)
def test_odd_files_are_read(data: bytes) -> None:
    facts_of(parse(data))


def test_foreign_files_and_cut_ones_are_told_apart() -> None:
    with pytest.raises(NotGGUF):
        parse(b"PK\3\4")
    for length in range(4, len(GOOD.header) - 31):
        with pytest.raises(HeaderTruncated):
            parse(GOOD.header[:length])


def test_missing_tensor_data_is_counted() -> None:
    assert parse(GOOD.header, GOOD.size).missing_bytes == 0
    assert parse(GOOD.header, GOOD.size - 1).missing_bytes == 1
    assert parse(GOOD.header).missing_bytes == GOOD.data_size


EVERY_TYPE: dict[str, tuple[Typed, object]] = {
    "uint8": (Typed(ValueType.UINT8, 255), 255),
    "int8": (Typed(ValueType.INT8, -128), -128),
    "uint16": (Typed(ValueType.UINT16, 65535), 65535),
    "int16": (Typed(ValueType.INT16, -32768), -32768),
    "uint32": (Typed(ValueType.UINT32, (1 << 32) - 1), (1 << 32) - 1),
    "int32": (Typed(ValueType.INT32, -1), -1),
    "float32": (Typed(ValueType.FLOAT32, 0.5), 0.5),
    "bool": (Typed(ValueType.BOOL, value=True), True),
    "string": (Typed(ValueType.STRING, "grün 🐚"), "grün 🐚"),
    "uint64": (Typed(ValueType.UINT64, (1 << 64) - 1), (1 << 64) - 1),
    "int64": (Typed(ValueType.INT64, -(1 << 63)), -(1 << 63)),
    "float64": (Typed(ValueType.FLOAT64, 0.1), 0.1),
}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_every_type_in_every_version_and_byte_order(version: int, byte_order: ByteOrder) -> None:
    metadata: dict[str, object] = {name: typed for name, (typed, _) in EVERY_TYPE.items()}
    metadata |= {f"{name}s": Typed(typed.type, [typed.value] * 3) for name, (typed, _) in EVERY_TYPE.items()}
    image = build(metadata, [TensorSpec("a", (64, 3), "Q4_0")], version=version, byte_order=byte_order)
    header = parse(image.header, image.size)
    assert (header.version, header.byte_order) == (version, byte_order)
    for name, (typed, expected) in EVERY_TYPE.items():
        assert header.metadata[name] == expected
        array = header.metadata[f"{name}s"]
        assert isinstance(array, Array)
        assert (array.element, array.count, array.values) == (typed.type, 3, (expected,) * 3)
    (tensor,) = header.tensors
    assert (tensor.name, tensor.shape, tensor.elements, tensor.size) == ("a", (64, 3), 192, 6 * 18)


def test_long_arrays_are_remembered_by_position() -> None:
    numbers = list(range(VALUES_KEPT + 1))
    words = [f"word{number}" for number in range(TEXTS_KEPT + 1)]
    image = build({"numbers": numbers, "words": words, "after": 7})
    header = parse(image.header)
    for name, element in (("numbers", ValueType.UINT32), ("words", ValueType.STRING)):
        array = header.metadata[name]
        assert isinstance(array, Array)
        assert (array.element, array.values) == (element, None)
    first = header.metadata["words"]
    assert isinstance(first, Array)
    assert image.header[first.offset :].startswith(b"\x05\0\0\0\0\0\0\0word0")
    assert image.header[: first.offset + first.size].endswith(b"word64")
    assert header.metadata["after"] == 7


@given(
    st.lists(st.integers(0, 66), min_size=1, max_size=20),
    st.dictionaries(st.integers(0, 699), st.sampled_from([255, 256, 4_000, 70_000]), max_size=3),
    st.integers(TEXTS_KEPT + 1, 700),
    st.sampled_from(("little", "big")),
    st.data(),
)
def test_strings_of_any_lengths_are_stepped_over(
    lengths: list[int], longer: dict[int, int], count: int, byte_order: ByteOrder, data: st.DataObject
) -> None:
    words = ["x" * longer.get(index, lengths[index % len(lengths)]) for index in range(count)]
    image = build({"words": words, "after": 7}, byte_order=byte_order)
    header = parse(image.header)
    assert header.metadata["after"] == 7
    found = header.metadata["words"]
    assert isinstance(found, Array)
    assert (found.count, found.size) == (count, sum(8 + len(word) for word in words))
    with pytest.raises(HeaderTruncated):
        parse(image.header[: data.draw(st.integers(24, found.offset + found.size))])


def test_a_very_long_string_is_not_kept() -> None:
    image = build({"tokenizer.huggingface.json": "x" * ((1 << 21) + 1), "after": 7})
    header = parse(image.header)
    assert header.metadata["tokenizer.huggingface.json"] == Array(
        ValueType.UINT8, (1 << 21) + 1, 24 + 8 + 26 + 4 + 8, (1 << 21) + 1
    )
    assert header.metadata["after"] == 7


VOCABULARY = {"tokenizer.ggml.tokens": big_vocabulary(30_000), "tokenizer.ggml.merges": big_vocabulary(30_000, 1)}


def test_a_vocabulary_seen_before_gives_the_same_header() -> None:
    image = build({"a": 1} | VOCABULARY | {"b": 2, "c": [3]}, [TensorSpec("t", (32,))])
    alone = parse(image.header, image.size)
    seen = ArrayCache()
    assert parse(image.header, image.size, seen) == alone
    assert parse(image.header, image.size, seen) == alone


def test_a_vocabulary_like_one_seen_before_is_read_by_itself() -> None:
    """Same key, count, first and last tokens, but one more byte in the middle."""
    tokens = [f"token{number}" for number in range(500)]
    longer = [*tokens[:250], "token250x", *tokens[251:]]
    seen = ArrayCache()
    for words in (tokens, longer, tokens, longer):
        image = build({"tokenizer.ggml.tokens": words, "tokenizer.ggml.model": "gpt2", "b": 2})
        assert parse(image.header, seen=seen) == parse(image.header)


def test_a_lying_file_cannot_harm_the_next_one() -> None:
    seen = ArrayCache()
    honest = build({"tokenizer.ggml.tokens": [f"token{n}" for n in range(2000)], "after": 1})
    lying = bytearray(honest.header)
    lying[2000:2400] = b"\xff" * 400
    with pytest.raises(GGUFError):
        parse(bytes(lying), seen=seen)
    assert parse(honest.header, seen=seen) == parse(honest.header)


def test_a_big_vocabulary_costs_little_memory() -> None:
    image = build({"tokenizer.ggml.tokens": big_vocabulary(150_000), "after": 1})
    stream = BytesIO(image.header)
    tracemalloc.start()
    try:
        header = read_header(stream, size=image.size)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert header.metadata["after"] == 1
    assert peak < 3_000_000


RICH = build(
    {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.attention.head_count_kv": [2, 2],
        "tokenizer.ggml.tokens": [f"t{number}" for number in range(100)],
        "general.tags": ["a", "b"],
        "general.file_type": 15,
    },
    [TensorSpec("token_embd.weight", (256, 8), "Q4_K"), TensorSpec("blk.0.attn_q.weight", (256, 4), "Q6_K")],
)


def test_many_keys_cannot_fill_the_memory() -> None:
    image = build({f"key{number}": "x" * (1 << 20) for number in range(17)})
    with pytest.raises(GGUFError, match="larger than"):
        parse(image.header)


def test_many_arrays_cannot_take_for_ever() -> None:
    """Nine arrays of a million empty strings each: every one alone would be believed."""
    head = struct.pack("<IIQ", ValueType.ARRAY, ValueType.STRING, 1 << 20)
    million = Raw(head + bytes(8 << 20))
    assert parse(build({"key1": million}).header).metadata.keys() == {"key1"}
    with pytest.raises(GGUFError, match="claims"):
        parse(build({f"key{number}": million for number in range(9)}).header)


@given(st.data())
def test_mutated_bytes_give_nothing_but_gguf_errors(data: st.DataObject) -> None:
    raw = bytearray(RICH.header)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(raw) - 1))
        junk = data.draw(st.binary(min_size=1, max_size=9))
        raw[position : position + data.draw(st.integers(0, 9))] = junk
    try:
        header = parse(bytes(raw), RICH.size)
    except GGUFError:
        return
    facts_of(header)


@given(st.binary(max_size=400))
def test_any_bytes_after_the_magic_give_nothing_but_gguf_errors(junk: bytes) -> None:
    data = b"GGUF\3\0\0\0" + junk
    try:
        facts_of(parse(data))
    except GGUFError:
        return


SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.booleans(), st.integers(-(1 << 31), (1 << 64) - 1), st.floats(width=32, allow_nan=False), st.text(max_size=20)
)
KEYS = st.text("abcdefghijklmnopqrstuvwxyz._", min_size=1, max_size=12).filter(lambda key: key != "general.alignment")


@given(st.dictionaries(KEYS, SCALARS, max_size=12), st.sampled_from(["little", "big"]))
def test_what_is_written_is_read(metadata: dict[str, object], byte_order: ByteOrder) -> None:
    image = build(metadata, byte_order=byte_order)
    assert dict(parse(image.header).metadata) == metadata


def test_raw_values_are_for_tests_of_the_reader() -> None:
    assert isinstance(VOCABULARY["tokenizer.ggml.tokens"], Raw)
