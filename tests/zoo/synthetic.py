"""GGUF files of any shape, for tests: any metadata, any tensors, data as a hole in a sparse file.

Importable as `zoo.synthetic` (tests/gguf would hide the `gguf` package). `build` gives bytes, `write` a file; `Shape`
describes a language model in a few numbers and knows its metadata and tensors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from claracore.core.gguf.types import FILE_TYPES, SCALAR_FORMATS, TENSOR_TYPES, ValueType

TYPE_NUMBERS = {tensor_type.name: number for number, tensor_type in TENSOR_TYPES.items()}
FILE_TYPE_NUMBERS = {name: number for number, name in reversed(FILE_TYPES.items())}

ByteOrder = Literal["little", "big"]


class Typed(NamedTuple):
    """A metadata value with its type spelled out; for an array, the type of its elements."""

    type: ValueType
    value: object


class Raw(NamedTuple):
    """A metadata value as bytes: the type and everything after it."""

    data: bytes


class TensorSpec(NamedTuple):
    name: str
    shape: tuple[int, ...]
    type: str = "F32"


def _mark(byte_order: ByteOrder) -> str:
    return "<" if byte_order == "little" else ">"


def text_bytes(text: str | bytes, byte_order: ByteOrder = "little") -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack(_mark(byte_order) + "Q", len(raw)) + raw


def _type_of(value: object) -> ValueType:
    match value:
        case bool():
            return ValueType.BOOL
        case int() if value < 0:
            return ValueType.INT32
        case int():
            return ValueType.UINT32 if value < 1 << 32 else ValueType.UINT64
        case float():
            return ValueType.FLOAT32
        case str() | bytes():
            return ValueType.STRING
        case _:
            raise TypeError(value)


def _plain_bytes(kind: ValueType, value: object, byte_order: ByteOrder) -> bytes:
    if kind is ValueType.STRING:
        assert isinstance(value, str | bytes)
        return text_bytes(value, byte_order)
    return struct.pack(_mark(byte_order) + SCALAR_FORMATS[kind], value)


def value_bytes(value: object, byte_order: ByteOrder = "little") -> bytes:
    """The type and the value, as they follow a key."""
    number = struct.Struct(_mark(byte_order) + "I")
    if isinstance(value, Raw):
        return value.data
    kind, plain = (value.type, value.value) if isinstance(value, Typed) else (None, value)
    if isinstance(plain, list | tuple):
        kind = kind if kind is not None else (_type_of(plain[0]) if plain else ValueType.UINT32)
        body = b"".join(_plain_bytes(kind, item, byte_order) for item in plain)
        count = struct.pack(_mark(byte_order) + "Q", len(plain))
        return number.pack(ValueType.ARRAY) + number.pack(kind) + count + body
    kind = kind if kind is not None else _type_of(plain)
    return number.pack(kind) + _plain_bytes(kind, plain, byte_order)


class Image(NamedTuple):
    """A file: its header, padded to where tensor data begins, and the size of that data."""

    header: bytes
    data_size: int

    @property
    def size(self) -> int:
        return len(self.header) + self.data_size


def data_size_of(tensor: TensorSpec) -> int:
    kind = TENSOR_TYPES[TYPE_NUMBERS[tensor.type]]
    elements = 1
    for length in tensor.shape:
        elements *= length
    return elements // kind.block_elements * kind.block_bytes


def build(
    metadata: Mapping[str, object],
    tensors: Iterable[TensorSpec] = (),
    *,
    version: int = 3,
    byte_order: ByteOrder = "little",
) -> Image:
    """Lay out a file as llama.cpp does."""
    mark = _mark(byte_order)
    alignment = metadata.get("general.alignment", 32)
    assert isinstance(alignment, int)
    rows: list[bytes] = []
    offset = 0
    for tensor in tensors:
        shape = struct.pack(f"{mark}I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        rows.append(
            text_bytes(tensor.name, byte_order) + shape + struct.pack(f"{mark}IQ", TYPE_NUMBERS[tensor.type], offset)
        )
        offset += -(-data_size_of(tensor) // alignment) * alignment
    head = b"GGUF" + struct.pack(f"{mark}IQQ", version, len(rows), len(metadata))
    keys = [text_bytes(key, byte_order) + value_bytes(value, byte_order) for key, value in metadata.items()]
    header = b"".join([head, *keys, *rows])
    return Image(header + bytes(-len(header) % alignment), offset)


def write(path: Path, image: Image) -> Path:
    """Write a file whose tensor data is a hole: it takes no space on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(image.header)
        stream.truncate(image.size)
    return path


