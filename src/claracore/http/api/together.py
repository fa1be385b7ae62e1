"""What happens if several models are asked the same: do they run together, or is one swapped for the other?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from claracore.http.api.dependencies import RuntimeDep
from claracore.http.api.parts import Runtime
from claracore.types import ModelState

router = APIRouter(tags=["models"])

TURNS = (ModelState.READY, ModelState.STARTING)
"""Who has a server that stays, in the order of their turns; one that ends has to be loaded again."""

Names = Annotated[list[str], Query(alias="model", min_length=1, max_length=16)]


class Step(BaseModel):
    """One model's turn, when those before it have had theirs."""

    model: str
    loaded: bool
    """Whether it has a server now, which those before it leave alone."""
    loading: bool
    """Whether that server is only starting."""
    unloads: list[str]
    """Who goes for it then, by id: models before it, and others that run."""
    refused: str | None
    """Why it would be refused then; null when it would not."""
    seconds: float | None
    """How long its load is expected to take, once it can start, or what is left of it; null when unknown or over."""


class TogetherView(BaseModel):
    """The models in the order in which they have their turns: those that are loaded first, then those that start."""

    steps: list[Step]
    together: bool
    """Whether all of them are loaded in the end, with none of them swapped for another."""


@router.get("/api/together")
async def together(runtime: RuntimeDep, names: Names) -> TogetherView:
    """Say what loading these models one after another would bring about; nothing is loaded for it."""
    asked = list(dict.fromkeys(runtime.resolve(name) for name in names))
    states = {model: runtime.supervisor.state(model) for model in asked}
    stopped = [model for model, state in states.items() if state not in TURNS]
    await asyncio.gather(*(runtime.load_times.look(model) for model in stopped))
    steps: list[Step] = []
    order = sorted(asked, key=lambda model: len(TURNS) if model in stopped else TURNS.index(states[model]))
    for at, model in enumerate(order):
        gone = {gone for step in steps for gone in step.unloads}
        stays = model not in stopped and model not in gone
        steps.append(_served(runtime, model, states[model]) if stays else _loaded(runtime, model, order[:at]))
    fit = all(step.refused is None and not set(step.unloads) & set(asked) for step in steps)
    return TogetherView(steps=steps, together=fit)


def _served(runtime: Runtime, model: str, state: ModelState) -> Step:
    """Return the turn of a model whose server is there."""
    loading = state is ModelState.STARTING
    seconds = _seconds(runtime, model) if loading else None
    return Step(model=model, loaded=True, loading=loading, unloads=[], refused=None, seconds=seconds)


def _loaded(runtime: Runtime, model: str, before: list[str]) -> Step:
    """Return the turn of a model that is loaded for it, when those before have had theirs."""
    preview = runtime.supervisor.preview(model, before)
    unloads = [other for other in preview.unloads if other != model]
    seconds = _seconds(runtime, model)
    return Step(model=model, loaded=False, loading=False, unloads=unloads, refused=preview.refused, seconds=seconds)


def _seconds(runtime: Runtime, model: str) -> float | None:
    left = runtime.load_times.expected(model).left_seconds
    return None if left is None else round(left, 3)
