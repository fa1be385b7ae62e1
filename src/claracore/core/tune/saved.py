"""How does a tuning get into the configuration's text, so that everything else stays as it is?"""

from __future__ import annotations

from claracore.core.config.edit import EditRefused, put
from claracore.core.config.lines import read_plain, value_at
from claracore.core.tune.command_text import tuned_command
from claracore.core.tune.tuning import Tuning
from claracore.errors import ModelNotFound


def with_tuning(text: str, model_id: str, tuning: Tuning, note: str, *, switch_has_value: bool) -> str:
    """Return the configuration's text with a tuning in the model's command, and a comment with `note` above it.

    A later set-up takes the command for a person's, and keeps it. Raises Unreadable, ModelNotFound, EditRefused.
    """
    plain = read_plain(text)
    models = plain.get("models")
    if not isinstance(models, dict) or model_id not in models:
        raise ModelNotFound(model_id, models or ())
    path = ("models", model_id, "cmd")
    command = value_at(plain, path)
    if not isinstance(command, str):
        raise EditRefused(f"{model_id} has no cmd of its own in this file")
    try:
        changed = tuned_command(command, tuning, note=note, switch_has_value=switch_has_value)
    except ValueError as error:
        raise EditRefused(f"the command of {model_id} cannot be changed by program: {error}") from error
    return put(text, path, changed)