@lru_cache(maxsize=8)
def big_vocabulary(size: int, seed: int = 0) -> Raw:
    """`size` tokens of realistic lengths, the same for the same seed; made fast because tests make many."""
    lengths = (3, 5, 2, 7, 4, 6, 9, 5, 4, 12, 6, 8, 3, 5, 7, 4)
    prefixes = [struct.pack("<Q", length) for length in range(16)]
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    parts: list[bytes] = []
    for index in range(size):
        length = lengths[(index * 7 + seed) % 16]
        token = f"{index + seed * 1_000_003:x}{alphabet}"[:length]
        parts += (prefixes[length], token.encode())
    head = struct.pack("<IIQ", ValueType.ARRAY, ValueType.STRING, size)
    return Raw(head + b"".join(parts))


MIXES: dict[str, tuple[str, str, str]] = {
    "Q2_K": ("Q2_K", "Q3_K", "Q6_K"),
    "Q3_K_S": ("Q3_K", "Q3_K", "Q6_K"),
    "Q3_K_M": ("Q3_K", "Q4_K", "Q6_K"),
    "Q3_K_L": ("Q3_K", "Q5_K", "Q6_K"),
    "Q4_K_S": ("Q4_K", "Q5_K", "Q6_K"),
    "Q4_K_M": ("Q4_K", "Q6_K", "Q6_K"),
    "Q5_K_S": ("Q5_K", "Q5_K", "Q6_K"),
    "Q5_K_M": ("Q5_K", "Q6_K", "Q6_K"),
    "IQ1_M": ("IQ1_M", "IQ2_XXS", "Q5_K"),
    "IQ2_M": ("IQ2_S", "IQ3_S", "Q5_K"),
    "IQ2_XS": ("IQ2_XS", "IQ3_S", "Q5_K"),
    "IQ3_M": ("IQ3_S", "Q4_K", "Q6_K"),
    "IQ3_XS": ("IQ3_XXS", "IQ3_S", "Q6_K"),
    "MXFP4": ("MXFP4", "Q8_0", "Q8_0"),
}
"""Quantization -> types of most weights, of half of the `attn_v` and `ffn_down`, of the output."""


