"""Which models are there, in which state, and how are they loaded and unloaded?"""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from claracore.core.config.command import in_place
from claracore.core.config.model import Config, ModelConfig
from claracore.core.config.routing import Selector
from claracore.core.config.show import shown_command
from claracore.errors import ModelNotFound
from claracore.http.access.keys import Grant
from claracore.http.api.compat.anthropic import as_anthropics, page_of
from claracore.http.api.dependencies import GrantDep, RuntimeDep
from claracore.http.api.events.snapshot import SNAPSHOT
from claracore.http.api.parts import Runtime
from claracore.http.api.views import GroupView, ModelView, Views, group_views, known_state, model_views
from claracore.http.wire.error_shapes import ANTHROPIC_VERSION
from claracore.types import ModelState

router = APIRouter(tags=["models"])

SAID_BY_CAPABILITIES = frozenset({"architecture", "capabilities", "supported_parameters", "context_length"})


class ModelsView(BaseModel):
    """Every model, by id, and the groups that the configuration names."""

    models: list[ModelView]
    groups: dict[str, GroupView]


class LoadedView(BaseModel):
    """What came of loading a model, and where it is; `seconds` is how long this call had to wait."""

    model: str
    state: ModelState
    node: str | None
    port: int | None
    seconds: float


class Pin(BaseModel):
    """Whether a model is to stay loaded."""

    pinned: bool


@router.get("/api/models", dependencies=SNAPSHOT)
async def models(runtime: RuntimeDep) -> ModelsView:
    """List every model with its state, the unlisted ones too."""
    return ModelsView(models=model_views(runtime), groups=group_views(runtime))


@router.put("/api/models/pin/{name:path}")
async def pin(runtime: RuntimeDep, name: str, wish: Pin) -> ModelView:
    """Keep a model loaded whatever its ttl and whoever else is asked for, or let it go again."""
    model_id = runtime.resolve(name)
    runtime.supervisor.pin(model_id, pinned=wish.pinned)
    return Views(runtime).model(model_id)


@router.get("/api/models/{name:path}", dependencies=SNAPSHOT)
async def model(runtime: RuntimeDep, name: str) -> ModelView:
    """Show one model; how much of its files is in memory is looked at for `expected_seconds`."""
    model_id = runtime.resolve(name)
    if runtime.supervisor.state(model_id) is ModelState.STOPPED:
        await runtime.load_times.look(model_id)
    return Views(runtime).model(model_id)


@router.get("/v1/models")
async def list_models(request: Request, runtime: RuntimeDep, grant: GrantDep) -> JSONResponse:
    """List the models that may be called, as OpenAI does, with what llama-swap's clients expect beside it.

    To whoever sends `anthropic-version`, as Anthropic does.
    """
    rows = listed(runtime, grant)
    if ANTHROPIC_VERSION in request.headers:
        return JSONResponse(page_of(rows, request.query_params))
    return JSONResponse({"object": "list", "data": rows})


@router.get("/v1/models/{name:path}")
async def one_model(request: Request, runtime: RuntimeDep, grant: GrantDep, name: str) -> dict[str, Any]:
    """Show one of them, as OpenAI does; to whoever sends `anthropic-version`, as Anthropic does."""
    row = _row_named(runtime, grant, name)
    return as_anthropics(row) if ANTHROPIC_VERSION in request.headers else row


def _row_named(runtime: Runtime, grant: Grant | None, name: str) -> dict[str, Any]:
    """Return the row of a model that need not be listed. Raises ModelNotFound."""
    model_id = runtime.config.resolve(name)
    if model_id is not None and _any_known(grant, [model_id]):
        return _row(runtime, runtime.config.models[model_id], name, int(time.time()))
    stand_ins = _stand_ins(runtime, grant, int(time.time()), unlisted=True)
    stand_in = next((row for row in stand_ins if row["id"] == name), None)
    if stand_in is None:
        raise ModelNotFound(name, [row["id"] for row in listed(runtime, grant)])
    return stand_in


