"""In which ways can a model be run here, and how is another one taken?"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel, model_validator

from claracore.errors import Conflict
from claracore.host.setup.choice_views import ChoiceView, PlacementSettings
from claracore.host.setup.model_choices import ModelChoices, choices_for, written_text
from claracore.host.setup.request import SetupOptions
from claracore.host.setup.survey_for_config import Surveyor
from claracore.host.supervisor.edits import careful
from claracore.http.api.config import WrittenView, change_config
from claracore.http.api.dependencies import RuntimeDep, SurveyorDep
from claracore.http.api.parts import Runtime

router = APIRouter(tags=["models"])


class ChoicesView(BaseModel):
    """The ways in which a model can be run on this machine, the fastest first."""

    model: str
    choices: list[ChoiceView]
    current: int | None
    """Which of them its command says; null where that is a placement of a person's own."""
    now: ChoiceView | None
    """What its command says; null where there is nothing to choose."""
    why_none: str | None
    """Why there is nothing to choose."""


class ChoiceWish(BaseModel):
    """Which choice to take: by its number, from 0, or by its settings, which cannot be mistaken."""

    choice: int | None = None
    settings: PlacementSettings | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> ChoiceWish:
        if (self.choice is None) == (self.settings is None):
            raise ValueError("say either choice or settings")
        return self


@router.get("/api/models/{name:path}/choices")
async def choices(runtime: RuntimeDep, surveyor: SurveyorDep, name: str) -> ChoicesView:
    """Show the ways in which a model can be run on this machine, and what each costs."""
    model_id = runtime.resolve(name)
    try:
        found = await _choices(runtime, surveyor, model_id)
    except Conflict as reason:
        return ChoicesView(model=model_id, choices=[], current=None, now=None, why_none=str(reason))
    return ChoicesView(model=model_id, choices=found.views, current=found.current, now=found.now_view, why_none=None)


@router.post("/api/models/{name:path}/choices")
async def choose(runtime: RuntimeDep, surveyor: SurveyorDep, name: str, wish: ChoiceWish) -> WrittenView:
    """Write a choice into the model's command; all else in it stays, and so does the choice at later set-ups."""
    model_id = runtime.resolve(name)
    configuration = runtime.configuration
    found = await _choices(runtime, surveyor, model_id)
    trade = found.named(wish.settings if wish.settings is not None else wish.choice or 0)
    return await change_config(
        configuration,
        careful(configuration, lambda text: written_text(configuration, text, model_id, found, trade)),
        "*",
    )


async def _choices(runtime: Runtime, surveyor: Surveyor, model_id: str) -> ModelChoices:
    await runtime.memory.prepared()
    options = await surveyor.options(SetupOptions())
    return await asyncio.to_thread(choices_for, model_id, runtime.config, runtime.memory, options)
