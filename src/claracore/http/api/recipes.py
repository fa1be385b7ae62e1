"""How do other programs use this server? Recipes with its address and a model in their places.

A key is never in them: where one is needed, the place says so.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from claracore.core.config.model import ModelConfig
from claracore.errors import BadRequest, ModelNotFound
from claracore.http.api.dependencies import GrantDep, KeyRingDep, RuntimeDep
from claracore.http.api.recipe import Filling, Kind, filled, part_for
from claracore.http.api.recipe_shelf import recipes as all_recipes
from claracore.http.api.views import kind_of

router = APIRouter(tags=["recipes"])

NEEDED_KEY = "YOUR_KEY"
"""Stands where a key has to be put in."""
NO_KEY = "none"
"""Many programs refuse an empty one."""
_ADDRESS = re.compile(r"https?://[^\s/?#\"'`<>\\]+(/[^\s?#\"'`<>\\]*)?")


class RecipeView(BaseModel):
    """How one program is made to use this server."""

    name: str
    title: str
    about: str
    group: str
    kinds: list[Kind]
    """With which kinds of models it does something."""
    text: str
    """Markdown."""


class RecipesView(BaseModel):
    """The recipes, in the order in which they are shown."""

    recipes: list[RecipeView]
    key: str
    """What stands in the place of a key."""
    needs_key: bool


@router.get("/api/recipes")
async def recipes(  # noqa: PLR0917 - FastAPI calls it by name
    request: Request,
    runtime: RuntimeDep,
    ring: KeyRingDep,
    grant: GrantDep,
    model: Annotated[str | None, Query(description="a model's name; only what it can be used with is listed")] = None,
    address: Annotated[str | None, Query(max_length=300, description="where clients reach this server")] = None,
) -> RecipesView:
    """List how programs are made to use this server; `address` is by default the one that was asked."""
    key = NEEDED_KEY if ring.any else NO_KEY
    filling = Filling(address=_address(request, address), key=key)
    kind: Kind | None = None
    if model is not None:
        found = runtime.config.models[runtime.resolve(model)]
        if grant is not None and not grant.knows(found.id):
            raise ModelNotFound(model, [name for name in runtime.config.models if grant.knows(name)])
        kind = kind_of_recipe(found)
        filling = Filling(filling.address, model, key, found.capabilities.context or filling.context)
    shown = [
        RecipeView(
            name=recipe.name,
            title=recipe.title,
            about=recipe.about,
            group=recipe.group,
            kinds=list(recipe.kinds),
            text=filled(part_for(recipe.text, kind), filling),
        )
        for recipe in all_recipes()
        if kind is None or kind in recipe.kinds
    ]
    return RecipesView(recipes=shown, key=key, needs_key=ring.any)


def kind_of_recipe(model: ModelConfig) -> Kind:
    """Return for which recipes a model is; one of which nothing is known may be a chat model."""
    match kind_of(model):
        case "embedding" | "reranker" as kind:
            return kind
    return "chat"


def _address(request: Request, written: str | None) -> str:
    if written is None:
        return str(request.base_url).rstrip("/") + getattr(request.state, "base_path", "")
    if _ADDRESS.fullmatch(written) is None:
        raise BadRequest("address: write it as http://HOST:PORT", param="address")
    return written.rstrip("/")
