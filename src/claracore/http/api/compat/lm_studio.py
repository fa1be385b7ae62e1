"""What do clients of LM Studio's own API ask about the models that are there?

`GET /api/v0/models[/{id}]`; of its first version `GET /api/v1/models`, `POST /api/v1/models/load` and `/unload`. Its
chat, completions and embeddings are routes of the gateway (`gateway/lm_studio.py`); `/api/v1/chat`, which keeps
conversations on the server, is not there. Facts: lmstudio.ai/docs/developer/rest.

How a model is loaded stands in the configuration: a context and the like in a request to load are read past, and
`load_config` says what they are.
"""

from __future__ import annotations

import time
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.core.config.model import ModelConfig
from claracore.http.access.keys import Grant
from claracore.http.api.compat.ollama import meant
from claracore.http.api.compat.ollama_views import capabilities_of, human_number
from claracore.http.api.dependencies import DownloadsDep, GrantDep, RuntimeDep
from claracore.http.api.model_files import AboutFiles, about_files
from claracore.http.api.models import listed
from claracore.http.api.parts import Runtime
from claracore.http.api.views import known_state
from claracore.types import ModelState

router = APIRouter(tags=["LM Studio"])

UNKNOWN_PUBLISHER = "unknown"


class StudioRow(BaseModel):
    """One model, as `/api/v0` shows it; contexts in tokens, 0 where they are not known."""

    id: str
    object: Literal["model"] = "model"
    type: Literal["llm", "vlm", "embeddings"]
    publisher: str
    arch: str
    compatibility_type: str
    quantization: str
    state: Literal["loaded", "not-loaded"]
    max_context_length: int
    loaded_context_length: int | None = None
    capabilities: list[str]


class StudioList(BaseModel):
    """What GET /api/v0/models answers."""

    object: Literal["list"] = "list"
    data: list[StudioRow]


class StudioQuantization(BaseModel):
    """How a model's weights are stored."""

    name: str | None
    bits_per_weight: float | None


class StudioLoadConfig(BaseModel):
    """How a model is loaded."""

    context_length: int


class StudioServer(BaseModel):
    """A model's server: there is one at the most, and it has the model's name."""

    id: str
    config: StudioLoadConfig


class StudioAbilities(BaseModel):
    """What a model can do."""

    vision: bool
    trained_for_tool_use: bool


class StudioModel(BaseModel):
    """One model, as `/api/v1` shows it."""

    type: Literal["llm", "embedding"]
    publisher: str
    key: str
    display_name: str
    architecture: str | None
    quantization: StudioQuantization
    size_bytes: int
    params_string: str | None
    loaded_instances: list[StudioServer]
    max_context_length: int
    format: Literal["gguf"] | None
    capabilities: StudioAbilities | None = None
    description: str | None = None


class StudioModels(BaseModel):
    """What GET /api/v1/models answers."""

    models: list[StudioModel]


class StudioLoadWish(BaseModel):
    """Which model is to be loaded."""

    model: str
    echo_load_config: bool = False


class StudioLoaded(BaseModel):
    """What came of it; `load_time_seconds` is how long this call had to wait."""

    type: Literal["llm", "embedding"]
    instance_id: str
    load_time_seconds: float
    status: Literal["loaded"] = "loaded"
    load_config: StudioLoadConfig | None = None


class StudioInstance(BaseModel):
    """Which server is meant: of the model with this name."""

    instance_id: str


@router.get("/api/v0/models", response_model_exclude_none=True)
async def old_list(runtime: RuntimeDep, downloads: DownloadsDep, grant: GrantDep) -> StudioList:
    """List the models, as LM Studio does."""
    ids = _listed_ids(runtime, grant)
    files = await about_files(runtime, downloads, ids)
    return StudioList(data=[_old_row(runtime, model_id, files[model_id]) for model_id in ids])


@router.get("/api/v0/models/{name:path}", response_model_exclude_none=True)
async def old_model(runtime: RuntimeDep, downloads: DownloadsDep, grant: GrantDep, name: str) -> StudioRow:
    """Show one of them, by any name that it has."""
    model_id = meant(runtime, grant, name)
    files = await about_files(runtime, downloads, [model_id])
    return _old_row(runtime, model_id, files[model_id])


