"""What do clients of llama.cpp's own router ask? (llama.cpp tools/server/README.md, "router mode")

`GET /models` with a status for each, `POST /models/load` and `/models/unload` with `{"model"}`, `GET /props` of the
server as a whole. Open WebUI and others use them. `GET /props?model=` is answered by the model itself, through the
gateway; `autoload=false` keeps it from being loaded for that.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from claracore import __version__
from claracore.http.api.dependencies import GrantDep, RuntimeDep
from claracore.http.api.models import listed
from claracore.types import ModelState

router = APIRouter(tags=["llama.cpp router"])

STATUS = {
    ModelState.STOPPED: "unloaded",
    ModelState.STARTING: "loading",
    ModelState.READY: "loaded",
    ModelState.STOPPING: "unloaded",
}


class Named(BaseModel):
    """Which model is meant."""

    model: str


class Accepted(BaseModel):
    """What llama.cpp answers."""

    success: bool = True


@router.get("/models")
async def models(runtime: RuntimeDep, grant: GrantDep) -> JSONResponse:
    """List the models with what is known about their state, as llama.cpp's router does."""
    rows = listed(runtime, grant)
    for row in rows:
        model_id = runtime.config.resolve(row["id"])
        if model_id is None:  # a selector
            row["aliases"] = []
            continue
        failure = runtime.supervisor.failure(model_id)
        row["aliases"] = list(runtime.config.models[model_id].plain_aliases)
        row["status"] = {"value": STATUS[runtime.supervisor.state(model_id)]}
        if failure is not None:
            row["status"]["failed"] = True
    return JSONResponse({"object": "list", "data": rows})


@router.get("/props")
async def props(runtime: RuntimeDep) -> JSONResponse:
    """Say that this server has many models and loads them when they are asked for; llama.cpp's web interface asks."""
    answer: dict[str, Any] = {
        "role": "router",
        "max_instances": len(runtime.config.models),
        "models_autoload": True,
        "model_alias": "claracore",
        "model_path": "none",
        "default_generation_settings": {"params": {}, "n_ctx": 0},
        "build_info": f"claracore {__version__}",
    }
    return JSONResponse(answer)


@router.post("/models/load")
async def load(runtime: RuntimeDep, wish: Named) -> Accepted:
    """Begin to load a model; GET /models tells when it is there."""
    runtime.begin_load(runtime.resolve(wish.model))
    return Accepted()


@router.post("/models/unload")
async def unload(runtime: RuntimeDep, wish: Named) -> Accepted:
    """Unload a model."""
    await runtime.machines.unload(runtime.resolve(wish.model))
    return Accepted()
