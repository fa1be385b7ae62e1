"""How do we write down the shape of a published model, so that llama.cpp lists its tensors and we write its header?

Numbers are those of the model's `config.json`, keys those of llama.cpp's converters. llama.cpp makes every tensor
that a model of an architecture may have; what the published file has not is left out by `ABSENT`, unless `has` names
it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from claracore.core.gguf.types import ValueType
from zoo.synthetic import FILE_TYPE_NUMBERS, Shape, TensorSpec, Typed

ABSENT: Final = {
    "input scales": r"\.input_scale$",
    "scales": r"(attn_\w+|ffn_(gate|up|down|\w+_shexp|(gate_)?up_exps|gate_exps)|ssm_\w+|nextn\.\w+|output)\.scale$",
    "expert scales": r"(ffn_gate_inp|ffn_down_exps)\.scale$",
    "layer scales": r"layer_output_scale\.weight$",
    "qkv biases": r"attn_(q|k|v|qkv)\.bias$",
    "output biases": r"attn_output\.bias$",
    "feed-forward biases": r"ffn_(gate|up|down)\.bias$",
    "rope factors": r"^rope_(freqs|factors_\w+)\.",
    "classifier": r"^cls\.",
    "dense layers": r"^dense_",
    "older names": r"ssm_in\.weight$",
    "query norms": r"attn_[qk]_norm\.weight$",
    "query compression": r"attn_q_a|attn_q_b",
}
"""What a file has only if its shape names it."""
TEMPLATE: Final = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}"
    "{% if tools %}{{ tools | tojson }}{% endif %}"
)
EMBEDDER, RERANKER, CHAT = "embedder", "reranker", "chat"


@dataclass(frozen=True)
class Published:
    """One file of one model."""

    name: str
    """The file's name without `.gguf`."""
    source: str
    """Where its numbers are published: a repository of Hugging Face whose `config.json` has them."""
    shape: Shape
    has: tuple[str, ...] = ()
    """Keys of ABSENT whose tensors the file has."""
    joined: bool = False
    """Queries, keys and values are one tensor."""
    fused: bool = False
    """Gate and up of the experts are one tensor."""
    lacks: str = ""
    """A pattern of further tensors that the file has not."""
    serves: str = CHAT

    @property
    def file_type(self) -> int:
        """llama.cpp's number of the quantization."""
        return FILE_TYPE_NUMBERS[self.shape.quant]

    @property
    def without(self) -> list[str]:
        """Patterns of names of tensors that the file has not."""
        tied = [r"^output\.weight$"] if self.shape.tied else []
        lacks = [self.lacks] if self.lacks else []
        return [
            r"^output\.bias$",
            *tied,
            *lacks,
            *(pattern for name, pattern in ABSENT.items() if name not in self.has),
        ]

    def metadata(self) -> dict[str, object]:
        """All keys of the file; there is no vocabulary, only its size."""
        template = TEMPLATE if self.serves == CHAT else None
        shape = replace(self.shape, name=self.name, tokenizer="no_vocab", template=template)
        norms = {
            f"{shape.arch}.attention.layer_norm_rms_epsilon": 1e-5,
            f"{shape.arch}.attention.layer_norm_epsilon": 1e-5,
        }
        return norms | shape.metadata()


def published(
    name: str,
    source: str,
    *,
    has: tuple[str, ...] = (),
    joined: bool = False,
    fused: bool = False,
    lacks: str = "",
    **numbers: object,
) -> Published:
    """Return a file of a model that writes texts."""
    return Published(name, source, Shape(**numbers), has, joined, fused, lacks)


def reading(name: str, source: str, *, has: tuple[str, ...] = (), joined: bool = False, **numbers: object) -> Published:
    """Return a file of a model that makes embeddings, or ranks when it has a classifier."""
    serves = RERANKER if "classifier" in has else EMBEDDER
    return Published(name, source, Shape(**numbers), has, joined, serves=serves)


@dataclass(frozen=True)
class Projector:
    """A file that makes pictures or sound readable for a model."""

    name: str
    source: str
    keys: dict[str, object]
    tensors: tuple[TensorSpec, ...]

    def metadata(self) -> dict[str, object]:
        """All keys of the file."""
        general = {"general.architecture": "clip", "general.type": "mmproj", "general.name": self.name}
        return general | {"general.file_type": FILE_TYPE_NUMBERS["F16"]} | self.keys


def floats(*values: float) -> Typed:
    """Return an array of floats for a key."""
    return Typed(ValueType.FLOAT32, list(values))
