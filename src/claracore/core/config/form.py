"""What does a form show of the models in a configuration text, and how does it change that text?

Values are what a person types: texts, of which the empty one takes an option out. The text is changed by `edit`, so
that everything else stays as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from claracore.core.config.edit import EditRefused, put, remove
from claracore.core.config.lines import LineEdit, read_plain, value_at
from claracore.errors import ModelNotFound

CONTEXT = re.compile(r"(--ctx-size|-c)([ =]+)(\d+)")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
REMARK = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
"""Lines of a command that begin with # are remarks."""


@dataclass(frozen=True, slots=True)
class ModelForm:
    """What a form shows of one model; `line` (from 1) is where it begins, 0 where it is not written by itself."""

    id: str
    line: int
    ttl: str
    context: str
    group: str


@dataclass(frozen=True, slots=True)
class FormChange:
    """What a person typed; None leaves an option as it is."""

    ttl: str | None = None
    context: str | None = None
    group: str | None = None


def forms(text: str) -> list[ModelForm]:
    """Return the forms of all models, in the order of the text. Raises Unreadable."""
    edit = LineEdit(text)
    lines = {block.path[-1]: block.start + 1 for block in edit.blocks(("models",))}
    return [_form(edit.wanted, model_id, lines.get(model_id, 0)) for model_id in _mapping(edit.wanted, "models")]


def groups(text: str) -> list[str]:
    """Return the names of the groups, in the order of the text. Raises Unreadable."""
    return list(_mapping(read_plain(text), "groups"))


def changed(text: str, model_id: str, change: FormChange) -> str:
    """Return the text with what a person typed about one model.

    Raises Unreadable, ModelNotFound, EditRefused (it is written in a way that no program should change).
    """
    if change.ttl is not None:
        text = set_option(text, model_id, "ttl", change.ttl)
    if change.context is not None:
        text = set_context(text, model_id, change.context)
    if change.group is not None:
        text = set_group(text, model_id, change.group)
    return text


def set_option(text: str, model_id: str, key: str, value: str) -> str:
    """Set a plain option of a model, or take it out. Raises as `changed`."""
    _model(read_plain(text), model_id)
    path = ("models", model_id, key)
    return put(text, path, _typed(value)) if value else remove(text, path)


def set_context(text: str, model_id: str, value: str) -> str:
    """Set --ctx-size in a model's command, and what its capabilities say if they say the same. Raises as `changed`."""
    model = _model(read_plain(text), model_id)
    command = model.get("cmd")
    if not isinstance(command, str):
        raise EditRefused(f"{model_id} has no cmd of its own")
    declared = value_at(model, ("capabilities", "context"))
    if value and declared is not None and str(declared) == _context_of(command):
        text = put(text, ("models", model_id, "capabilities", "context"), _typed(value))
    return put(text, ("models", model_id, "cmd"), _with_context(command, value))


def set_group(text: str, model_id: str, group: str) -> str:
    """Put a model into a group; an empty name takes it out of its group. Raises as `changed`."""
    before = _group_of(read_plain(text), model_id)
    if before == group:
        return text
    if before:
        rest = [member for member in _members(text, before) if member != model_id]
        text = put(text, ("groups", before, "members"), rest)
    return put(text, ("groups", group, "members"), [*_members(text, group), model_id]) if group else text


def _form(says: dict[str, Any], model_id: str, line: int) -> ModelForm:
    ttl, command = (value_at(says, ("models", model_id, key)) for key in ("ttl", "cmd"))
    context = _context_of(command) if isinstance(command, str) else ""
    return ModelForm(model_id, line, "" if ttl is None else str(ttl), context, _group_of(says, model_id))


def _mapping(says: dict[str, Any], key: str) -> dict[str, Any]:
    value = says.get(key)
    return value if isinstance(value, dict) else {}


def _model(says: dict[str, Any], model_id: str) -> dict[str, Any]:
    models = _mapping(says, "models")
    if model_id not in models:
        raise ModelNotFound(model_id, models)
    model = models[model_id]
    if not isinstance(model, dict):
        raise EditRefused(f"{model_id} is not written as a mapping")
    return model


def _group_of(says: dict[str, Any], model_id: str) -> str:
    """Return the first group that has a model; empty for none."""
    for name, group in _mapping(says, "groups").items():
        members = group.get("members") if isinstance(group, dict) else None
        if isinstance(members, list) and model_id in members:
            return name
    return ""


def _members(text: str, name: str) -> Sequence[object]:
    group = _mapping(read_plain(text), "groups").get(name)
    if not isinstance(group, dict):
        raise EditRefused(f"group {name} is not written as a mapping")
    members = group.get("members")
    if members is not None and not isinstance(members, list):
        raise EditRefused(f"the members of {name} are not written as a list")
    return members or []


def _typed(value: str) -> object:
    """Return a number for a text that looks like one."""
    found = NUMBER.fullmatch(value)
    if found is None:
        return value
    return float(value) if found[1] else int(value)


def _find_context(command: str) -> re.Match[str] | None:
    """Find the flag of the context, with positions that are those in the command."""
    return CONTEXT.search(REMARK.sub(lambda remark: " " * len(remark[0]), command))


def _context_of(command: str) -> str:
    found = _find_context(command)
    return found[3] if found is not None else ""


def _with_context(command: str, value: str) -> str:
    """Return a command with this context; without the flag for an empty value."""
    found = _find_context(command)
    if found is not None and value:
        return f"{command[: found.start(3)]}{value}{command[found.end() :]}"
    if found is not None:
        shorter = command[: found.start()].rstrip(" \t") + command[found.end() :]
        return re.sub(r"\n[ \t]*\n", "\n", shorter, count=1)
    if not value:
        return command
    trimmed = command.rstrip()
    separator = "\n" if "\n" in command else " "
    return f"{trimmed}{separator}--ctx-size {value}{command[len(trimmed) :]}"
