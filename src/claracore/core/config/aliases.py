"""How does a model get another name in a configuration text, and how does it lose one?"""

from __future__ import annotations

from collections.abc import Collection

from claracore.core.config import edit
from claracore.core.config.lines import KeyPath, read_plain
from claracore.errors import ModelNotFound


def with_aliases(text: str, model_id: str, names: Collection[str]) -> str:
    """Return the text in which a model has these aliases, too. Raises ModelNotFound when the text has no such model."""
    path, known = _aliases(text, model_id)
    new = [name for name in names if name not in known]
    return edit.put(text, path, [*known, *new]) if new else text


def without_alias(text: str, model_id: str, name: str) -> str:
    """Return the text in which a model does not have this alias. Raises as `with_aliases`."""
    path, known = _aliases(text, model_id)
    left = [alias for alias in known if alias != name]
    return edit.put(text, path, left) if left else edit.remove(text, path)


def _aliases(text: str, model_id: str) -> tuple[KeyPath, list[str]]:
    models = read_plain(text).get("models")
    model = models.get(model_id) if isinstance(models, dict) else None
    if not isinstance(model, dict):
        raise ModelNotFound(model_id, models or ())
    found = model.get("aliases")
    return ("models", model_id, "aliases"), [str(alias) for alias in found] if isinstance(found, list) else []
