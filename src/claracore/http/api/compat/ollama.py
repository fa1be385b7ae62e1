"""What do clients of Ollama ask about the models that are there?

`GET /` ("Ollama is running"), `/api/tags`, `/api/ps`, `POST /api/show`. `/api/version` is beside what else asks for it
(`api/system.py`), what changes something in `ollama_changes.py`; `/api/chat` and its like are routes of the gateway.
None of these paths is llama-swap's or the first ClaraCore's, but for `/api/version`, whose keys do not meet.

Facts: docs/api.md and api/types.go of github.com/ollama/ollama. Who reads what:

- Codex (`codex-rs/ollama`): `version` >= 0.13.4, `models[].name` (else it pulls), lines of `/api/pull`;
- Copilot in VS Code (`byok/vscode-node/ollamaProvider.ts`): `version` >= 0.6.4, `models[].model`, of `/api/show`
  `capabilities` ("tools", "vision") and of `model_info` `general.architecture`, `general.basename` and
  `<architecture>.context_length`, which it takes for the context of a request: so it is ours and not the trained one;
- Open WebUI (`routers/ollama.py`): the numbers of `version`, `models[].model`, `name`, and `expires_at` of `/api/ps`;
- Home Assistant and the SDKs: `models[].model`; all times as RFC 3339.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from claracore.core.config.model import ModelConfig
from claracore.core.config.tags import has_tag, other_spelling, tagged
from claracore.core.memory.footprint import RAM
from claracore.core.scheduler.slot import FOREVER
from claracore.errors import BadRequest, ModelNotFound
from claracore.http.access.keys import Grant
from claracore.http.api.compat.any_media import described_as, read_as
from claracore.http.api.compat.numbers import rfc3339
from claracore.http.api.compat.ollama_views import (
    OllamaLoaded,
    OllamaModel,
    OllamaShown,
    capabilities_of,
    details_of,
    model_info,
    modelfile,
    parameters_of,
    template_of,
)
from claracore.http.api.dependencies import DownloadsDep, GrantDep, InstallationDep, RuntimeDep, SecondDoorDep
from claracore.http.api.model_files import NO_FILES, AboutFiles, about_files, header_of
from claracore.http.api.models import listed
from claracore.http.api.parts import Installation, Runtime
from claracore.http.second_door import SecondDoor
from claracore.http.web import interface
from claracore.types import ModelState

router = APIRouter(tags=["Ollama"])

NEVER: Final = "2318-01-01T00:00:00Z"
"""When a model expires that stays loaded: as far away as Ollama says, which its clients show as "forever"."""
CLIENTS: Final = "ollama"
"""What the User-Agent of Ollama's own clients begins with: `ollama/0.13.5 (...)`, `ollama-python/0.6.1`."""


class OllamaTags(BaseModel):
    """What GET /api/tags answers."""

    models: list[OllamaModel]


class OllamaRunning(BaseModel):
    """What GET /api/ps answers."""

    models: list[OllamaLoaded]


class ShowWish(BaseModel):
    """Which model is meant (`name` is how older clients say it), and whether short arrays are wanted as well."""

    model: str = ""
    name: str = ""
    verbose: bool = False


ShowBody = Annotated[ShowWish, Depends(read_as(ShowWish))]


@router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
async def root(request: Request, door: SecondDoorDep) -> Response:
    """Say what Ollama's clients expect to hear, to them and where they look; lead everybody else to the interface."""
    client = request.headers.get("user-agent", "").lower()
    if client.startswith(CLIENTS) or is_second(request.scope.get("server"), door):
        return PlainTextResponse("Ollama is running")
    return interface.entry()


@router.get("/api/tags", response_model=OllamaTags)
async def tags(
    runtime: RuntimeDep, downloads: DownloadsDep, installation: InstallationDep, grant: GrantDep
) -> JSONResponse:
    """List the models, as Ollama does: by id and by every alias with a tag, since those are names in its manner."""
    names = dict(offered(runtime, grant))
    files = await about_files(runtime, downloads, (model_id for model_id in names.values() if model_id is not None))
    rows = [_row(name, files.get(model_id or "", NO_FILES), installation) for name, model_id in names.items()]
    return JSONResponse(OllamaTags(models=rows).model_dump())


@router.get("/api/ps", response_model=OllamaRunning)
async def ps(runtime: RuntimeDep, downloads: DownloadsDep, grant: GrantDep) -> JSONResponse:
    """List the models that are loaded, with what they take of memory and when they go."""
    ids = [model_id for name, model_id in offered(runtime, grant) if model_id is not None and name == tagged(model_id)]
    loaded = [runtime.config.models[model_id] for model_id in ids if _is_loaded(runtime, model_id)]
    files = await about_files(runtime, downloads, (model.id for model in loaded))
    rows = [_loaded_row(runtime, model, files[model.id]) for model in loaded]
    return JSONResponse(OllamaRunning(models=rows).model_dump())


