"""Facts from odd headers. What ordinary ones say is tested with the zoo (tests/library/test_zoo.py)."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.gguf.abilities import kind_by_name
from claracore.core.gguf.facts import MAX_LAYERS, facts_of
from claracore.core.gguf.header import Header, read_header
from claracore.core.gguf.model import Kind, LatentAttention, ModelFacts
from claracore.core.gguf.types import ValueType
from zoo.families import mmproj
from zoo.synthetic import TensorSpec, Typed, build, shard_images
from zoo.templates import CHATML, THINK


def header(metadata: dict[str, object], *tensors: TensorSpec) -> Header:
    image = build(metadata, tensors)
    return read_header(BytesIO(image.header), size=image.size)


def facts(metadata: Mapping[str, object], *tensors: TensorSpec, arch: str = "llama") -> ModelFacts:
    """Keys that begin with `.` belong to the architecture."""
    keys = {(arch + key if key.startswith(".") else key): value for key, value in metadata.items()}
    return facts_of(header({"general.architecture": arch} | keys, *(tensors or (TensorSpec("x", (1,)),))))


PLAIN: dict[str, object] = {".block_count": 4, ".attention.head_count": 8, ".embedding_length": 512}


def test_without_kv_heads_every_head_has_its_own() -> None:
    known = facts(PLAIN)
    assert (known.heads, known.kv_heads, known.head_dim_k) == ((8,) * 4, (8,) * 4, (64,) * 4)


@pytest.mark.parametrize(
    ("given_heads", "expected"),
    [([1, 2, 3, 4], (1, 2, 3, 4)), ([1, 2], (1, 2, 2, 2)), ([1, 2, 3, 4, 5, 6], (1, 2, 3, 4)), ([], (8, 8, 8, 8))],
)
def test_lists_are_cut_or_filled_to_the_layers(given_heads: list[int], expected: tuple[int, ...]) -> None:
    assert facts(PLAIN | {".attention.head_count_kv": given_heads}).kv_heads == expected


def test_wild_numbers_are_not_believed() -> None:
    known = facts({".block_count": (1 << 32) - 1, ".context_length": Typed(ValueType.INT32, -1), ".vocab_size": 1.5})
    assert known.layers == MAX_LAYERS
    assert (known.context_trained, known.vocab_size) == (None, None)


def test_sliding_patterns() -> None:
    window = {".attention.sliding_window": 128}
    assert facts(PLAIN | window).sliding_window is None
    assert facts(PLAIN | window | {".attention.sliding_window_pattern": 2}).sliding == (True, False, True, False)
    flags: dict[str, object] = {".attention.sliding_window_pattern": [True, False, False, True]}
    assert facts(PLAIN | window | flags).sliding == (True, False, False, True)
    assert facts(PLAIN | window, arch="modern-bert").sliding == (False, True, True, False)
    assert facts(PLAIN, arch="gemma2").sliding_window == 4096
    assert facts(PLAIN, arch="gemma3").sliding_window is None
    short = {".attention.key_length": 512, ".attention.key_length_swa": 256}
    assert facts(PLAIN | window | short, arch="gemma4").head_dim_k == (256, 256, 256, 256)


def test_latent_attention() -> None:
    keys = PLAIN | {".attention.kv_lora_rank": 512, ".rope.dimension_count": 64}
    assert facts(keys).latent_attention == LatentAttention(512, 64, absorbed=False)
    assert facts(keys | {".attention.key_length_mla": 192}).latent_attention == LatentAttention(512, 64, absorbed=True)


def test_where_weights_are_placed() -> None:
    tensors = [
        TensorSpec("token_embd.weight", (4, 10)),
        TensorSpec("position_embd.weight", (4, 2)),
        TensorSpec("blk.0.attn_q.weight", (4, 4)),
        TensorSpec("blk.0.ffn_up_exps.weight", (4, 4, 2)),
        TensorSpec("blk.0.ffn_up.0.weight", (4, 4)),
        TensorSpec("blk.1.ffn_up_shexp.weight", (4, 1)),
        TensorSpec("blk.2.nextn.eh_proj.weight", (4, 3)),
        TensorSpec("blk.9.attn_q.weight", (4, 1)),
        TensorSpec("output_norm.weight", (4,)),
        TensorSpec("output.weight", (4, 10)),
        TensorSpec("rope_freqs.weight", (2,)),
    ]
    placed = facts({".block_count": 3, ".nextn_predict_layers": 1}, *tensors).tensor_bytes
    assert placed.token_embedding == 4 * (40 + 8)
    assert placed.token_embedding_weight == 160
    assert (placed.layers, placed.experts) == ((64, 16), (128 + 64, 0))
    assert (placed.prediction, placed.other, placed.output) == (48, 16 + 8, 16 + 160)
    assert not placed.tied_output


def test_what_llama_cpp_places_with_the_first_layer() -> None:
    placed = facts({".block_count": 2}, TensorSpec("per_layer_model_proj.weight", (4, 2)), arch="gemma3n").tensor_bytes
    assert (placed.layers, placed.output) == ((32, 0), 0)


@pytest.mark.parametrize(("arch", "tied"), [("bert", False), ("nomic-bert", False), ("gemma-embedding", True)])
def test_encoders_have_no_output_matrix(arch: str, tied: bool) -> None:  # noqa: FBT001
    assert facts({}, TensorSpec("token_embd.weight", (4, 10)), arch=arch).tensor_bytes.tied_output is tied


def test_shards_are_counted_together() -> None:
    metadata: dict[str, object] = {"general.architecture": "llama", "llama.block_count": 3}
    tensors = [TensorSpec(f"blk.{layer}.attn_q.weight", (32, 32)) for layer in range(3)]
    images = shard_images(metadata, tensors, 3)
    headers = [read_header(BytesIO(image.header), size=image.size) for image in images]
    known = facts_of(headers[0], *headers[1:])
    assert known.parameters == 3 * 32 * 32
    assert known.tensor_bytes.layers == (4096,) * 3
    assert known.file_bytes == sum(image.size for image in images)


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({}, Kind.BASE),
        ({"tokenizer.chat_template": CHATML}, Kind.CHAT),
        ({"tokenizer.chat_template": "  "}, Kind.BASE),
        ({"general.name": "Foo 7B Instruct"}, Kind.CHAT),
        ({"tokenizer.chat_template": CHATML, "general.finetune": "Base"}, Kind.BASE),
        ({"tokenizer.chat_template": CHATML, "general.name": "Foo Instruct base"}, Kind.CHAT),
        ({"general.name": "Foo DRAFT 0.5B"}, Kind.DRAFT),
        ({".pooling_type": 0}, Kind.BASE),
        ({".pooling_type": 3}, Kind.EMBEDDING),
        ({".pooling_type": 4}, Kind.RERANKER),
        ({"general.type": "adapter"}, Kind.LORA),
        ({"imatrix.chunk_count": 1}, Kind.IMATRIX),
    ],
)
def test_kinds(metadata: dict[str, object], kind: Kind) -> None:
    assert facts({".block_count": 1} | metadata).kind is kind


def test_what_a_file_name_adds_to_the_kind() -> None:
    assert kind_by_name(Kind.BASE, ["foo", "instruct"]) is Kind.CHAT
    assert kind_by_name(Kind.CHAT, ["foo", "base"]) is Kind.BASE
    assert kind_by_name(Kind.CHAT, ["base", "chat"]) is Kind.CHAT
    assert kind_by_name(Kind.CHAT, ["foo", "draft"]) is Kind.DRAFT
    assert kind_by_name(Kind.EMBEDDING, ["base", "en"]) is Kind.EMBEDDING


def test_named_templates_count() -> None:
    known = facts({"tokenizer.chat_template": CHATML, "tokenizer.chat_template.tool_use": THINK})
    assert (known.chat_template, known.tools, known.reasoning) == (True, True, True)


def test_projectors_know_their_senses_and_width() -> None:
    for sound in (True, False):
        image = mmproj(2048, sound=sound)
        known = facts_of(read_header(BytesIO(image.header), size=image.size))
        assert (known.kind, known.vision, known.audio) == (Kind.MMPROJ, not sound, sound)
        assert (known.layers, known.embedding_length_out) == (0, 2048)


ARCHS = [
    "llama",
    "gemma3",
    "gemma3n",
    "mamba",
    "rwkv6",
    "jamba",
    "qwen3next",
    "nemotron_h",
    "lfm2",
    "kimi-linear",
    "bert",
]
NAMES = [
    "block_count", "nextn_predict_layers", "expert_count", "expert_used_count", "context_length", "embedding_length",
    "feed_forward_length", "attention.head_count", "attention.head_count_kv", "attention.key_length",
    "attention.sliding_window", "attention.sliding_window_pattern", "attention.shared_kv_layers",
    "attention.kv_lora_rank", "full_attention_interval", "ssm.conv_kernel", "ssm.state_size", "ssm.inner_size",
    "ssm.group_count", "wkv.head_size", "kda.head_dim", "shortconv.l_cache", "pooling_type", "rope.scaling.factor",
    "classifier.output_labels",
]  # fmt: skip
NUMBERS = st.integers(-5, 40) | st.just(0)
ODD: st.SearchStrategy[Any] = st.one_of(
    NUMBERS, st.booleans(), st.floats(width=32), st.text(max_size=3), st.lists(NUMBERS, max_size=6).map(
        lambda numbers: Typed(ValueType.INT64, numbers)
    ), st.lists(st.booleans(), max_size=5).map(lambda flags: Typed(ValueType.BOOL, flags)), st.just(["a", "b"]),
)  # fmt: skip


@given(
    st.sampled_from(ARCHS),
    st.dictionaries(st.sampled_from(NAMES), ODD),
    st.sampled_from(["a", "blk.3.x", "cls.weight"]),
)
def test_facts_never_fail(arch: str, keys: dict[str, object], tensor: str) -> None:
    known = facts({f".{key}": value for key, value in keys.items()}, TensorSpec(tensor, (2, 2)), arch=arch)
    assert len(known.has_kv_cache) == len(known.sliding) == len(known.recurrent) == known.layers
    assert known.tensor_bytes.total == 16
    assert known.state_ssm_elements >= 0
