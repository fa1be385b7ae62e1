"""Which models are there, in which state, and how are they loaded and unloaded?"""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from claracore.api.context import Context, Here
from claracore.config.model import ModelConfig
from claracore.errors import ModelNotFound
from claracore.types import ModelState

router = APIRouter(tags=["models"])


@router.get("/v1/models")
@router.get("/models", include_in_schema=False)
async def list_models(here: Here, request: Request) -> JSONResponse:
    """List the models that may be called, as OpenAI does, with what llama-swap's clients expect beside it."""
    created = int(time.time())
    rows = []
    for model in sorted(here.config.models.values(), key=lambda model: model.id):
        if model.unlisted:
            continue
        rows.append(_row(here, model, model.id, created))
        if here.config.include_aliases_in_list:
            rows += [_row(here, model, alias, created) for alias in model.aliases]
    origin = request.headers.get("origin")
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {}
    return JSONResponse({"object": "list", "data": sorted(rows, key=lambda row: str(row["id"]))}, headers=headers)


def _row(here: Context, model: ModelConfig, name: str, created: int) -> dict[str, Any]:
    loaded = here.supervisor.state(model.id) is not ModelState.STOPPED
    meta = {**model.metadata, "type": "model" if name == model.id else "alias"}
    row: dict[str, Any] = {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "claracore",
        "meta": {"llamaswap": meta},
        "status": {"value": "loaded" if loaded else "unloaded"},
    }
    if model.name:
        row["name"] = model.name
    if model.description:
        row["description"] = model.description
    return row | _abilities(model)


def _abilities(model: ModelConfig) -> dict[str, Any]:
    """Return what `capabilities` says, in the words of COMPAT 2.5."""
    its = model.capabilities
    if not (its.inputs or its.outputs or its.tools or its.reranker or its.context):
        return {}
    row: dict[str, Any] = {
        "capabilities": {
            "vision": "image" in its.inputs and "text" in its.outputs,
            "audio_transcriptions": "audio" in its.inputs and "text" in its.outputs,
            "audio_speech": "text" in its.inputs and "audio" in its.outputs,
            "image_generation": "text" in its.inputs and "image" in its.outputs,
            "image_to_image": "image" in its.inputs and "image" in its.outputs,
            "function_calling": its.tools,
            "reranker": its.reranker,
        }
    }
    if its.inputs or its.outputs:
        row["architecture"] = {
            "input_modalities": list(its.inputs),
            "output_modalities": list(its.outputs),
            "modality": f"{'+'.join(its.inputs)}->{'+'.join(its.outputs)}",
        }
    if its.tools:
        row["supported_parameters"] = ["tools", "tool_choice"]
    if its.context:
        row["context_length"] = its.context
    return row


@router.get("/running")
async def running(here: Here) -> dict[str, list[dict[str, Any]]]:
    """List the models that are not stopped."""
    rows = []
    for model_id, slot in sorted(here.supervisor.slots.items()):
        model = here.config.models.get(model_id)
        if slot.state is ModelState.STOPPED or model is None:
            continue
        life = here.supervisor.life(model_id)
        endpoint = life.endpoint if life else None
        rows.append(
            {
                "model": model_id,
                "state": slot.state.value,
                "cmd": model.cmd,
                "proxy": f"http://{endpoint}" if endpoint else model.proxy,
                "ttl": model.ttl_seconds,
                "name": model.name,
                "description": model.description,
                "port": endpoint.port if endpoint else None,
                "pid": life.child.pid if life and life.child else None,
                "serving": len(slot.serving),
                "waiting": len(slot.waiting),
            }
        )
    return {"running": rows}


@router.post("/api/models/load/{name:path}")
async def load(here: Here, name: str) -> dict[str, Any]:
    """Load a model; answers when it is ready."""
    model_id = _resolved(here, name)
    begun = time.monotonic()
    await here.supervisor.load(model_id)
    life = here.supervisor.life(model_id)
    endpoint = life.endpoint if life else None
    return {
        "model": model_id,
        "state": here.supervisor.state(model_id).value,
        "port": endpoint.port if endpoint else None,
        "seconds": round(time.monotonic() - begun, 3),
    }


@router.post("/api/models/unload")
async def unload_all(here: Here) -> dict[str, str]:
    """Unload every model; answers when none runs any more."""
    await here.supervisor.unload(list(here.supervisor.slots))
    return {"msg": "ok"}


@router.get("/unload")
async def unload_all_by_get(here: Here) -> PlainTextResponse:
    """Unload every model, as old clients ask for it."""
    await here.supervisor.unload(list(here.supervisor.slots))
    return PlainTextResponse("OK")


@router.post("/api/models/unload/{name:path}")
async def unload(here: Here, name: str) -> Response:
    """Unload one model; answers when its server is gone."""
    await here.supervisor.unload([_resolved(here, name)])
    return PlainTextResponse("OK")


def _resolved(here: Context, name: str) -> str:
    model_id = here.config.resolve(name)
    if model_id is None:
        raise ModelNotFound(name, here.config.models)
    return model_id
