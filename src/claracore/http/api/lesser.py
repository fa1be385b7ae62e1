"""What becomes of a model that is started with less than configured, because memory was short?"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.core.config.edit import put
from claracore.core.config.lines import LineEdit, value_at
from claracore.core.config.tree import Unreadable
from claracore.core.fit.step_down import with_values
from claracore.errors import ConfigError, Conflict
from claracore.host.footprints.lesser import Lessened
from claracore.http.api.config import change_config
from claracore.http.api.dependencies import RuntimeDep
from claracore.http.api.views import ModelView, Views

router = APIRouter(tags=["models"])


class LesserWish(BaseModel):
    """Whether the lesser command is written into the configuration; if not, the model's own is tried again."""

    keep: bool


@router.put("/api/models/lesser/{name:path}")
async def settle_lesser(runtime: RuntimeDep, name: str, wish: LesserWish) -> ModelView:
    """Write a model's lesser command into the file, or start it as configured again from its next start on."""
    model_id = runtime.resolve(name)
    found = runtime.memory.lessers.of(runtime.config.models[model_id])
    if found is None:
        raise Conflict(f"model {model_id!r} is started as configured: there is nothing to keep or to drop")
    if wish.keep:
        await change_config(runtime.configuration, lambda text: _written(text or "", model_id, found), "*")
    await asyncio.to_thread(runtime.memory.lessers.drop, model_id)
    runtime.memory.changed(model_id)
    return Views(runtime).model(model_id)


def _written(text: str, model_id: str, lessened: Lessened) -> str:
    """Return the text of a configuration with less in the model's command; its comments and macros stay."""
    path = ("models", model_id, "cmd")
    try:
        cmd = value_at(LineEdit(text).wanted, path)
        if not isinstance(cmd, str):
            raise Conflict(f"the file has no command of model {model_id!r}: it stands in another one")
        return put(text, path, with_values(cmd, lessened.kept.values))
    except Unreadable as error:
        raise ConfigError([error.finding]) from error
