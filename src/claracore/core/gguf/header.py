"""What is in the header of a GGUF file?

Reads key/values and the tensor table from a seekable binary stream; never tensor data, never a whole vocabulary. Long
arrays are skipped in place and remembered by position (`Array`). What the values mean is `facts.py`'s business.

Laws of this file:
- Every length is checked against the size of the file and a sane limit before anything is read or allocated.
- Whatever is wrong with a file, the reader raises `GGUFError` and nothing else (the stream's `OSError` passes through).
- The window into the stream never grows beyond `MAX_TEXT`; the stream is read, not mapped, because a file that shrinks
  under a mapping (a restarted download) kills the process with SIGBUS.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, both byte orders.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO, Final

from claracore.core.gguf.array_cache import ArrayCache, Seen
from claracore.core.gguf.errors import GGUFError, HeaderTruncated, NotGGUF
from claracore.core.gguf.tensors import ByteOrder, Tensor, read_tensors
from claracore.core.gguf.types import SCALAR_FORMATS, ValueType
from claracore.core.gguf.window import Window

MAX_KEYS: Final = 1 << 16
MAX_KEY: Final = 1 << 16
MAX_TEXT: Final = 1 << 21
"""Longer strings are not decoded but remembered by position, like long arrays."""
MAX_TENSORS: Final = 1 << 16
MAX_STRINGS: Final = 1 << 23
"""Elements of all arrays of strings together; the largest vocabularies have 2^18, and as many merges."""
ARRAY_WEIGHT: Final = 64
"""A nested array takes so many times longer to skip than a string."""
MAX_KEPT: Final = 1 << 24
"""Bytes of all strings and small arrays that are decoded."""
MAX_NESTING: Final = 4
VALUES_KEPT: Final = 1024
"""Arrays of at most so many numbers (per-layer settings) or `TEXTS_KEPT` strings (tags, labels) are decoded."""
TEXTS_KEPT: Final = 64
SAMPLE: Final = 256
BATCH: Final = 128
"""Strings skipped in one step, where all of them are short: words of a vocabulary are."""
DEFAULT_ALIGNMENT: Final = 32


Scalar = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Array:
    """An array (or a string longer than `MAX_TEXT`, as array of bytes): decoded when small, else only its position."""

    element: ValueType
    count: int
    offset: int
    """Position in the file of the first element."""
    size: int
    """Bytes of all elements, with the length prefixes of strings."""
    values: tuple[Scalar, ...] | None = None


Value = Scalar | Array


@dataclass(frozen=True, slots=True)
class Header:
    """Key/values and tensor table of one file."""

    version: int
    byte_order: ByteOrder
    metadata: Mapping[str, Value]
    tensors: tuple[Tensor, ...]
    data_offset: int
    file_size: int
    missing_bytes: int
    """Tensor data that the table promises beyond the end of the file: more than 0 means a truncated file."""


def read_header(stream: BinaryIO, *, size: int, seen: ArrayCache | None = None) -> Header:
    """Read the header of the GGUF file of `size` bytes in `stream`.

    Pass the same `seen` for many files to walk each vocabulary only once. Raises `GGUFError`.
    """
    try:
        return _HeaderReader(stream, size, seen).read()
    except (struct.error, UnicodeDecodeError, OverflowError, IndexError) as error:
        raise GGUFError(f"malformed GGUF header: {error}") from error


class _HeaderReader(Window):
    def __init__(self, stream: BinaryIO, size: int, seen: ArrayCache | None) -> None:
        super().__init__(stream, size)
        self.seen = seen
        self.byte_order: ByteOrder = "little"
        self.walked = 0
        self.kept = 0
        self.structs = _structs("<")
        self.u32 = self.structs[ValueType.UINT32].unpack_from
        self.u64 = self.structs[ValueType.UINT64].unpack_from

    def read(self) -> Header:
        version = self._preamble()
        tensor_count = self._count(MAX_TENSORS, "tensors")
        key_count = self._count(MAX_KEYS, "keys")
        metadata: dict[str, Value] = {}
        for left in range(key_count, 0, -1):
            key = self._text(MAX_KEY, "key")
            if not key or key in metadata:
                raise GGUFError(f"key {key!r} is {'empty' if not key else 'there twice'}")
            metadata[key] = self._value(key, followed=left > 1)
        alignment = _alignment(metadata)
        tensors, data_end = read_tensors(self, tensor_count, alignment, self.byte_order)
        data_offset = -(-self.position // alignment) * alignment
        missing = max(0, data_offset + data_end - self.size) if tensors else 0
        return Header(version, self.byte_order, metadata, tensors, data_offset, self.size, missing)

    def _preamble(self) -> int:
        if self.size < 4 or self.take(4) != b"GGUF":
            raise NotGGUF("the file does not begin with GGUF")
        raw = self.take(4)
        version = int.from_bytes(raw, "little")
        if version & 0xFFFF == 0:
            self.byte_order, version = "big", int.from_bytes(raw, "big")
            self.structs = _structs(">")
            self.u32 = self.structs[ValueType.UINT32].unpack_from
            self.u64 = self.structs[ValueType.UINT64].unpack_from
        if version not in {2, 3}:
            raise GGUFError(f"GGUF version {version} is not supported (2 and 3 are)")
        return version

    def _number32(self) -> int:
        self.need(4)
        self.at += 4
        number: int = self.u32(self.buffer, self.at - 4)[0]
        return number

    def _number64(self) -> int:
        self.need(8)
        self.at += 8
        number: int = self.u64(self.buffer, self.at - 8)[0]
        return number

    def _count(self, limit: int, what: str) -> int:
        count = self._number64()
        if count > limit:
            raise GGUFError(f"{count} {what} at byte {self.position - 8} are more than the limit of {limit}")
        return count

    def _text(self, limit: int, what: str) -> str:
        return self.take(self._count(limit, f"bytes of {what}")).decode()

    def _value_type(self) -> ValueType:
        number = self._number32()
        try:
            return ValueType(number)
        except ValueError as error:
            raise GGUFError(f"value type {number} at byte {self.position - 4} does not exist") from error

    def _value(self, key: str, *, followed: bool) -> Value:
        kind = self._value_type()
        if kind is ValueType.STRING:
            return self._string_value()
        if kind is ValueType.ARRAY:
            return self._array(key, followed=followed)
        packed = self.structs[kind]
        value: Scalar = packed.unpack(self.take(packed.size))[0]
        return value

    def _string_value(self) -> Value:
        length = self._number64()
        if length > MAX_TEXT:
            offset = self.position
            self.skip(length)
            return Array(ValueType.UINT8, length, offset, length)
        self._keep(length)
        return self.take(length).decode(errors="replace")

    def _array(self, key: str, *, followed: bool, depth: int = 0) -> Array:
        element = self._value_type()
        count = self._number64()
        offset = self.position
        if element is ValueType.STRING and count <= TEXTS_KEPT:
            texts = tuple(self._string_value() for _ in range(count))
            values = tuple(text for text in texts if isinstance(text, str))
            kept = values if len(values) == len(texts) else None
            return Array(element, count, offset, self.position - offset, kept)
        if element in {ValueType.STRING, ValueType.ARRAY}:
            self.walked += count if element is ValueType.STRING else count * ARRAY_WEIGHT
            if self.walked > MAX_STRINGS:
                raise GGUFError(f"array {key!r} claims {count} elements at byte {offset}")
            if count * 8 > self.size - offset:
                raise HeaderTruncated(f"array {key!r} claims {count} elements at byte {offset}, more than can follow")
            if element is ValueType.STRING:
                self._skip_known_strings(key, count, followed=followed)
            else:
                self._skip_arrays(key, count, depth)
            return Array(element, count, offset, self.position - offset)
        packed = self.structs[element]
        size = count * packed.size
        if count > VALUES_KEPT:
            self.skip(size)
            return Array(element, count, offset, size)
        self._keep(size)
        raw = self.take(size)
        return Array(element, count, offset, size, tuple(value for (value,) in packed.iter_unpack(raw)))

    def _keep(self, size: int) -> None:
        """Count what will stay in memory, so that many keys cannot fill it either."""
        self.kept += size
        if self.kept > MAX_KEPT:
            raise GGUFError(f"the metadata is larger than {MAX_KEPT} bytes, without its long arrays")

    def _skip_arrays(self, key: str, count: int, depth: int) -> None:
        if depth >= MAX_NESTING:
            raise GGUFError(f"array {key!r} is nested deeper than {MAX_NESTING} levels")
        for _ in range(count):
            self._array(key, followed=False, depth=depth + 1)

    def _skip_known_strings(self, key: str, count: int, *, followed: bool) -> None:
        """Skip `count` strings: in one step when an earlier file had the same array, else one by one."""
        offset = self.position
        if self.seen is None or not followed:
            self._skip_strings(count)
            return
        self.need(min(SAMPLE, self.size - offset))
        head = self.buffer[self.at : self.at + SAMPLE]
        for earlier in self.seen.candidates(key, count, head):
            if self._ends_with(offset + earlier.size, earlier.tail):
                return
        self.jump(offset)
        self._skip_strings(count)
        end = self.position
        self.jump(max(offset, end - SAMPLE))
        self.seen.remember(key, count, head, Seen(end - offset, self.take(end - self.position)))

    def _ends_with(self, end: int, tail: bytes) -> bool:
        """Whether the array can end at `end`: the same last bytes, then a key and a value type. If so, go there."""
        if end + 8 > self.size:
            return False
        self.jump(end - len(tail))
        if self.take(len(tail)) != tail:
            return False
        length = self._number64()
        if not 0 < length <= 256 or end + 12 + length > self.size:
            return False
        plausible = KEY.fullmatch(self.take(length)) and self._number32() <= ValueType.FLOAT64
        self.jump(end)
        return bool(plausible)

    def _skip_strings(self, count: int) -> None:
        """Skip strings one by one: the hot loop of a first scan, 40 ns each."""
        short = _short_strings() if count >= BATCH and self.byte_order == "little" else None
        left = count
        while left:
            self.need(8)
            if short is not None and left >= BATCH and (found := short.match(self.buffer, self.at)):
                left -= BATCH
                self.at = found.end()
            else:
                left -= self._skip_some_strings(min(left, BATCH))

    def _skip_some_strings(self, count: int) -> int:
        """Skip up to `count` strings of any length; return how many, one at least."""
        unpack, buffer, at, done = self.u64, self.buffer, self.at, 0
        try:
            for done in range(count):  # noqa: B007 - how many were done when the window ended
                at += 8 + unpack(buffer, at)[0]
            done = count
        except (struct.error, OverflowError):
            # The next length lies beyond the window; `skip` notices when it lies beyond the file.
            pass
        self.skip(at - self.at)
        return done


KEY: Final = re.compile(rb"[A-Za-z0-9_.\-/]+")


@cache
def _short_strings() -> re.Pattern[bytes]:
    """Match `BATCH` strings of at most 64 bytes, each with its length before it: the same loop, in C."""
    usual_first = sorted(range(65), key=lambda length: abs(length - 6))
    strings = b"|".join(b"\\x%02x\\0{7}.{%d}" % (length, length) for length in usual_first)
    return re.compile(b"(?:%b){%d}" % (strings, BATCH), re.DOTALL)


@cache
def _structs(mark: str) -> dict[int, struct.Struct]:
    return {kind: struct.Struct(mark + letter) for kind, letter in SCALAR_FORMATS.items()}


def _alignment(metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if isinstance(alignment, bool) or not isinstance(alignment, int):
        raise GGUFError("general.alignment is not a number")
    if not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
        raise GGUFError(f"general.alignment {alignment} is not a power of two")
    return alignment
