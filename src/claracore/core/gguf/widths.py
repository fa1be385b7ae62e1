"""How wide are the matrices of a model's layers, and how large are the largest of them?

llama.cpp's buffers for computing hold what these matrices put out, and where weights lie in RAM beside a GPU, one of
the matrices at a time as well (`core.fit.compute`). Shapes are taken from the tensors and not from the keys, which name
other widths in some architectures (granite's experts, gated queries of qwen3next).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ROLES: Final = (
    "ffn_up", "ffn_gate", "ffn_gate_up", "ffn_down", "ffn_up_exps", "ffn_gate_exps", "ffn_gate_up_exps",
    "ffn_down_exps", "ffn_up_shexp", "attn_q", "attn_q_b", "attn_norm", "attn_output_norm", "ffn_norm",
    "post_attention_norm", "ssm_in", "ssm_conv1d", "ssm_out",
)  # fmt: skip
"""Matrices of a layer, as GGUF names them."""
ROLE_OF: Final = {f"{role}.weight": number for number, role in enumerate(ROLES)}


@dataclass(frozen=True, slots=True)
class Widths:
    """Elements per token in the widest layer; bytes of the largest single matrix. 0: there is none."""

    feed_forward: int = 0
    """Inside the feed-forward part of a layer without experts."""
    gated: bool = False
    """It has a gate beside: three times the width is alive at once."""
    expert: int = 0
    """Inside one routed expert."""
    experts_gated: bool = True
    shared_expert: int = 0
    query: int = 0
    """What attention asks with, and its gate if it has one."""
    normalized_after: bool = False
    """Layers normalize what they put out instead of what they get (BERT)."""
    parallel: bool = False
    """Attention and the feed-forward part get the same normalized stream, and are added (Command R)."""
    recurrent_in: int = 0
    """What a recurrent layer makes of the stream before its convolution, where one matrix makes it all."""
    convolution: int = 0
    recurrent_out: int = 0
    entering_bytes: int = 0
    """The largest matrix by which the stream enters the feed-forward part, and that by which it leaves."""
    leaving_bytes: int = 0
    expert_entering_bytes: int = 0
    expert_leaving_bytes: int = 0


class WidthsSeen:
    """Collects the largest matrix of each role."""

    def __init__(self) -> None:
        self.sizes = [0] * len(ROLES)
        self.shapes: list[Sequence[int]] = [()] * len(ROLES)

    def out(self, role: str) -> int:
        """Return how many elements per token the largest matrix of this role puts out."""
        shape = self.shapes[ROLE_OF[f"{role}.weight"]]
        return shape[1] if len(shape) > 1 else 0

    def inner(self, role: str) -> int:
        """Return how many elements per token it takes in."""
        shape = self.shapes[ROLE_OF[f"{role}.weight"]]
        return shape[0] if shape else 0

    def size(self, *roles: str) -> int:
        """Return the bytes of the largest matrix of these roles."""
        return max(self.sizes[ROLE_OF[f"{role}.weight"]] for role in roles)

    def widths(self) -> Widths:
        """Return what was seen."""
        dense = max(self.inner("ffn_down"), self.out("ffn_gate"))
        return Widths(
            feed_forward=dense,
            gated=self.out("ffn_gate") > 0 or self.out("ffn_gate_up") > 0 or self.out("ffn_up") > dense,
            expert=self.inner("ffn_down_exps"),
            experts_gated=self.out("ffn_gate_exps") > 0 or self.out("ffn_gate_up_exps") > 0,
            parallel=self.inner("attn_norm") > 0 == self.inner("ffn_norm") + self.inner("post_attention_norm"),
            shared_expert=self.out("ffn_up_shexp"),
            query=max(self.out("attn_q"), self.out("attn_q_b")),
            normalized_after=self.inner("attn_output_norm") > 0 and self.inner("attn_norm") == 0,
            recurrent_in=self.out("ssm_in"),
            convolution=self.out("ssm_conv1d"),
            recurrent_out=self.inner("ssm_out"),
            entering_bytes=self.size("ffn_up", "ffn_gate", "ffn_gate_up"),
            leaving_bytes=self.size("ffn_down"),
            expert_entering_bytes=self.size("ffn_up_exps", "ffn_gate_exps", "ffn_gate_up_exps"),
            expert_leaving_bytes=self.size("ffn_down_exps"),
        )


NO_WIDTHS: Final = Widths()
