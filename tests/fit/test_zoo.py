"""Our estimate against llama.cpp's for synthetic models up to 70B, which it measures without allocating them.

The files are holes with a true header. The zoo leaves out small norms, which llama.cpp insists on, so they are added;
architectures that need more than that are not loaded here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from claracore.core.fit.cache import cache_bytes
from claracore.core.fit.compute import compute_buffers
from claracore.core.fit.places import RAM, places_of
from claracore.core.fit.settings import Settings
from claracore.core.gguf.model import Kind, ModelFacts
from claracore.host.library.scan import scan
from fit.oracle import ask
from fit.shapes import loaded
from zoo.families import DEEPSEEKS, ENCODERS, GEMMAS, LLAMAS, MISTRALS, QWENS, Member
from zoo.synthetic import Image, Shape, TensorSpec, build, write

MIB = 1024**2
QK_NORMS = ("attn_q_norm", "attn_k_norm")
POST_NORMS = ("post_attention_norm", "post_ffw_norm")
NORMS: dict[str, tuple[str, ...]] = {
    "llama": (), "qwen2": (), "smollm3": (), "gemma": (), "qwen3": QK_NORMS, "qwen3moe": QK_NORMS,
    "gemma2": POST_NORMS, "gemma3": QK_NORMS + POST_NORMS,
}  # fmt: skip
MEMBERS = [
    member
    for member in (*LLAMAS, *MISTRALS, *QWENS, *GEMMAS, *DEEPSEEKS)
    if member.shape.arch in NORMS and member.kind.servable and member.kind is not Kind.RERANKER
]


def loadable(shape: Shape) -> Image:
    width = shape.head_dim or shape.embedding // (shape.heads if isinstance(shape.heads, int) else max(shape.heads))
    norms = [
        TensorSpec(f"blk.{layer}.{name}.weight", (width if name in QK_NORMS else shape.embedding,))
        for layer in range(shape.layers)
        for name in (*NORMS[shape.arch], "ffn_norm")
    ]
    tensors = {tensor.name: tensor for tensor in (*norms, *shape.tensors())}
    more = {"tokenizer.ggml.model": "no_vocab", f"{shape.arch}.attention.layer_norm_rms_epsilon": 1e-5}
    return build(shape.metadata() | more, tuple(tensors.values()))


def computing(facts: ModelFacts, settings: Settings) -> int:
    return compute_buffers(facts, settings, places_of(facts, settings))[RAM]


@pytest.mark.processes
@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.file)
def test_what_llama_cpp_would_take(member: Member, tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", loadable(member.shape))
    (model,) = scan([path]).models
    context = min(8192, member.context)
    answer = ask(path, n_ctx=context)
    assert answer.complete, "".join(answer.lines)
    settings = Settings(context)
    assert sum(cache_bytes(model.facts, settings)) / MIB == pytest.approx(sum(answer.cache_mib), abs=0.1)
    assert computing(model.facts, settings) / MIB == pytest.approx(
        answer.compute_mib, rel=0.08 if model.facts.experts else 0.02
    )
    assert loaded(model.facts, settings) / MIB == pytest.approx(answer.total_mib, rel=0.02)


@pytest.mark.processes
@pytest.mark.parametrize("batch", [512, 2048])
def test_an_embedding_model_makes_logits_for_every_token(batch: int, tmp_path: Path) -> None:
    (member,) = [member for member in ENCODERS if member.file.startswith("Qwen3-Embedding")]
    path = write(tmp_path / "model.gguf", loadable(member.shape))
    (model,) = scan([path]).models
    answer = ask(path, n_ctx=8192, n_ubatch=batch, n_batch=batch, embedding=True, pooling_type=3)
    settings = Settings(8192, micro_batch=batch, embeddings=True)
    assert computing(model.facts, settings) / MIB == pytest.approx(answer.compute_mib, rel=0.02)
    assert loaded(model.facts, settings) / MIB == pytest.approx(answer.total_mib, rel=0.02)
