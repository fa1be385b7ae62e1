"""What does a configuration say without some of its models?"""

from __future__ import annotations

from collections.abc import Collection

from claracore.core.config import edit
from claracore.core.config.lines import KeyPath, read_plain, value_at
from claracore.errors import ModelNotFound

PRELOAD = ("hooks", "on_startup", "preload")


def without_model(text: str, model_id: str) -> str:
    """Return the text without the model and its memberships. Raises ModelNotFound when the text does not have it."""
    return without_models(text, (model_id,))


def without_models(text: str, ids: Collection[str]) -> str:
    """Return the text without the models and their memberships, all taken out in one pass. Raises ModelNotFound."""
    plain, gone = read_plain(text), set(ids)
    models = plain.get("models") or {}
    for model_id in ids:
        if model_id not in models:
            raise ModelNotFound(model_id, models)
    changes: dict[KeyPath, object] = {("models", model_id): edit.ABSENT for model_id in ids}
    if gone and len(gone) == len(models):
        changes = {("models",): {}}
    groups = [("groups", name, "members") for name in plain.get("groups") or {}]
    for path in (*groups, PRELOAD):
        named = value_at(plain, path)
        if isinstance(named, list) and any(isinstance(name, str) and name in gone for name in named):
            changes[path] = [name for name in named if not (isinstance(name, str) and name in gone)]
    return edit.change(text, changes)
