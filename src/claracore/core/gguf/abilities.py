"""What is a file good for: kind and abilities, from metadata, tensors and the chat template."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from claracore.core.gguf import architectures
from claracore.core.gguf.header import Header, Value
from claracore.core.gguf.model import Kind
from claracore.core.gguf.tensors import Tensor

POOLING: Final = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: "rank"}
"""llama.cpp's `enum llama_pooling_type`."""

TOOLS: Final = re.compile(r"\btools\b|tool_call|\bfunctions\b|custom_tools|builtin_tools")
REASONING: Final = re.compile(
    r"</?think|\benable_thinking\b|\breasoning_content\b|\breasoning_effort\b|\[THINK\]|<\|channel\|>|<seed:think>"
    r"|\bthinking\b",
)
IMAGES: Final = re.compile(r"<\|?vision_start|<\|?image|image_url|['\"]image['\"]|<start_of_image>|\[IMG\]|image_pad")
SOUND: Final = re.compile(r"<\|?audio|input_audio|audio_url|['\"]audio['\"]|\[AUDIO\]")

CLASSIFIERS: Final = frozenset({"cls.weight", "cls.output.weight", "cls.bias", "cls.output.bias"})
"""Tensors of a classifier head."""

CHAT_WORDS: Final = frozenset(
    ["instruct", "chat", "it", "assistant", "sft", "dpo", "rlhf", "instruction", "thinking", "reasoning"]
)
BASE_WORDS: Final = frozenset(["base", "pt", "pretrained", "foundation"])
EMBEDDING_WORDS: Final = frozenset(["embed", "embedding", "embeddings", "embedder", "e5", "gte"])
"""In the names of language models made for embeddings; many of their files do not say so inside."""
RERANKER_WORDS: Final = frozenset(["rerank", "reranker"])


class Template(NamedTuple):
    """What the chat templates of a file reveal."""

    present: bool
    tools: bool
    reasoning: bool
    images: bool
    sound: bool


def template_of(metadata: Mapping[str, Value]) -> Template:
    """Look at all chat templates (the default one and named ones such as `tool_use`)."""
    texts = [
        value
        for key, value in metadata.items()
        if isinstance(value, str) and (key == "tokenizer.chat_template" or key.startswith("tokenizer.chat_template."))
    ]
    return _read_template("\n".join(texts))


@lru_cache(maxsize=128)
def _read_template(text: str) -> Template:
    """Look at the text; cached, because a library has many files with the same long template."""
    return Template(
        present=bool(text.strip()),
        tools=TOOLS.search(text) is not None,
        reasoning=REASONING.search(text) is not None,
        images=IMAGES.search(text) is not None,
        sound=SOUND.search(text) is not None,
    )


def pooling_of(metadata: Mapping[str, Value], architecture: str) -> str | None:
    """Return the pooling that the file asks for, or None."""
    number = metadata.get(f"{architecture}.pooling_type")
    return POOLING.get(number) if isinstance(number, int) else None


def words_of(metadata: Mapping[str, Value]) -> frozenset[str]:
    """Return the lower-case words of the file's own names."""
    texts = (metadata.get(f"general.{part}") for part in ("name", "basename", "finetune"))
    joined = " ".join(text for text in texts if isinstance(text, str))
    return frozenset(word for word in re.split(r"[^a-z0-9]+", joined.lower()) if word)


def kind_of(header: Header, tensors: Iterable[Tensor]) -> Kind:
    """Return what the file is, from the most specific evidence to the least."""
    metadata = header.metadata
    architecture = _text(metadata, "general.architecture")
    special = _special_kind(metadata, architecture)
    if special is not None:
        return special
    names = {tensor.name for tensor in tensors}
    if not names:
        return Kind.VOCAB_ONLY if "tokenizer.ggml.model" in metadata else Kind.OTHER
    if f"{architecture}.block_count" not in metadata or architecture in architectures.ENCODER_DECODERS:
        return Kind.OTHER
    return _language_kind(metadata, architecture, names)


def kind_by_name(kind: Kind, words: Collection[str]) -> Kind:
    """Return what a file's own name adds: `-base`, `-instruct`, `-draft`, where the contents leave it open."""
    if kind not in {Kind.CHAT, Kind.BASE}:
        return kind
    if "draft" in words:
        return Kind.DRAFT
    if not EMBEDDING_WORDS.isdisjoint(words):
        return Kind.EMBEDDING
    chat, base = not CHAT_WORDS.isdisjoint(words), not BASE_WORDS.isdisjoint(words)
    return kind if chat == base else Kind.CHAT if chat else Kind.BASE


def _special_kind(metadata: Mapping[str, Value], architecture: str) -> Kind | None:
    """Return the kind of a file that is no language model."""
    file_kind = _text(metadata, "general.type")
    by_type = {"adapter": Kind.LORA, "imatrix": Kind.IMATRIX, "mmproj": Kind.MMPROJ}
    by_architecture = {"clip": Kind.MMPROJ, "controlvector": Kind.CONTROL_VECTOR, "imatrix": Kind.IMATRIX}
    if "adapter.type" in metadata:
        return Kind.LORA
    if any(key.startswith("imatrix.") for key in metadata):
        return Kind.IMATRIX
    if architecture in architectures.IMAGE:
        return Kind.IMAGE
    if architecture in architectures.SPEECH:
        return Kind.SPEECH
    if architecture in architectures.DIFFUSION:
        return Kind.DIFFUSION
    if architecture in architectures.DRAFT_HEADS:
        return Kind.DRAFT_HEAD
    return by_type.get(file_kind) or by_architecture.get(architecture)


def _language_kind(metadata: Mapping[str, Value], architecture: str, names: set[str]) -> Kind:
    pooling = pooling_of(metadata, architecture)
    if pooling == "rank" or not CLASSIFIERS.isdisjoint(names):
        return Kind.RERANKER
    if pooling in {"mean", "cls", "last"} or architecture in architectures.ENCODERS:
        return Kind.EMBEDDING
    words = words_of(metadata)
    if "draft" in words:
        return Kind.DRAFT
    if architecture in architectures.VISION:
        return Kind.VISION
    if words & BASE_WORDS and not words & CHAT_WORDS:
        return Kind.BASE
    return Kind.CHAT if template_of(metadata).present or words & CHAT_WORDS else Kind.BASE


def _text(metadata: Mapping[str, Value], key: str) -> str:
    value = metadata.get(key)
    return value if isinstance(value, str) else ""
