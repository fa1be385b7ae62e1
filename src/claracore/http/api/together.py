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

Names = Annotated[list[str], Query(alias="model", min_length=1, max_length=16)]


class Step(BaseModel):
    """One model's turn, when those before it have had theirs."""

    model: str
    loaded: bool
    """Whether it has a server now, which those before it leave alone."""
    unloads: list[str]
    """Who goes for it then, by id: models before it, and others that run."""
    refused: str | None
    """Why it would be refused then; null when it would not."""
    seconds: float | None
    """How long its load is expected to take, once it can start; null when unknown, or it is loaded."""


class TogetherView(BaseModel):
    """The models in the order in which they have their turns: those that are loaded first."""

    steps: list[Step]
    together: bool
    """Whether all of them are loaded in the end, with none of them swapped for another."""


@router.get("/api/together")
async def together(runtime: RuntimeDep, names: Names) -> TogetherView:
    """Say what loading these models one after another would bring about; nothing is loaded for it."""
    asked = list(dict.fromkeys(runtime.resolve(name) for name in names))
    stopped = [model for model in asked if runtime.supervisor.state(model) is ModelState.STOPPED]
    await asyncio.gather(*(runtime.load_times.look(model) for model in stopped))
    steps: list[Step] = []
    order = sorted(asked, key=lambda model: model in stopped)
    for at, model in enumerate(order):
        gone = {gone for step in steps for gone in step.unloads}
        steps.append(_step(runtime, model, order[:at], loaded=model not in stopped and model not in gone))
    fit = all(step.refused is None and not set(step.unloads) & set(asked) for step in steps)
    return TogetherView(steps=steps, together=fit)


def _step(runtime: Runtime, model: str, before: list[str], *, loaded: bool) -> Step:
    if loaded:
        return Step(model=model, loaded=True, unloads=[], refused=None, seconds=None)
    preview = runtime.supervisor.preview(model, before)
    seconds = runtime.load_times.expected(model).left_seconds
    return Step(
        model=model,
        loaded=False,
        unloads=list(preview.unloads),
        refused=preview.refused,
        seconds=None if seconds is None else round(seconds, 3),
    )
