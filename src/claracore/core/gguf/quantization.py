"""What do people call the quantization of this file?

`general.file_type` is believed where the tensors do not contradict it, else the tensors name the quantization.
`refined` adds what only a file name can say (Unsloth's `UD-` mixes, `Q4_K_L`), when it is consistent with the rest.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from claracore.core.gguf.tensors import Tensor
from claracore.core.gguf.types import FILE_TYPES, TENSOR_TYPES

GUESSED: Final = 1024
"""Bit of `general.file_type`: llama.cpp guessed it from the tensors."""

FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16"})

PROJECTOR_ORDER: Final = ("F16", "BF16", "Q8_0", "F32")
"""When there are several projectors (mmproj) of one model: F16 runs everywhere, the rest in this order."""

PROJECTOR_WORDS: Final = re.compile(
    r"(?:^|[-_.])(?:mm-?proj(?:ector)?|clip|vision|encoder|model|vit|audio)(?=$|[-_.])", re.IGNORECASE
)
"""What the name of a projector's file says besides the name of its model and its quantization."""

FALLBACKS: Final[dict[str, frozenset[str]]] = {
    "Q2_K": frozenset({"Q3_K", "Q4_0", "IQ4_NL"}),
    "Q3_K": frozenset({"Q4_0", "IQ4_NL"}),
    "Q4_K": frozenset({"Q5_0"}),
    "Q5_K": frozenset({"Q5_1"}),
    "Q6_K": frozenset({"Q8_0"}),
    "IQ4_XS": frozenset({"IQ4_NL"}),
}
"""llama-quantize stores rows that are not a multiple of 256 elements in these types instead."""

NAME: Final = re.compile(
    r"(?<![A-Za-z0-9])"
    r"(?P<dynamic>UD[-_])?"
    r"(?P<quant>I?Q\d(?:_K(?:_(?:XXS|XS|S|M|L|XL|XXL|P))?|_[01]|_(?:XXS|XS|S|M|L|NL|XL)"
    r"|_[KM])?|TQ[12]_0|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32)"
    r"(?:_[48]_[48])?"
    r"(?![A-Za-z0-9])",
    re.IGNORECASE,
)
"""A quantization in a file name; the separators around it may be `-`, `_` or `.`."""


def quantization_of(file_type: object, tensors: Sequence[Tensor]) -> str:
    """Return the name, e.g. `Q4_K_M`, `IQ3_XXS`, `BF16`, `MXFP4`; `unknown` for a file without tensors."""
    by_number: defaultdict[int, int] = defaultdict(int)
    for _name, shape, number, _offset, count, _size in tensors:
        if len(shape) > 1:
            by_number[number] += count
    elements = {TENSOR_TYPES[number].name: count for number, count in by_number.items()}
    claimed = FILE_TYPES.get(file_type & ~GUESSED) if isinstance(file_type, int) else None
    if claimed is None or not _consistent(claimed, elements):
        return _from_tensors(elements, tensors) or claimed or "unknown"
    return claimed


def _consistent(claimed: str, elements: Mapping[str, int]) -> bool:
    if not elements:
        return False
    if claimed in FLOATS:
        # "Mostly F16" with most elements in MXFP4 is how gpt-oss is sometimes labelled.
        return max(elements, key=lambda name: elements[name]) == claimed
    if "IQ" in claimed or claimed.startswith(("Q2_K", "Q3_K")):
        # Mixes: the low-bit types appear under the name of their class.
        return any(name.startswith(("IQ", "Q2_K", "Q3_K", "Q4_K", "TQ")) for name in elements)
    base = re.sub(r"_[SML]$", "", claimed)
    return base in elements or bool(FALLBACKS.get(base, frozenset()) & elements.keys())


def _from_tensors(elements: Mapping[str, int], tensors: Iterable[Tensor]) -> str | None:
    if not elements:
        return None
    main = max(elements, key=lambda name: elements[name])
    if main in {"Q3_K", "Q4_K", "Q5_K"}:
        layers = (tensor for tensor in tensors if len(tensor.shape) > 1 and tensor.name.startswith("blk."))
        others = {TENSOR_TYPES[tensor.type].name for tensor in layers} - {main}
        return f"{main}_{_size_of_mix(main, others)}"
    return main


def _size_of_mix(main: str, others: set[str]) -> str:
    """S, M or L, from the types that llama-quantize mixes into the layers."""
    if main == "Q3_K":
        return "M" if "Q4_K" in others else "L" if "Q5_K" in others else "S"
    return "M" if "Q6_K" in others else "S"


@lru_cache(maxsize=4096)
def names_in(text: str) -> tuple[str, ...]:
    """Return the quantizations that a file name claims, in the usual spelling (`UD-Q4_K_XL`)."""
    return tuple(_spelled(match) for match in NAME.finditer(text))


def without_quantization(text: str) -> str:
    """Return `text` without names of quantizations and without the separators that stood around them."""
    parts = NAME.split(text)[:: NAME.groups + 1]
    return "-".join(part for part in (part.strip("-_. ") for part in parts) if part) if len(parts) > 1 else text


def _spelled(match: re.Match[str]) -> str:
    quant = match["quant"].upper().replace("FP16", "F16").replace("FP32", "F32")
    quant = {"MXFP4_MOE": "MXFP4"}.get(quant, quant)
    return f"UD-{quant}" if match["dynamic"] else quant


def refined(quantization: str, claims: Iterable[str]) -> str:
    """Return the file name's claim when it is a finer name for the same thing, else `quantization`.

    `UD-Q4_K_XL` needs the same number of bits; `Q4_K_L` the same family as `Q4_K_M`.
    """
    return next((claim for claim in claims if _finer(claim, quantization)), quantization)


def _finer(claim: str, quantization: str) -> bool:
    if quantization == "unknown":
        return True
    if claim.startswith("UD-"):
        return _bits(claim) == _bits(quantization)
    family = re.fullmatch(r"(I?Q\d)_K_(?:L|XL|XXL|P|XS|XXS)", claim)
    return family is not None and quantization.startswith(family[1])


def _bits(quantization: str) -> str:
    digits = re.search(r"\d+", quantization.replace("MXFP", "").replace("NVFP", ""))
    return digits[0] if digits else ""