@router.get("/api/v1/models")
async def new_list(runtime: RuntimeDep, downloads: DownloadsDep, grant: GrantDep) -> StudioModels:
    """List the models, as LM Studio does since its version 0.4."""
    ids = _listed_ids(runtime, grant)
    files = await about_files(runtime, downloads, ids)
    return StudioModels(models=[_new_row(runtime, model_id, files[model_id]) for model_id in ids])


@router.post("/api/v1/models/load", response_model_exclude_none=True)
async def load(runtime: RuntimeDep, downloads: DownloadsDep, grant: GrantDep, wish: StudioLoadWish) -> StudioLoaded:
    """Load a model; answers when it is ready."""
    model_id = meant(runtime, grant, wish.model)
    begun = time.monotonic()
    await runtime.machines.load(model_id)
    seconds = round(time.monotonic() - begun, 3)
    model, about = runtime.config.models[model_id], (await about_files(runtime, downloads, [model_id]))[model_id]
    return StudioLoaded(
        type="embedding" if _embeds(model, about) else "llm",
        instance_id=model_id,
        load_time_seconds=seconds,
        load_config=_load_config(model, about) if wish.echo_load_config else None,
    )


@router.post("/api/v1/models/unload")
async def unload(runtime: RuntimeDep, grant: GrantDep, wish: StudioInstance) -> StudioInstance:
    """Unload a model; answers when its server is gone."""
    model_id = meant(runtime, grant, wish.instance_id)
    await runtime.machines.unload(model_id)
    return StudioInstance(instance_id=model_id)


def _listed_ids(runtime: Runtime, grant: Grant | None) -> list[str]:
    return [row["id"] for row in listed(runtime, grant) if row["id"] in runtime.config.models]


def _is_loaded(runtime: Runtime, model_id: str) -> bool:
    return known_state(runtime, model_id) is ModelState.READY


def _old_row(runtime: Runtime, model_id: str, about: AboutFiles) -> StudioRow:
    model, facts = runtime.config.models[model_id], about.facts
    able, loaded = capabilities_of(model, about, None), _is_loaded(runtime, model_id)
    return StudioRow(
        id=model_id,
        type="embeddings" if "embedding" in able else "vlm" if "vision" in able else "llm",
        publisher=_publisher(model, about),
        arch=facts.architecture if facts is not None else "",
        compatibility_type="gguf" if facts is not None else "",
        quantization=facts.quantization if facts is not None else "",
        state="loaded" if loaded else "not-loaded",
        max_context_length=_most_context(model, about),
        loaded_context_length=_load_config(model, about).context_length if loaded else None,
        capabilities=["tool_use"] if "tools" in able else [],
    )


def _new_row(runtime: Runtime, model_id: str, about: AboutFiles) -> StudioModel:
    model, facts = runtime.config.models[model_id], about.facts
    able = capabilities_of(model, about, None)
    instance = StudioServer(id=model_id, config=_load_config(model, about))
    bits = about.size * 8 / facts.parameters if facts is not None and facts.parameters else None
    embeds = "embedding" in able
    return StudioModel(
        type="embedding" if embeds else "llm",
        publisher=_publisher(model, about),
        key=model_id,
        display_name=model.name or model_id,
        architecture=facts.architecture if facts is not None else None,
        quantization=StudioQuantization(
            name=(facts.quantization or None) if facts is not None else None,
            bits_per_weight=round(bits, 2) if bits is not None else None,
        ),
        size_bytes=about.size,
        params_string=human_number(facts.parameters) if facts is not None else None,
        loaded_instances=[instance] if _is_loaded(runtime, model_id) else [],
        max_context_length=_most_context(model, about),
        format="gguf" if facts is not None else None,
        capabilities=None if embeds else StudioAbilities(vision="vision" in able, trained_for_tool_use="tools" in able),
        description=model.description or None,
    )


def _publisher(model: ModelConfig, about: AboutFiles) -> str:
    organization = about.facts.organization if about.facts is not None else None
    return organization or model.id.rpartition("/")[0] or UNKNOWN_PUBLISHER


def _most_context(model: ModelConfig, about: AboutFiles) -> int:
    """Return how much the model reads at the most: as it was trained, else as it is configured."""
    trained = about.facts.context_trained if about.facts is not None else None
    return trained or _load_config(model, about).context_length


def _load_config(model: ModelConfig, about: AboutFiles) -> StudioLoadConfig:
    return StudioLoadConfig(context_length=about.context or model.capabilities.context)


def _embeds(model: ModelConfig, about: AboutFiles) -> bool:
    return "embedding" in capabilities_of(model, about, None)
