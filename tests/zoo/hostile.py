"""Small crafted files that a reader must refuse, each with a word of the message that says why.

A corpus rather than many tests: one row, one way to be wrong.
"""

from __future__ import annotations

import struct

from claracore.core.gguf.types import ValueType
from zoo.synthetic import Raw, TensorSpec, Typed, build, text_bytes, value_bytes

GOOD = build({"general.architecture": "llama", "llama.block_count": 1}, [TensorSpec("a.weight", (32, 2))])
HEAD = b"GGUF" + struct.pack("<I", 3)


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def keys(*pairs: bytes, tensors: int = 0, count: int | None = None) -> bytes:
    return HEAD + u64(tensors) + u64(len(pairs) if count is None else count) + b"".join(pairs)


def key(name: str, value: object) -> bytes:
    return text_bytes(name) + value_bytes(value)


def raw_key(name: str, body: bytes) -> bytes:
    return text_bytes(name) + body


def array(element: int, count: int, body: bytes = b"") -> bytes:
    return u32(ValueType.ARRAY) + u32(element) + u64(count) + body


def row(name: str | bytes, dimensions: int, *shape: int, kind: int = 0, offset: int = 0) -> bytes:
    return text_bytes(name) + u32(dimensions) + b"".join(map(u64, shape)) + u32(kind) + u64(offset)


def table(*rows: bytes, **metadata: object) -> bytes:
    pairs = [key(name.replace("__", "."), value) for name, value in metadata.items()]
    return keys(*pairs, tensors=len(rows)) + b"".join(rows) + bytes(4096)


HUGE = (1 << 64) - 1
DEEP = array(ValueType.ARRAY, 1) + (u32(ValueType.ARRAY) + u64(1)) * 64 + u32(0) + u64(1) + b"\0"

HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "does not begin"),
    "one byte": (b"G", "does not begin"),
    "magic only": (b"GGUF", "ends"),
    "other magic": (b"GGML" + bytes(64), "does not begin"),
    "lower-case magic": (b"gguf" + bytes(64), "does not begin"),
    "a zip file": (b"PK\x03\x04" + bytes(64), "does not begin"),
    "a web page": (b"<!DOCTYPE html><html>Not found</html>", "does not begin"),
    "a git lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "does not begin"),
    "version 0": (b"GGUF" + u32(0) + bytes(16), "version"),
    "version 1": (b"GGUF" + u32(1) + bytes(16), "version 1"),
    "version 4": (b"GGUF" + u32(4) + bytes(16), "version 4"),
    "version of all ones": (b"GGUF" + u32(0xFFFFFFFF) + bytes(16), "version"),
    "big-endian version 9": (b"GGUF" + struct.pack(">I", 9) + bytes(16), "version 9"),
    "cut in the version": (b"GGUF\x03\0", "ends"),
    "cut in the counts": (HEAD + u64(1) + b"\1\0", "ends"),
    "2^64-1 keys": (HEAD + u64(0) + u64(HUGE), "limit"),
    "2^64-1 tensors": (HEAD + u64(HUGE) + u64(0), "limit"),
    "2^63 keys": (HEAD + u64(0) + u64(1 << 63), "limit"),
    "keys promised, none there": (HEAD + u64(0) + u64(5), "ends"),
    "tensors promised, none there": (HEAD + u64(5) + u64(0), "ends"),
    "key of 2^64-1 bytes": (keys(u64(HUGE)), "limit"),
    "key longer than the file": (keys(u64(60_000) + b"abc"), "ends"),
    "empty key": (keys(key("", 1)), "empty"),
    "key that is not UTF-8": (keys(u64(2) + b"\xff\xfe" + value_bytes(1)), "utf-8"),
    "key there twice": (keys(key("a", 1), key("a", 2)), "twice"),
    "value type 13": (keys(raw_key("a", u32(13) + bytes(8))), "value type 13"),
    "value type 2^32-1": (keys(raw_key("a", u32(0xFFFFFFFF))), "value type"),
    "no value": (keys(text_bytes("a")), "ends"),
    "half a number": (keys(raw_key("a", u32(ValueType.UINT64) + b"\1\2\3")), "ends"),
    "string longer than the file": (keys(raw_key("a", u32(ValueType.STRING) + u64(1 << 40))), "ends|skipped"),
    "string of 2^64-1 bytes": (keys(raw_key("a", u32(ValueType.STRING) + u64(HUGE))), "ends|skipped"),
    "string cut": (keys(raw_key("a", u32(ValueType.STRING) + u64(50) + b"short")), "ends"),
    "array of no type": (keys(raw_key("a", array(99, 1) + bytes(8))), "value type 99"),
    "array of 2^64-1 numbers": (keys(raw_key("a", array(ValueType.UINT8, HUGE))), "ends|skipped"),
    "array of 2^61 doubles": (keys(raw_key("a", array(ValueType.FLOAT64, 1 << 61))), "ends|skipped"),
    "array of 2^40 strings": (keys(raw_key("a", array(ValueType.STRING, 1 << 40))), "claims"),
    "array of more strings than bytes": (keys(raw_key("a", array(ValueType.STRING, 1000) + bytes(99))), "claims"),
    "array of 2^40 arrays": (keys(raw_key("a", array(ValueType.ARRAY, 1 << 40))), "claims"),
    "array cut": (keys(raw_key("a", array(ValueType.INT32, 10) + bytes(12))), "ends"),
    "long array cut": (keys(raw_key("a", array(ValueType.INT32, 5000) + bytes(12))), "ends|skipped"),
    "string array with a wild length": (
        keys(raw_key("a", array(ValueType.STRING, 100) + u64(HUGE) + bytes(2000))),
        "skipped|ends",
    ),
    "string array with a length just past the end": (
        keys(raw_key("a", array(ValueType.STRING, 100) + bytes(8 * 99) + u64(9) + b"12345678")),
        "skipped|ends",
    ),
    "short string array with a wild length": (
        keys(raw_key("a", array(ValueType.STRING, 2) + u64(HUGE) + bytes(64))),
        "ends|skipped",
    ),
    "arrays nested 64 deep": (keys(raw_key("a", DEEP)), "nested"),
    "arrays of very many arrays": (
        keys(raw_key("a", array(ValueType.ARRAY, (1 << 17) + 1) + bytes(12 * (1 << 17)))),
        "claims",
    ),
    "alignment 0": (table(row("a", 1, 32), general__alignment=0), "power of two"),
    "alignment 3": (table(row("a", 1, 32), general__alignment=3), "power of two"),
    "alignment 2^31": (table(row("a", 1, 32), general__alignment=1 << 31), "power of two"),
    "alignment as text": (table(row("a", 1, 32), general__alignment="32"), "not a number"),
    "alignment true": (table(row("a", 1, 32), general__alignment=True), "not a number"),
    "alignment as a fraction": (table(row("a", 1, 32), general__alignment=32.0), "not a number"),
    "tensor of 5 dimensions": (table(row("a", 5, 1, 1, 1, 1, 1)), "5 dimensions"),
    "tensor of 2^32-1 dimensions": (table(row("a", 0xFFFFFFFF)), "dimensions"),
    "tensor name of 1 GB": (keys(tensors=1) + u64(1 << 30), "limit"),
    "tensor name that is not UTF-8": (table(row(b"\xc3\x28", 1, 32)), "utf-8"),
    "tensor there twice": (table(row("a", 1, 32), row("a", 1, 32, offset=128)), "twice"),
    "tensor of type 4 (removed)": (table(row("a", 1, 32, kind=4)), "type 4"),
    "tensor of type 2^32-1": (table(row("a", 1, 32, kind=0xFFFFFFFF)), "type"),
    "tensor not aligned": (table(row("a", 1, 32, offset=7)), "aligned"),
    "tensor at 2^64-32": (table(row("a", 1, 32, offset=HUGE - 31)), "aligned"),
    "tensor of 2^128 elements": (table(row("a", 2, HUGE, HUGE)), "too large"),
    "tensor of 2^63 elements": (table(row("a", 2, 1 << 32, 1 << 31)), "too large"),
    "tensor row that is no whole block": (table(row("a", 2, 31, 2, kind=2)), "rows of 31"),
    "tensor table cut": (keys(tensors=2) + row("a", 1, 32), "ends"),
    "cut in a shape": (keys(tensors=1) + text_bytes("a") + u32(2) + u64(4), "ends"),
}
"""Name -> (bytes, pattern of the message)."""

TOLERATED: dict[str, bytes] = {
    "no keys, no tensors": HEAD + u64(0) + u64(0),
    "rubbish after the header": GOOD.header + bytes(GOOD.data_size) + b"rubbish",
    "string that is not UTF-8": keys(key("a", b"\xff\xfe")),
    "empty string": keys(key("a", "")),
    "empty arrays": keys(key("a", []), key("b", Typed(ValueType.STRING, []))),
    "tensor of no dimensions": table(row("a", 0)),
    "tensor of no elements": table(row("a", 2, 0, 5)),
    "nested arrays": keys(raw_key("a", array(ValueType.ARRAY, 2) + (u32(0) + u64(1) + b"\1") * 2)),
    "bool of 7": keys(raw_key("a", u32(ValueType.BOOL) + b"\7")),
    "raw value": keys(key("a", Raw(u32(ValueType.UINT8) + b"\1"))),
}
"""Odd, but readable."""
