"""What people call a quantization: from `general.file_type`, from the tensors, and where they disagree."""

from __future__ import annotations

import pytest

from claracore.core.gguf.quantization import GUESSED, quantization_of
from claracore.core.gguf.tensors import Tensor
from claracore.core.gguf.types import FILE_TYPES
from zoo.synthetic import FILE_TYPE_NUMBERS, MIXES, TYPE_NUMBERS, Shape


def tensors(*types: str) -> list[Tensor]:
    """Matrices of layers, each of the first type a hundred times larger than the next."""
    return [Tensor(f"blk.{n}.w", (256, 2), TYPE_NUMBERS[name], 0, 100 ** (5 - n), 1) for n, name in enumerate(types)]


@pytest.mark.parametrize("quant", sorted(set(FILE_TYPES.values())))
def test_every_file_type_is_believed_when_the_tensors_agree(quant: str) -> None:
    main = MIXES.get(quant, (quant.removesuffix("_S").removesuffix("_M"),))[0]
    weights = tensors({"IQ3_XS": "IQ3_S", "IQ2": "IQ2_XS", "IQ3": "IQ3_S", "IQ1": "IQ1_S"}.get(main, main))
    assert quantization_of(FILE_TYPE_NUMBERS[quant], weights) == quant
    assert quantization_of(FILE_TYPE_NUMBERS[quant] | GUESSED, weights) == quant


@pytest.mark.parametrize("quant", sorted(set(MIXES) - {"IQ1_M", "IQ2_M", "IQ3_M", "IQ3_XS", "Q5_K_S", "Q2_K"}))
def test_without_a_file_type_the_tensors_tell(quant: str) -> None:
    shape = Shape("llama", 4, 512, 8, 2, 1024, 512, 64, quant)
    rows = [
        Tensor(row.name, row.shape, TYPE_NUMBERS[row.type], 0, row.shape[0] * row.shape[-1], 1)
        for row in shape.tensors()
    ]
    assert quantization_of(None, rows) == quant


@pytest.mark.parametrize(
    ("claimed", "types", "expected"),
    [
        ("F16", ["MXFP4", "F16"], "MXFP4"),
        ("BF16", ["F16"], "F16"),
        ("Q4_K_M", ["MXFP4", "Q4_K"], "Q4_K_M"),
        ("Q4_K_M", ["Q8_0"], "Q8_0"),
        ("Q4_K_M", ["Q5_0", "Q8_0"], "Q4_K_M"),
        ("Q6_K", ["Q8_0"], "Q6_K"),
        ("Q8_0", ["F16"], "F16"),
        ("IQ2_XXS", ["F32"], "F32"),
    ],
)
def test_a_false_label_is_corrected(claimed: str, types: list[str], expected: str) -> None:
    assert quantization_of(FILE_TYPE_NUMBERS[claimed], tensors(*types)) == expected


@pytest.mark.parametrize("label", [None, 999, "Q4_K_M", True, -1])
def test_strange_labels_are_passed_over(label: object) -> None:
    assert quantization_of(label, tensors("Q4_0")) in {"Q4_0", "F16"}
    assert quantization_of(None, []) == "unknown"


def test_vectors_do_not_count() -> None:
    vector = Tensor("blk.0.norm.weight", (1 << 20,), 0, 0, 1 << 20, 1 << 22)
    assert quantization_of(None, [vector, *tensors("Q4_0")]) == "Q4_0"
