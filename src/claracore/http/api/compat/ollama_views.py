"""How do our models look to clients of Ollama?

Values and shapes of `api/types.go` and `format/format.go` (github.com/ollama/ollama).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from claracore.core.config.model import ModelConfig
from claracore.core.gguf.header import Array, Header, Value
from claracore.core.gguf.model import Kind, ModelFacts
from claracore.http.api.model_files import AboutFiles
from claracore.http.api.views import kind_of

TEMPLATE: Final = "tokenizer.chat_template"
INFILL_TOKENS: Final = ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id")
"""Of a model that can fill in between a prompt and a suffix; the second is how older files call it."""
NOT_KNOWN: Final = "unknown"


class OllamaDetails(BaseModel):
    """What sort of model it is."""

    parent_model: str = ""
    format: str = ""
    family: str = ""
    families: list[str] = []
    parameter_size: str = ""
    quantization_level: str = ""


class OllamaModel(BaseModel):
    """One name in the list; `size` in bytes."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: OllamaDetails


class OllamaLoaded(BaseModel):
    """One model that is loaded; sizes in bytes, `context_length` in tokens of one request."""

    name: str
    model: str
    size: int
    digest: str
    details: OllamaDetails
    expires_at: str
    size_vram: int
    context_length: int


class OllamaShown(BaseModel):
    """All about one model."""

    license: str
    modelfile: str
    parameters: str
    template: str
    details: OllamaDetails
    model_info: dict[str, Any]
    capabilities: list[str]
    modified_at: str


def details_of(about: AboutFiles) -> OllamaDetails:
    """Return what sort of model these files are; all is empty where nothing is known."""
    facts = about.facts
    if facts is None:
        return OllamaDetails()
    return OllamaDetails(
        format="gguf",
        family=facts.architecture,
        families=[facts.architecture, *(["clip"] if about.has_projector else [])],
        parameter_size=human_number(facts.parameters),
        quantization_level=facts.quantization or NOT_KNOWN,
    )


def human_number(count: int) -> str:
    """Return a number of parameters as Ollama writes it.

    >>> [human_number(number) for number in (134_515_008, 8_000_000_000, 1_235_814_432, 900)]
    ['134.52M', '8B', '1.2B', '900']
    """
    for unit, letter, digits in ((10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 0)):
        if count >= unit:
            number = count / unit
            return f"{number:.0f}{letter}" if number == math.floor(number) else f"{number:.{digits}f}{letter}"
    return str(count)


def capabilities_of(model: ModelConfig, about: AboutFiles, header: Header | None) -> list[str]:
    """Return what a model can do, in Ollama's words: as the configuration says, else as its files do."""
    able, facts, kind = model.capabilities, about.facts, kind_of(model)
    if kind == "embedding" or (kind is None and facts is not None and facts.kind is Kind.EMBEDDING):
        return ["embedding"]
    if kind == "reranker" or (facts is not None and facts.kind is Kind.RERANKER):
        return []
    sees = "image" in able.inputs if able.inputs else about.has_projector
    infills = header is not None and any(key in header.metadata for key in INFILL_TOKENS)
    found = {
        "completion": True,
        "vision": sees,
        "tools": able.tools or (facts is not None and facts.tools),
        "insert": infills,
        "thinking": facts is not None and facts.reasoning,
    }
    return [name for name, has in found.items() if has]


def model_info(model: ModelConfig, about: AboutFiles, header: Header | None, *, verbose: bool) -> dict[str, Any]:
    """Return the header's keys, with the number of parameters and the context that a request may have.

    Long arrays are null, and without `verbose` all of them. A model whose files are not known has the keys that clients
    rely on.
    """
    metadata: Mapping[str, Value] = header.metadata if header is not None else {}
    info = {key: _plain(value, verbose) for key, value in metadata.items() if not key.startswith(TEMPLATE)}
    facts = about.facts
    architecture = facts.architecture if facts is not None else NOT_KNOWN
    info["general.architecture"] = architecture
    info.setdefault("general.basename", _name(model, facts))
    if facts is not None:
        info["general.parameter_count"] = facts.parameters
        for key, number in (("context_length", facts.context_trained), ("embedding_length", facts.embedding_length)):
            if number is not None:
                info.setdefault(f"{architecture}.{key}", number)
    if context := about.context or model.capabilities.context:
        info[f"{architecture}.context_length"] = context
    return info


def _name(model: ModelConfig, facts: ModelFacts | None) -> str:
    return (facts.basename or facts.name if facts is not None else None) or model.name or model.id


def _plain(value: Value, verbose: bool) -> Any:  # noqa: ANN401, FBT001 - plain data
    if isinstance(value, Array):
        return [_plain(item, verbose) for item in value.values] if verbose and value.values is not None else None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def template_of(header: Header | None) -> str:
    """Return the chat template of a file; empty when it has none."""
    found = header.metadata.get(TEMPLATE) if header is not None else None
    return found if isinstance(found, str) else ""


def modelfile(about: AboutFiles, template: str, parameters: str) -> str:
    """Return what a Modelfile would say: for people to read, since nothing is made from it."""
    lines = [f"FROM {path}" for path in about.paths]
    lines += [f'TEMPLATE """{template}"""'] if template else []
    lines += [f"PARAMETER {line}" for line in parameters.splitlines()]
    return "\n".join(["# how ClaraCore runs this model", *lines, ""])


def parameters_of(model: ModelConfig, about: AboutFiles) -> str:
    """Return what is fixed for every request, a line each: the context, and what the configuration sets."""
    fixed: dict[str, object] = {"num_ctx": about.context} if about.context else {}
    for key, value in model.filters.set_params.items():
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            fixed[RENAMED.get(key, key)] = value
    return "\n".join(f"{key:<30} {_written(value)}" for key, value in fixed.items())


RENAMED: Final = {"max_tokens": "num_predict", "n_predict": "num_predict"}
"""Parameters that Ollama calls otherwise."""


def _written(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
