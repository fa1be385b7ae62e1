"""Which tensors does a GGUF file have, and where does the data of each stand?

The table behind the key/values: for each tensor its name, shape, type and place. Every length is checked against a sane
limit and the size of the file before anything is read.
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache, partial
from operator import attrgetter
from typing import Final, Literal, NamedTuple

from claracore.core.gguf.errors import GGUFError, HeaderTruncated
from claracore.core.gguf.types import TENSOR_TYPES
from claracore.core.gguf.window import Window

MAX_TENSOR_NAME: Final = 1 << 10
MAX_DIMENSIONS: Final = 4
MAX_TENSOR_ROW: Final = 8 + MAX_TENSOR_NAME + 4 + 8 * MAX_DIMENSIONS + 4 + 8
MAX_ELEMENTS: Final = 1 << 62

ByteOrder = Literal["little", "big"]


class Tensor(NamedTuple):
    """One row of the tensor table."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int
    """From `Header.data_offset`."""
    elements: int
    size: int
    """Bytes of data, without padding."""


def read_tensors(window: Window, count: int, alignment: int, byte_order: ByteOrder) -> tuple[tuple[Tensor, ...], int]:
    """Read `count` rows of the table, and where their data ends, counted from `Header.data_offset`.

    Raises `GGUFError`.
    """
    tensors: list[Tensor] = []
    data_end = 0
    try:
        while len(tensors) < count:
            window.refill(MAX_TENSOR_ROW)
            data_end = max(data_end, _tensors_in_window(window, tensors, count, alignment, byte_order))
    except (struct.error, IndexError) as error:
        raise HeaderTruncated(f"the file ends at byte {window.size}, inside its table of tensors") from error
    if len(set(map(_NAME, tensors))) != len(tensors):
        raise GGUFError("a tensor name is there twice")
    return tuple(tensors), data_end


def _tensors_in_window(window: Window, tensors: list[Tensor], count: int, alignment: int, byte_order: ByteOrder) -> int:
    """Read rows of the table until less than the largest row is left in the window (but one at least).

    A hot loop: a library has more tensors than anything else. Returns where the data of these rows ends. Raises
    `struct.error` or `IndexError` when the file ends in a row.
    """
    layout, low, u64 = _LAYOUTS[byte_order]
    new_tensor = tuple.__new__  # what the class itself calls, with one call less
    buffer, at, end = window.buffer, window.at, 0
    last = max(at, len(buffer) - MAX_TENSOR_ROW)
    while at <= last and len(tensors) < count:
        length = u64(buffer, at)[0]
        if length > MAX_TENSOR_NAME:
            raise GGUFError(f"a tensor name of {length} bytes at byte {window.start + at} is over the limit")
        begin, at = at + 8, at + 8 + length
        name = buffer[begin:at].decode()
        begin, at = at, at + 8 + 8 * buffer[at + low]
        try:
            shape, kind, elements, size = layout(buffer[begin:at])
        except GGUFError as error:
            raise GGUFError(f"tensor {name!r} {error}") from error
        offset = u64(buffer, at)[0]
        at += 8
        if offset % alignment or offset > MAX_ELEMENTS:
            raise GGUFError(f"tensor {name!r} starts at {offset}, which is not aligned to {alignment}")
        if offset + size > end:  # noqa: PLR1730 - a call would take longer
            end = offset + size
        tensors.append(new_tensor(Tensor, (name, shape, kind, offset, elements, size)))
    window.at = at
    return end


_NAME: Final = attrgetter("name")


def _layout(row: bytes, mark: str) -> tuple[tuple[int, ...], int, int, int]:
    """Return shape, type, elements and bytes of a tensor; `row` is what stands between its name and its offset.

    Raises `GGUFError`; `struct.error` when the row is too short.
    """
    dimensions: int = struct.unpack_from(f"{mark}I", row)[0]
    if dimensions > MAX_DIMENSIONS:
        raise GGUFError(f"has {dimensions} dimensions; {MAX_DIMENSIONS} is the limit")
    *shape, kind = struct.unpack_from(f"{mark}4x{'Q' * dimensions}I", row)
    tensor_type = TENSOR_TYPES.get(kind)
    if tensor_type is None:
        raise GGUFError(f"is of type {kind}, which is not known")
    elements = math.prod(shape)
    if elements > MAX_ELEMENTS:
        raise GGUFError(f"has the shape {tuple(shape)}, which is too large to be true")
    if shape and shape[0] % tensor_type.block_elements:
        raise GGUFError(f"has rows of {shape[0]} elements, which cannot be stored as {tensor_type.name}")
    return tuple(shape), kind, elements, elements // tensor_type.block_elements * tensor_type.block_bytes


# Cached: the same few shapes occur in every layer. With each, where the low byte of the number of dimensions stands,
# and how a length is read.
_LAYOUTS: Final = {
    "little": (lru_cache(maxsize=4096)(partial(_layout, mark="<")), 0, struct.Struct("<Q").unpack_from),
    "big": (lru_cache(maxsize=4096)(partial(_layout, mark=">")), 3, struct.Struct(">Q").unpack_from),
}
