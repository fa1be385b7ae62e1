"""What does a configuration say without one of its models?"""

from __future__ import annotations

from typing import Any

from claracore.core.config import edit
from claracore.core.config.lines import read_plain
from claracore.errors import ModelNotFound


def without_model(text: str, model_id: str) -> str:
    """Return the text without the model and its memberships. Raises ModelNotFound when the text does not have it."""
    plain = read_plain(text)
    models = plain.get("models") or {}
    if model_id not in models:
        raise ModelNotFound(model_id, models)
    text = edit.remove(text, ("models", model_id))
    for name, group in (plain.get("groups") or {}).items():
        members = group.get("members") if isinstance(group, dict) else None
        if isinstance(members, list) and model_id in members:
            text = edit.put(text, ("groups", name, "members"), [member for member in members if member != model_id])
    path = ("hooks", "on_startup", "preload")
    preload: Any = plain
    for key in path:
        preload = preload.get(key) if isinstance(preload, dict) else None
    if isinstance(preload, list) and model_id in preload:
        text = edit.put(text, path, [name for name in preload if name != model_id])
    return text
