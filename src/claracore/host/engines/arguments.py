"""What does the argument of a llama-server flag stand for?

A function a kind of argument: text in, the value of a field of `xllamacpp.CommonParams` out. Each raises ValueError
with what is wrong, as the end of a sentence that begins with the flag.

Imports nothing heavy: it is on the way of every model's start.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Convert = Callable[[str], object]


def choice(**values: object) -> Convert:
    """Accept one of these words (`_` stands for `-`)."""

    def convert(text: str) -> object:
        if text not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return values[text]

    return convert


def between(low: int, high: int, named: Mapping[str, int] = {}) -> Convert:
    """Accept a whole number in this range, or one of these words."""

    def convert(text: str) -> int:
        if text in named:
            return named[text]
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"must be a whole number{''.join(f' or {word}' for word in named)}") from None
        if not low <= number <= high:
            raise ValueError(f"must be between {low} and {high}")
        return number

    return convert


def number(text: str) -> float:
    """Accept a number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("must be a number") from None


def words(text: str) -> list[str]:
    """Accept a comma-separated list."""
    return [word for word in text.split(",") if word]


def unique(text: str) -> set[str]:
    """Accept a comma-separated set."""
    return set(words(text))


def shares(text: str) -> list[float]:
    """Accept the proportions of --tensor-split, separated by comma or slash; xllamacpp wants exactly 128."""
    given = [number(part) for part in text.replace("/", ",").split(",")]
    return (given + [0.0] * 128)[:128]


def mebibytes(text: str) -> list[int]:
    """Accept one size in MiB for all devices, or a comma-separated list; xllamacpp wants exactly 128, in bytes."""
    given = [int(number(part)) << 20 for part in text.split(",")]
    return (given + [given[-1]] * 128)[:128]


def lora(text: str) -> list[tuple[str, float]]:
    """Accept `FILE[,FILE...]` of adapters at full scale."""
    return [(path, 1.0) for path in words(text)]


def scaled_lora(text: str) -> list[tuple[str, float]]:
    """Accept `FILE:SCALE[,FILE:SCALE...]`."""
    parts = [part.rpartition(":") for part in words(text)]
    if not all(path for path, _, _ in parts):
        raise ValueError("must be FILE:SCALE")
    return [(path, number(scale)) for path, _, scale in parts]


def template_arguments(text: str) -> dict[str, str]:
    """Accept a JSON object; each value is kept as JSON text, as llama-server does."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ValueError('must be a JSON object such as {"enable_thinking":false}')  # noqa: TRY004 - the parser expects it
    return {key: json.dumps(inner) for key, inner in value.items()}


def file_text(text: str) -> str:
    """Accept a file and stand for its content."""
    try:
        with open(text, encoding="utf-8") as file:  # noqa: PTH123 - importing pathlib costs every start 4 ms
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read: {error}") from None


def experts_on_cpu(count: str) -> str:
    """Stand for the tensors of the experts of the first `count` layers."""
    return on_cpu(count, EXPERTS)


def dense_on_cpu(count: str) -> str:
    """Stand for the tensors of the dense feed-forward networks of the first `count` layers."""
    return on_cpu(count, DENSE)


def on_cpu(count: str, tensors: str) -> str:
    """Stand for these tensors of the first `count` layers."""
    layers = range(int(str(between(0, 10_000)(count))))
    return ",".join(rf"blk\.{layer}{tensors}=CPU" for layer in layers)


INT = between(-(2**31), 2**31 - 1)
COUNT = between(0, 2**31 - 1)
EXPERTS = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""The tensors that --cpu-moe keeps in RAM; llama.cpp's LLM_FFN_EXPS_REGEX."""
DENSE = r"\.ffn_(up|down|gate)\."
"""Those of --n-cpu-ffn; llama.cpp's LLM_FFN_DENSE_REGEX."""

GPU_LAYERS = between(-2, 2**31 - 1, {"auto": -1, "all": -2})
CACHE_TYPE = choice(f32=0, f16=1, bf16=30, q8_0=8, q4_0=2, q4_1=3, iq4_nl=20, q5_0=6, q5_1=7)
"""The numbers are ggml.h's `enum ggml_type`; llama.cpp allows these for the cache."""
ON_OFF_AUTO = choice(on=1, off=0, auto=-1, enabled=1, disabled=0, true=1, false=0)
ON_OFF = choice(on=True, off=False, enabled=True, disabled=False, true=True, false=False)
PRIORITY = between(-1, 3, {"low": -1, "normal": 0, "medium": 1, "high": 2, "realtime": 3})
SPECULATION = {"none": 0, "draft-simple": 1, "draft-eagle3": 2, "draft-mtp": 3, "ngram-simple": 6, "ngram-map-k": 7,
               "ngram-map-k4v": 8, "ngram-mod": 9, "ngram-cache": 10}  # fmt: skip
"""The numbers are llama.cpp's `enum common_speculative_type`."""


def speculation(text: str) -> list[int]:
    """Accept a comma-separated list of kinds of speculative decoding."""
    try:
        return [SPECULATION[word] for word in words(text)]
    except KeyError:
        raise ValueError(f"must be of {', '.join(SPECULATION)}") from None