def listed(runtime: Runtime, grant: Grant | None) -> list[dict[str, Any]]:
    """Return the models that are not hidden, and their aliases if the configuration asks for it, by name."""
    created = int(time.time())
    rows = []
    for model in runtime.config.models.values():
        if model.unlisted or (grant is not None and not grant.knows(model.id)):
            continue
        rows.append(_row(runtime, model, model.id, created))
        # A peer's model has its short name as an alias, which may be called; that of a peer with a list is not listed.
        if runtime.config.is_followed(model.id):
            rows += [_row(runtime, model, alias, created) for alias in model.aliases]
        elif runtime.config.include_aliases_in_list and runtime.config.peer_of(model.id) is None:
            rows += [_row(runtime, model, alias, created) for alias in model.plain_aliases]
    rows += _stand_ins(runtime, grant, created)
    return sorted(rows, key=lambda row: str(row["id"]))


def _stand_ins(runtime: Runtime, grant: Grant | None, created: int, *, unlisted: bool = False) -> list[dict[str, Any]]:
    """Return the names that stand for models: selectors, and pins of the active profile that are no models."""
    rows: list[dict[str, Any]] = []
    config = runtime.config
    for name, shared_ids in runtime.machines.shared.items():
        if config.resolve(name) is None and _any_known(grant, list(shared_ids)):
            rows.append(_stand_in(runtime, name, list(shared_ids), created, {"type": "peer"}))
    for name, selector in config.selectors.items():
        ids = _ids_of(config, name)
        if (unlisted or not selector.unlisted) and _any_known(grant, ids):
            counted = ids[:1] if selector.strategy == "pin" else ids
            row = _stand_in(runtime, name, counted, created, {**selector.metadata, **_rule(selector)})
            rows.append(row | _said(selector.name, selector.description))
    profile = config.profiles.get(runtime.profile.name) if runtime.profile.name is not None else None
    for pin, target in profile.pins.items() if profile is not None else ():
        ids = _ids_of(config, target) if target else []
        named_already = pin in config.selectors or config.resolve(pin) is not None
        if ids and not named_already and _any_known(grant, ids):
            rows.append(_stand_in(runtime, pin, ids, created, {"type": "profile"}))
    return rows


def _ids_of(config: Config, name: str) -> list[str]:
    """Return the models that a name may lead to: its own or, of a selector, each of its targets."""
    selector = config.selectors.get(name)
    names = selector.targets if selector is not None else (name,)
    return [model_id for each in names if (model_id := config.resolve(each)) is not None]


def _rule(selector: Selector) -> dict[str, Any]:
    """Return how a selector chooses, in llama-swap's words."""
    rule: dict[str, Any] = {"type": "selector", "strategy": selector.strategy, "targets": list(selector.targets)}
    return rule | {"spillover": selector.settings.spillover} if selector.strategy == "spillover" else rule


def _any_known(grant: Grant | None, ids: list[str]) -> bool:
    return grant is None or any(grant.knows(model_id) for model_id in ids)


def _stand_in(runtime: Runtime, name: str, ids: list[str], created: int, meta: dict[str, Any]) -> dict[str, Any]:
    loaded = any(known_state(runtime, model_id) is not ModelState.STOPPED for model_id in ids)
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "claracore",
        "meta": {"llamaswap": meta},
        "status": {"value": "loaded" if loaded else "unloaded"},
    }


def _said(name: str, description: str) -> dict[str, str]:
    """Return what there is to show to people."""
    return {key: text for key, text in (("name", name), ("description", description)) if text}


def _row(runtime: Runtime, model: ModelConfig, name: str, created: int) -> dict[str, Any]:
    unseen = runtime.config.peer_of(model.id) is not None and not runtime.config.is_followed(model.id)
    ids = [] if unseen else [model.id]
    row = _stand_in(runtime, name, ids, created, {**_metadata(runtime, model), **_kind(runtime, model, name)})
    if context := _request_context(runtime, model):
        row["meta"]["n_ctx"] = context
    return row | _said(model.name, model.description) | _abilities(model)


def _kind(runtime: Runtime, model: ModelConfig, name: str) -> dict[str, Any]:
    """Return what sort of name this is, and what it belongs to, in llama-swap's words."""
    peer_id = runtime.config.peer_of(model.id)
    if peer_id is not None:
        return {"type": "peer", "peerID": peer_id}
    if name != model.id:
        return {"type": "alias", "modelID": model.id}
    return {"type": "model", "aliases": list(model.plain_aliases)} if model.plain_aliases else {"type": "model"}


def _request_context(runtime: Runtime, model: ModelConfig) -> int | None:
    """Return how many tokens a request may have: as the configuration says, or as the command was read."""
    command = runtime.memory.command(model.id)
    read = command.expected.request_context if command is not None and command.expected is not None else None
    return model.capabilities.context or read


