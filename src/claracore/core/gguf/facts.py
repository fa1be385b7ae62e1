"""What does a GGUF header say about its model?

Reads nothing, guesses nothing: what the header does not say is None or empty. Meanings follow llama.cpp's
`llama_model::load_hparams`; what differs from one architecture to the next is data in `architectures.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import Final, Literal, NamedTuple

from claracore.core.gguf import abilities
from claracore.core.gguf.architectures import WITHOUT_OUTPUT
from claracore.core.gguf.header import Array, Header, Value
from claracore.core.gguf.keys import ArchitectureKeys, count_of
from claracore.core.gguf.layers import conv_state, latent_attention, layer_cache, ssm_state
from claracore.core.gguf.model import Kind, ModelFacts, TensorBytes
from claracore.core.gguf.projector import projector_of
from claracore.core.gguf.quantization import quantization_of
from claracore.core.gguf.tensors import Tensor
from claracore.core.gguf.widths import ROLE_OF, Widths, WidthsSeen

MAX_LAYERS: Final = 4096
"""More blocks than this are a broken file, not a model; per-layer tuples are cut there."""

LAYER: Final = re.compile(r"(?:enc\.|dec\.)?blk\.(\d{1,5})\.")
EXPERT: Final = re.compile(r"\.ffn_(?:gate|up|down|gate_up)_(?:ch)?exps\.|\.ffn_(?:gate|up|down)\.\d+\.")
INPUT: Final = re.compile(r"(?:token_embd|position_embd|token_types|per_layer_token_embd)\b|token_embd_norm")
OUTPUT: Final = re.compile(r"output|cls|dense_\d|altup_")
FIRST_LAYER: Final = re.compile(r"per_layer_(?:model_proj|proj_norm)\b")
"""What llama.cpp places with layer 0, though its name has no number."""

Group = Literal["input", "output", "layer", "expert", "other"]


def facts_of(header: Header, *more_shards: Header) -> ModelFacts:
    """Return the facts of one model: its header, and those of its further shards in order.

    Pure; never fails on a header that `read_header` accepted.
    """
    tensors = tuple(chain(header.tensors, *(shard.tensors for shard in more_shards)))
    keys = ArchitectureKeys(header.metadata)
    kind = abilities.kind_of(header, tensors)
    predicting = keys.number("nextn_predict_layers") or 0
    blocks = 0 if kind is Kind.MMPROJ else min(keys.number("block_count") or 0, MAX_LAYERS)
    layers = max(0, blocks - predicting)
    experts, used = keys.number("expert_count") or 0, keys.number("expert_used_count") or 0
    weights = _weigh(tensors, layers, predicting, tied=keys.architecture not in WITHOUT_OUTPUT)
    idle = weights.expert_elements - weights.expert_elements * used // experts if experts and used else 0
    facts = ModelFacts(
        architecture=keys.architecture,
        kind=kind,
        quantization=quantization_of(header.metadata.get("general.file_type"), tensors),
        parameters=weights.elements,
        parameters_active=weights.elements - idle,
        layers=layers,
        prediction_layers=predicting,
        tensor_bytes=weights.bytes,
        widths=weights.widths,
        projector=projector_of(header.metadata, tensors) if kind is Kind.MMPROJ else None,
        file_bytes=header.file_size + sum(shard.file_size for shard in more_shards),
        experts=experts,
        experts_used=used,
        expert_feed_forward=keys.number("expert_feed_forward_length"),
        shards=count_of(header.metadata, "split.count") or 1,
        shard_number=count_of(header.metadata, "split.no") or 0,
    )
    return _with_abilities(_with_attention(_with_names(facts, keys), keys), keys)


def _with_names(facts: ModelFacts, keys: ArchitectureKeys) -> ModelFacts:
    return replace(
        facts,
        name=keys.general("name"),
        basename=keys.general("basename"),
        finetune=keys.general("finetune"),
        size_label=keys.general("size_label"),
        version=keys.general("version"),
        organization=keys.general("organization"),
        description=keys.general("description"),
        license=keys.general("license"),
    )


def _with_attention(facts: ModelFacts, keys: ArchitectureKeys) -> ModelFacts:
    cache = layer_cache(keys, facts.layers)
    return replace(
        facts,
        context_trained=keys.number("context_length"),
        target_width=keys.number("target_hidden_size"),
        target_layers=keys.numbers("target_layers"),
        embedding_length=keys.number("embedding_length"),
        embedding_length_out=keys.number("embedding_length_out") or _projection(keys.metadata),
        deepstack_layers=keys.number("n_deepstack_layers") or 0,
        layer_input_length=keys.number("embedding_length_per_layer_input") or 0,
        streams=max(1, keys.number("altup.num_inputs") or 1),
        feed_forward=keys.per_layer("feed_forward_length", facts.layers),
        heads=keys.per_layer("attention.head_count", facts.layers),
        kv_heads=cache.kv_heads,
        head_dim_k=cache.head_dim_k,
        head_dim_v=cache.head_dim_v,
        has_kv_cache=cache.present,
        sliding_window=cache.window,
        sliding=cache.sliding,
        latent_attention=latent_attention(keys),
        causal=keys.get("attention.causal") is not False,
        recurrent=cache.recurrent,
        state_conv_elements=conv_state(keys) if any(cache.recurrent) else 0,
        state_ssm_elements=ssm_state(keys) if any(cache.recurrent) else 0,
        rope_scaling=keys.text("rope.scaling.type"),
        rope_scaling_factor=keys.fraction("rope.scaling.factor"),
        rope_original_context=keys.number("rope.scaling.original_context_length"),
    )


def _with_abilities(facts: ModelFacts, keys: ArchitectureKeys) -> ModelFacts:
    template = abilities.template_of(keys.metadata)
    vision, audio = _senses(keys, facts.kind, template)
    return replace(
        facts,
        vocab_size=_vocab_size(keys),
        tokenizer=_tokenizer(keys.metadata),
        chat_template=template.present,
        tools=template.tools,
        reasoning=template.reasoning,
        vision=vision,
        audio=audio,
        pooling=abilities.pooling_of(keys.metadata, keys.architecture),
        labels=keys.texts("classifier.output_labels"),
    )


def _senses(keys: ArchitectureKeys, kind: Kind, template: abilities.Template) -> tuple[bool, bool]:
    """Return whether the model takes images and sound."""
    if kind is Kind.MMPROJ:
        metadata = keys.metadata
        sound = metadata.get("clip.has_audio_encoder") is True
        return metadata.get("clip.has_vision_encoder") is True or not sound, sound
    return kind is Kind.VISION or template.images, template.sound


def _projection(metadata: Mapping[str, Value]) -> int | None:
    """Return the width in which an mmproj file hands its embeddings to the language model."""
    found = (count_of(metadata, f"clip.{sense}.projection_dim") for sense in ("vision", "audio"))
    return next((width for width in found if width), None)


def _vocab_size(keys: ArchitectureKeys) -> int | None:
    tokens = keys.metadata.get("tokenizer.ggml.tokens")
    return tokens.count if isinstance(tokens, Array) else keys.number("vocab_size")


def _tokenizer(metadata: Mapping[str, Value]) -> str | None:
    model, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    return "/".join(part for part in (model, pre) if isinstance(part, str)) or None


class _Weights(NamedTuple):
    elements: int
    expert_elements: int
    bytes: TensorBytes
    widths: Widths


def _weigh(tensors: Iterable[Tensor], layers: int, prediction_layers: int, *, tied: bool) -> _Weights:
    """Sum elements and bytes by where llama.cpp places them."""
    per_layer = [0] * layers
    per_expert_layer = [0] * layers
    sums = {"input": 0, "output": 0, "other": 0, "prediction": 0}
    elements = expert_elements = embedding = 0
    seen = WidthsSeen()
    largest = seen.sizes
    for name, shape, _type, _offset, count, size in tensors:
        group, layer, role = _placement(name)
        elements += count
        if group == "expert":
            expert_elements += count
        if 0 <= layer < layers:
            (per_expert_layer if group == "expert" else per_layer)[layer] += size
            if role is not None and size > largest[role]:
                largest[role], seen.shapes[role] = size, shape
        elif layer >= layers:
            sums["prediction" if layer < layers + prediction_layers else "other"] += size
        else:
            sums[group] += size
            if name == "token_embd.weight":
                embedding = size
            elif name == "output.weight":
                tied = False
    placed = TensorBytes(
        token_embedding=sums["input"],
        output=sums["output"],
        layers=tuple(per_layer),
        experts=tuple(per_expert_layer),
        other=sums["other"],
        tied_output=tied,
        token_embedding_weight=embedding,
        prediction=sums["prediction"],
    )
    return _Weights(elements, expert_elements, placed, seen.widths())


@lru_cache(maxsize=1 << 14)
def _placement(name: str) -> tuple[Group, int, int | None]:
    """Return group, layer (-1 for none) and role of a tensor. Cached: all models use the same names."""
    match = LAYER.match(name)
    if match:
        return ("expert" if EXPERT.search(name) else "layer"), int(match[1]), ROLE_OF.get(name[match.end() :])
    if INPUT.match(name):
        return "input", -1, None
    if FIRST_LAYER.match(name):
        return "layer", 0, None
    return ("output" if OUTPUT.match(name) else "other"), -1, None
