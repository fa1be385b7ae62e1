"""What may a model that calls tools do here? See the models, load them, unload them.

These are values and calls; `mcp_protocol` speaks MCP around them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from claracore.errors import BadRequest, ClaraCoreError, ModelNotFound
from claracore.http.access.keys import Grant, Right
from claracore.http.api.parts import Runtime
from claracore.http.api.views import Views

LISTED: Final = frozenset(
    ("id", "name", "description", "aliases", "state", "group", "kind", "capabilities", "pinned", "error")
)
"""What a list has of a model; the status of one has everything but its command."""
COMMAND: Final = frozenset(("cmd", "endpoint"))

Arguments = dict[str, Any]
CheckRight = Callable[[Right], None]
"""Raises ClaraCoreError for a right that the caller does not have."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls a tool."""

    grant: Grant | None
    check_right: CheckRight

    def knows(self, model_id: str) -> bool:
        """Whether a model is among those that the caller may know of."""
        return self.grant is None or self.grant.knows(model_id)


@dataclass(frozen=True, slots=True)
class ModelTool:
    """A tool as it is offered, and what it does."""

    name: str
    description: str
    right: Right
    run: Callable[[Runtime, Caller, Arguments], Awaitable[dict[str, Any]]]
    names_model: bool = False
    """Whether it takes a `model`."""
    needs_model: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its arguments."""
        model = {"model": {"type": "string", "description": "a model's id or one of its aliases"}}
        properties = model if self.names_model else {}
        required = ["model"] if self.needs_model else []
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


async def call(runtime: Runtime, caller: Caller, name: str, arguments: Arguments) -> dict[str, Any]:
    """Run a tool; return its result. Raises ClaraCoreError."""
    tool = next((tool for tool in TOOLS if tool.name == name), None)
    if tool is None:
        raise BadRequest(f"there is no tool {name!r}; there are {', '.join(tool.name for tool in TOOLS)}")
    caller.check_right(tool.right)
    if unknown := arguments.keys() - tool.schema["properties"].keys():
        raise BadRequest(f"{name} takes no argument {min(unknown)!r}")
    return await tool.run(runtime, caller, arguments)


def _named(runtime: Runtime, caller: Caller, arguments: Arguments) -> str:
    """Return the id of the model that is meant. Raises BadRequest, ModelNotFound."""
    name = arguments.get("model")
    if not isinstance(name, str) or not name:
        raise BadRequest("say which model: 'model' is its id", param="model")
    model_id = runtime.config.resolve(name)
    if model_id is None or model_id not in runtime.config.models or not caller.knows(model_id):
        raise ModelNotFound(name, _listed(runtime, caller))
    return model_id


def _listed(runtime: Runtime, caller: Caller) -> list[str]:
    """Return the ids of the models that a list shows."""
    models = runtime.config.models.values()
    return sorted(model.id for model in models if not model.unlisted and caller.knows(model.id))


async def _list(runtime: Runtime, caller: Caller, _arguments: Arguments) -> dict[str, Any]:
    views = Views(runtime)
    ids = _listed(runtime, caller)
    rows = [views.model(model_id, with_memory=False).model_dump(mode="json", include=set(LISTED)) for model_id in ids]
    return {"models": rows}


async def _status(runtime: Runtime, caller: Caller, arguments: Arguments) -> dict[str, Any]:
    model_id = _named(runtime, caller, arguments)
    await runtime.load_times.look(model_id)
    return Views(runtime).model(model_id).model_dump(mode="json", exclude=set(COMMAND))


async def _load(runtime: Runtime, caller: Caller, arguments: Arguments) -> dict[str, Any]:
    model_id = _named(runtime, caller, arguments)
    await runtime.machines.load(model_id)
    return {"model": model_id, "state": runtime.supervisor.state(model_id).value}


async def _unload(runtime: Runtime, caller: Caller, arguments: Arguments) -> dict[str, Any]:
    ids = [_named(runtime, caller, arguments)] if "model" in arguments else list(runtime.supervisor.slots)
    ids = [model_id for model_id in ids if caller.knows(model_id)]
    await runtime.supervisor.unload(ids)
    return {"unloaded": ids}


TOOLS: Final = (
    ModelTool("list_models", "Lists the models of this server, each with its state.", Right.READ, _list),
    ModelTool(
        "model_status",
        "Tells everything about one model: state, progress of its load, memory, who waits, what it would unload.",
        Right.READ,
        _status,
        names_model=True,
        needs_model=True,
    ),
    ModelTool(
        "load_model",
        "Loads a model, for which others may be unloaded; answers when it is ready.",
        Right.ADMIN,
        _load,
        names_model=True,
        needs_model=True,
    ),
    ModelTool(
        "unload_model",
        "Unloads a model, or all of them when none is named; answers when its memory is free.",
        Right.ADMIN,
        _unload,
        names_model=True,
    ),
)


def text_of(error: ClaraCoreError) -> str:
    """Return what a caller is told of an error."""
    return f"{error.message} ({error.code})" if error.code else error.message