def _metadata(runtime: Runtime, model: ModelConfig) -> dict[str, Any]:
    """Return the model's metadata with its port, without what its capabilities say already, as llama-swap shows it."""
    port = runtime.port_of(model.id) or runtime.keeper.plan.assignment.get(model.id)
    found: dict[str, Any] = in_place(model.metadata, port=port)
    abilities = _abilities(model)
    return {key: value for key, value in found.items() if not abilities or key not in SAID_BY_CAPABILITIES}


def abilities_of(model: ModelConfig) -> dict[str, bool]:
    """Return what the configuration says that a model can do, in llama-swap's words; empty when it says nothing."""
    able = model.capabilities
    if not (able.inputs or able.outputs or able.tools or able.reranker or able.context):
        return {}
    return {
        "vision": "image" in able.inputs and "text" in able.outputs,
        "audio_transcriptions": "audio" in able.inputs and "text" in able.outputs,
        "audio_speech": "text" in able.inputs and "audio" in able.outputs,
        "image_generation": "text" in able.inputs and "image" in able.outputs,
        "image_to_image": "image" in able.inputs and "image" in able.outputs,
        "function_calling": able.tools,
        "reranker": able.reranker,
    }


def _abilities(model: ModelConfig) -> dict[str, Any]:
    """Return what `capabilities` says, in the words of llama-swap's GET /v1/models."""
    able, abilities = model.capabilities, abilities_of(model)
    if not abilities:
        return {}
    row: dict[str, Any] = {"capabilities": abilities}
    if able.inputs or able.outputs:
        row["architecture"] = {
            "input_modalities": list(able.inputs),
            "output_modalities": list(able.outputs),
            "modality": f"{'+'.join(able.inputs)}->{'+'.join(able.outputs)}",
        }
    if able.tools:
        row["supported_parameters"] = ["tools", "tool_choice"]
    if able.context:
        row["context_length"] = able.context
    return row


@router.get("/running")
async def running(runtime: RuntimeDep) -> dict[str, list[dict[str, Any]]]:
    """List the models that are not stopped."""
    rows = []
    for model_id, slot in sorted(runtime.supervisor.slots.items()):
        model = runtime.config.models.get(model_id)
        if model is None or (state := known_state(runtime, model_id)) is ModelState.STOPPED:
            continue
        server = runtime.supervisor.running(model_id)
        endpoint = server.endpoint if server else None
        rows.append(
            {
                "model": model_id,
                "state": state.value,
                "cmd": shown_command(model, endpoint),
                "proxy": f"http://{endpoint}" if endpoint else model.proxy,
                "ttl": int(model.ttl_seconds),  # clients in Go read nothing else
                "name": model.name,
                "description": model.description,
                "port": runtime.port_of(model_id),
                "pid": server.pid if server else None,
                "serving": len(slot.serving),
                "waiting": len(slot.waiting),
            }
        )
    return {"running": rows}


@router.post("/api/models/load/{name:path}")
async def load(runtime: RuntimeDep, name: str) -> LoadedView:
    """Load a model; answers when it is ready."""
    model_id = runtime.resolve(name)
    begun = time.monotonic()
    await runtime.machines.load(model_id)
    return LoadedView(
        model=model_id,
        state=runtime.supervisor.state(model_id),
        node=runtime.node_of(model_id) or None,
        port=runtime.port_of(model_id),
        seconds=round(time.monotonic() - begun, 3),
    )


@router.post("/api/models/unload")
async def unload_all(runtime: RuntimeDep) -> dict[str, str]:
    """Unload every model; answers when none runs any more."""
    await runtime.supervisor.unload(list(runtime.supervisor.slots))
    return {"msg": "ok"}


@router.get("/unload")
async def unload_all_by_get(runtime: RuntimeDep) -> PlainTextResponse:
    """Unload every model, as old clients ask for it."""
    await runtime.supervisor.unload(list(runtime.supervisor.slots))
    return PlainTextResponse("OK")


@router.post("/api/models/unload/{name:path}")
async def unload(runtime: RuntimeDep, name: str) -> Response:
    """Unload one model; answers when its server is gone."""
    await runtime.machines.unload(runtime.resolve(name))
    return PlainTextResponse("OK")
