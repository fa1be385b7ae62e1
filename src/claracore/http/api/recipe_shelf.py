"""Which recipes are there?"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from claracore.http.api.recipe import Recipe, read

GROUPS = ("Coding agents", "Editors", "Chat", "Automation and notes", "Libraries and the command line")
"""In the order in which they are shown."""


@cache
def recipes() -> tuple[Recipe, ...]:
    """Return all recipes, by group and title; read when first asked for."""
    texts = files("claracore.http.api").joinpath("recipe_texts")
    found = [
        read(file.name.removesuffix(".md"), file.read_text(encoding="utf-8"))
        for file in texts.iterdir()
        if file.name.endswith(".md")
    ]
    return tuple(sorted(found, key=lambda recipe: (GROUPS.index(recipe.group), recipe.title.lower())))