@dataclass(frozen=True)
class Shape:
    """A language model in a few numbers."""

    arch: str
    layers: int
    embedding: int
    heads: int | tuple[int, ...]
    kv_heads: int | tuple[int, ...]
    ff: int | tuple[int, ...]
    vocab: int
    context: int
    quant: str = "Q4_K_M"
    head_dim: int | None = None
    value_dim: int | None = None
    gate: bool = True
    tied: bool = False
    experts: int = 0
    used: int = 0
    expert_ff: int = 0
    shared_ff: int = 0
    dense_layers: int = 0
    expert_type: str | None = None
    template: str | None = None
    name: str | None = None
    size_label: str | None = None
    tokenizer: str = "gpt2"
    keys: Mapping[str, object] = field(default_factory=dict)
    """Further metadata; a key beginning with `.` gets the architecture before it."""
    more_tensors: tuple[TensorSpec, ...] = ()
    attention: bool = True

    def metadata(self) -> dict[str, object]:
        """Keys in the order of llama.cpp's converter, without a vocabulary."""
        keys: dict[str, object] = {"general.architecture": self.arch, "general.type": "model"}
        if self.name is not None:
            keys["general.name"] = self.name
        if self.size_label is not None:
            keys["general.size_label"] = self.size_label
        keys |= {
            f"{self.arch}.block_count": self.layers,
            f"{self.arch}.context_length": self.context,
            f"{self.arch}.embedding_length": self.embedding,
            f"{self.arch}.feed_forward_length": _listed(self.ff),
            f"{self.arch}.attention.head_count": _listed(self.heads),
            f"{self.arch}.attention.head_count_kv": _listed(self.kv_heads),
            f"{self.arch}.vocab_size": self.vocab,
        }
        if self.head_dim is not None:
            keys[f"{self.arch}.attention.key_length"] = self.head_dim
            keys[f"{self.arch}.attention.value_length"] = self.value_dim or self.head_dim
        if self.experts:
            keys |= {f"{self.arch}.expert_count": self.experts, f"{self.arch}.expert_used_count": self.used}
            keys[f"{self.arch}.expert_feed_forward_length"] = self.expert_ff
        keys |= {(self.arch + key if key.startswith(".") else key): value for key, value in self.keys.items()}
        keys["tokenizer.ggml.model"] = self.tokenizer
        if self.template is not None:
            keys["tokenizer.chat_template"] = self.template
        keys["general.file_type"] = FILE_TYPE_NUMBERS[self.quant]
        return keys

    def tensors(self) -> tuple[TensorSpec, ...]:
        """All weights, in types as llama-quantize would mix them."""
        main, better, last = MIXES.get(self.quant, (self.quant,) * 3)
        rows = [TensorSpec("token_embd.weight", (self.embedding, self.vocab), main)]
        for layer in range(self.layers):
            half = better if layer % 2 == 0 else main
            rows += self._layer(layer, main, half)
        rows.append(TensorSpec("output_norm.weight", (self.embedding,)))
        if not self.tied:
            rows.append(TensorSpec("output.weight", (self.embedding, self.vocab), last))
        return (*(_storable(row) for row in rows), *self.more_tensors)

    def _layer(self, layer: int, main: str, half: str) -> Iterable[TensorSpec]:
        blk = f"blk.{layer}"
        heads, kv_heads = _at(self.heads, layer), _at(self.kv_heads, layer)
        width = self.head_dim or (self.embedding // heads if heads else 0)
        value_width = self.value_dim or width
        yield TensorSpec(f"{blk}.attn_norm.weight", (self.embedding,))
        if self.attention and kv_heads:
            yield TensorSpec(f"{blk}.attn_q.weight", (self.embedding, heads * width), main)
            yield TensorSpec(f"{blk}.attn_k.weight", (self.embedding, kv_heads * width), main)
            yield TensorSpec(f"{blk}.attn_v.weight", (self.embedding, kv_heads * value_width), half)
            yield TensorSpec(f"{blk}.attn_output.weight", (heads * value_width, self.embedding), main)
        if self.experts and layer >= self.dense_layers:
            yield from self._experts(blk, main, half)
        elif ff := _at(self.ff, layer):
            yield from self._feed_forward(blk, "", ff, main, half)

    def _experts(self, blk: str, main: str, half: str) -> Iterable[TensorSpec]:
        main, half = (self.expert_type, self.expert_type) if self.expert_type else (main, half)
        yield TensorSpec(f"{blk}.ffn_gate_inp.weight", (self.embedding, self.experts))
        for part in ("gate", "up"):
            yield TensorSpec(f"{blk}.ffn_{part}_exps.weight", (self.embedding, self.expert_ff, self.experts), main)
        yield TensorSpec(f"{blk}.ffn_down_exps.weight", (self.expert_ff, self.embedding, self.experts), half)
        if self.shared_ff:
            yield from self._feed_forward(blk, "_shexp", self.shared_ff, main, half)

    def _feed_forward(self, blk: str, suffix: str, ff: int, main: str, half: str) -> Iterable[TensorSpec]:
        yield TensorSpec(f"{blk}.ffn_norm.weight" if not suffix else f"{blk}.post_norm.weight", (self.embedding,))
        if self.gate:
            yield TensorSpec(f"{blk}.ffn_gate{suffix}.weight", (self.embedding, ff), main)
        yield TensorSpec(f"{blk}.ffn_up{suffix}.weight", (self.embedding, ff), main)
        yield TensorSpec(f"{blk}.ffn_down{suffix}.weight", (ff, self.embedding), half)

    def image(self, more: Mapping[str, object] | None = None) -> Image:
        return build(self.metadata() | dict(more or {}), self.tensors())


FALLBACKS = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0", "IQ4_XS": "IQ4_NL"}


def _storable(tensor: TensorSpec) -> TensorSpec:
    """Store rows that are no multiple of the block as llama-quantize does: in a type of smaller blocks."""
    block = TENSOR_TYPES[TYPE_NUMBERS[tensor.type]].block_elements
    if tensor.shape[0] % block == 0:
        return tensor
    fallback = FALLBACKS.get(tensor.type, "F16")
    return _storable(tensor._replace(type=fallback))


def _listed(value: int | tuple[int, ...]) -> object:
    return list(value) if isinstance(value, tuple) else value


def _at(value: int | Sequence[int], layer: int) -> int:
    return value if isinstance(value, int) else value[layer]


def shard_images(metadata: Mapping[str, object], tensors: Sequence[TensorSpec], count: int) -> list[Image]:
    """Split a model as `llama-gguf-split` does: the first shard has all keys, the others only `split.*`."""
    total = len(tensors)
    images: list[Image] = []
    for number in range(count):
        split: dict[str, object] = {
            "split.no": Typed(ValueType.UINT16, number),
            "split.count": Typed(ValueType.UINT16, count),
            "split.tensors.count": Typed(ValueType.INT32, total),
        }
        keys = {**metadata, **split} if number == 0 else split
        images.append(build(keys, tensors[number * total // count : (number + 1) * total // count]))
    return images


def shard_name(stem: str, number: int, count: int) -> str:
    return f"{stem}-{number:05d}-of-{count:05d}.gguf"