@router.post("/api/show", response_model=OllamaShown, openapi_extra=described_as(ShowWish))
async def show(
    runtime: RuntimeDep,
    downloads: DownloadsDep,
    installation: InstallationDep,
    grant: GrantDep,
    wish: ShowBody,
) -> JSONResponse:
    """Show all about a model."""
    name = named(wish.model, wish.name)
    model = runtime.config.models[meant(runtime, grant, name)]
    about = (await about_files(runtime, downloads, [model.id]))[model.id]
    header = await asyncio.to_thread(header_of, about.paths[0]) if about.paths else None
    template, parameters = template_of(header), parameters_of(model, about)
    shown = OllamaShown(
        license=(about.facts.license if about.facts is not None else None) or "",
        modelfile=modelfile(about, template, parameters),
        parameters=parameters,
        template=template,
        details=details_of(about),
        model_info=model_info(model, about, header, verbose=wish.verbose),
        capabilities=capabilities_of(model, about, header),
        modified_at=rfc3339(about.modified_at or installation.started_at),
    )
    return JSONResponse(shown.model_dump())


def is_second(server: tuple[str, int] | None, door: SecondDoor) -> bool:
    """Whether a request came in where clients of Ollama look."""
    return server is not None and door.listen is not None and server[1] == door.listen.port


def named(model: str, name: str) -> str:
    """Return the name in a request. Raises BadRequest when there is none."""
    found = (model or name).strip()
    if not found:
        raise BadRequest("model is required", param="model")
    return found


def offered(runtime: Runtime, grant: Grant | None) -> Iterator[tuple[str, str | None]]:
    """Give every name that is listed, with its tag, and the model that it means now, by name."""
    names = {row["id"]: _stands_for(runtime, row["id"]) for row in listed(runtime, grant)}
    ids = {name for name, model_id in names.items() if name == model_id}
    for model_id in ids:
        names |= {alias: model_id for alias in runtime.config.models[model_id].plain_aliases if has_tag(alias)}
    for name, meaning in sorted(names.items()):
        yield tagged(name), meaning


def meant(runtime: Runtime, grant: Grant | None, name: str) -> str:
    """Return the id of the model that a name means. Raises ModelNotFound, also for one that the key is not for."""
    model_id = _stands_for(runtime, name) or _stands_for(runtime, other_spelling(name))
    if model_id is None or (grant is not None and not grant.knows(model_id)):
        raise ModelNotFound(name, [listed_name for listed_name, _model_id in offered(runtime, grant)])
    return model_id


def _stands_for(runtime: Runtime, name: str) -> str | None:
    """Return which model a name means: itself, a pin's target or the first of a selector."""
    config = runtime.config
    profile = config.profiles.get(runtime.profile.name) if runtime.profile.name is not None else None
    target = profile.pins.get(name, name) if profile is not None else name
    found = config.resolve(target) if target else None
    if found is None and target and (selector := config.selectors.get(target)) is not None:
        return next((model_id for each in selector.targets if (model_id := config.resolve(each)) is not None), None)
    return found


def _row(name: str, about: AboutFiles, installation: Installation) -> OllamaModel:
    return OllamaModel(
        name=name,
        model=name,
        modified_at=rfc3339(about.modified_at or installation.started_at),
        size=about.size,
        digest=about.digest,
        details=details_of(about),
    )


def _is_loaded(runtime: Runtime, model_id: str) -> bool:
    running = runtime.supervisor.running(model_id)
    return runtime.supervisor.state(model_id) is ModelState.READY and (running is None or not running.asleep)


def _loaded_row(runtime: Runtime, model: ModelConfig, about: AboutFiles) -> OllamaLoaded:
    taken, name = runtime.memory.known(model.id), tagged(model.id)
    return OllamaLoaded(
        name=name,
        model=name,
        size=taken.total or about.size,
        size_vram=taken.total - taken.on(RAM),
        digest=about.digest,
        details=details_of(about),
        expires_at=_expires_at(runtime, model),
        context_length=about.context or model.capabilities.context,
    )


def _expires_at(runtime: Runtime, model: ModelConfig) -> str:
    """Return when a model is unloaded if nobody asks for it."""
    slot, now = runtime.supervisor.slots.get(model.id), asyncio.get_running_loop().time()
    at = slot.stays_until(now) if slot is not None else FOREVER
    return NEVER if at == FOREVER else rfc3339(time.time() + max(0.0, at - now))
