"""What does a server say of itself and its models, whichever program it is?

A ClaraCore says everything in one answer (`GET /api/node`). Of others their own calls are read: llama-swap's
`/v1/models` and `/running`, LM Studio's `/api/v0/models`, Ollama's `/api/tags` and `/api/ps`, and `/v1/models` of
llama-server and vLLM. Which program it is is found out once and tried first after that.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import httpx2

from claracore.core.cluster.model import Fit, NodeFile, NodeKind, NodeMemory, NodeModel, NodeReport, PartReport
from claracore.host.cluster.json_there import json_of
from claracore.types import ModelState

MOST_MODELS: Final = 5_000
"""Of one node; what it has beyond that is not looked at."""
LONGEST_NAME: Final = 300
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_GONE_STATUS: Final = frozenset({400, 404, 405, 501})
"""What servers answer to a path that they do not have."""


class NotUnderstood(Exception):
    """The server has answered, and not in a way that tells how it is; says why."""


class KeyRefused(NotUnderstood):
    """The server wants another key for what it was asked."""


class Inquiry:
    """Asks one server how it is. Raises what `httpx2` raises, and `NotUnderstood`."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        """`client` has the address and the key of the server."""
        self._client = client
        self._known: Callable[[], Awaitable[NodeReport | None]] | None = None

    async def report(self) -> NodeReport:
        """Return what it says now."""
        refused: KeyRefused | None = None
        for ask in (self._known, self._claracore, self._llama_swap, self._lm_studio, self._ollama, self._openai):
            try:
                found = await ask() if ask is not None else None
            except KeyRefused as error:  # a key for inference only may still see the list of models
                refused = error
                continue
            if found is not None:
                self._known = ask
                return replace(found, models=_nameable(found.models))
        raise refused or NotUnderstood("it has none of the lists of models that are known here")

    async def _get(self, path: str) -> dict[str, Any] | None:
        """Return the JSON object at a path; None where there is none."""
        answer = await self._client.get(path)
        if answer.status_code in _GONE_STATUS:
            return None
        if answer.status_code in {401, 403}:
            raise KeyRefused(f"it refuses the key ({answer.status_code})")
        if answer.status_code != 200:
            raise NotUnderstood(f"it answers {answer.status_code} to GET {path}")
        try:
            found = json_of(answer)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    async def _claracore(self) -> NodeReport | None:
        found = await self._get("/api/node")
        return None if found is None or found.get("kind") != NodeKind.CLARACORE else report_of_claracore(found)

    async def _llama_swap(self) -> NodeReport | None:
        running = await self._get("/running")
        if running is None or not isinstance(running.get("running"), list):
            return None
        states = {_text(row, "model"): _state(_text(row, "state")) for row in _rows(running, "running")}
        listed = await self._get("/v1/models")
        models = [NodeModel(name, states.get(name, ModelState.STOPPED)) for name in _names(listed)]
        return NodeReport(NodeKind.LLAMA_SWAP, tuple(models))

    async def _lm_studio(self) -> NodeReport | None:
        found = await self._get("/api/v0/models")
        if found is None or not isinstance(found.get("data"), list):
            return None
        models = [
            NodeModel(
                _text(row, "id"),
                ModelState.READY if row.get("state") == "loaded" else ModelState.STOPPED,
                context=_number(row, "loaded_context_length") or _number(row, "max_context_length"),
            )
            for row in _rows(found, "data")
            if _text(row, "id")
        ]
        return NodeReport(NodeKind.LM_STUDIO, tuple(models))

    async def _ollama(self) -> NodeReport | None:
        tags = await self._get("/api/tags")
        if tags is None or not isinstance(tags.get("models"), list):
            return None
        loaded = {_text(row, "name"): row for row in _rows(await self._get("/api/ps") or {}, "models")}
        models = [
            NodeModel(
                name,
                ModelState.READY if name in loaded else ModelState.STOPPED,
                context=_number(loaded.get(name, {}), "context_length"),
            )
            for row in _rows(tags, "models")
            if (name := _text(row, "name"))
        ]
        return NodeReport(NodeKind.OLLAMA, tuple(models))

    async def _openai(self) -> NodeReport | None:
        listed = await self._get("/v1/models")
        if listed is None or not isinstance(listed.get("data"), list):
            return None
        rows = _rows(listed, "data")
        owners = {_text(row, "owned_by") for row in rows}
        kind = NodeKind.LLAMA_SERVER if "llamacpp" in owners else NodeKind.VLLM if "vllm" in owners else NodeKind.OTHER
        slots = _number(await self._get("/props") or {}, "total_slots") if kind is NodeKind.LLAMA_SERVER else None
        models = [
            NodeModel(name, _state_in(row), slots=slots, context=_number(row, "max_model_len"))
            for row in rows
            if (name := _text(row, "id")) and not _is_passed_on(row)
        ]
        return NodeReport(kind, tuple(models))


def report_of_claracore(found: dict[str, Any]) -> NodeReport:
    """Return what a ClaraCore's `GET /api/node` says; what cannot be read of it is left out."""
    models = [
        NodeModel(
            name,
            _state(_text(row, "state")),
            fit=_fit(_text(row, "fit")),
            requests=_number(row, "requests") or 0,
            slots=_number(row, "slots") or None,
            context=_number(row, "context") or None,
            why=_text(row, "why"),
            left_seconds=_number(row, "left_seconds"),
            revision=_text(row, "revision"),
        )
        for row in _rows(found, "models")
        if (name := _text(row, "name"))
    ]
    memory = [
        NodeMemory(_text(row, "device"), _number(row, "total_bytes") or 0, _number(row, "free_bytes") or 0)
        for row in _rows(found, "memory")
    ]
    return NodeReport(
        NodeKind.CLARACORE,
        tuple(models),
        identity=_text(found, "identity"),
        version=_text(found, "version"),
        hardware=_text(found, "hardware"),
        memory=tuple(memory),
        files=tuple(_file(row) for row in _rows(found, "files") if _text(row, "name")),
        part=_part(found.get("part")),
    )


def _file(row: dict[str, Any]) -> NodeFile:
    return NodeFile(
        _text(row, "name"),
        _number(row, "size_bytes") or 0,
        _number(row, "done_bytes") or 0,
        fetching=row.get("fetching") is True,
        left_seconds=_number(row, "left_seconds"),
        why=_text(row, "why"),
    )


def _part(found: object) -> PartReport | None:
    if not isinstance(found, dict):
        return None
    kept = found.get("kept")
    names = [name for name in kept[:MOST_MODELS] if isinstance(name, str)] if isinstance(kept, list) else []
    revision, refused, why = (_text(found, key) for key in ("revision", "refused", "why"))
    return PartReport(found.get("accepts") is True, revision, refused, why, tuple(names))


def _nameable(models: tuple[NodeModel, ...]) -> tuple[NodeModel, ...]:
    """Return the models once each, without those whose name would break a table or a log."""
    by_name = {model.name: model for model in reversed(models) if _CONTROL.search(model.name) is None}
    return tuple(reversed(by_name.values()))


def _rows(found: dict[str, Any], key: str) -> list[dict[str, Any]]:
    rows = found.get(key)
    return [row for row in rows[:MOST_MODELS] if isinstance(row, dict)] if isinstance(rows, list) else []


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) and len(value) <= LONGEST_NAME else ""


def _number(row: dict[str, Any], key: str) -> int | None:
    value = row.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _state(text: str) -> ModelState:
    return ModelState(text) if text in set(ModelState) else ModelState.STOPPED


def _fit(text: str) -> Fit:
    return Fit(text) if text in set(Fit) else Fit.UNKNOWN


def _state_in(row: dict[str, Any]) -> ModelState:
    """Return the state of a model of `/v1/models`: llama-server's router says it, others list what they serve."""
    status = row.get("status")
    unloaded = isinstance(status, dict) and status.get("value") in {"unloaded", "sleeping"}
    return ModelState.STOPPED if unloaded else ModelState.READY


def _names(listed: dict[str, Any] | None) -> list[str]:
    """Return the ids of a list of models; without those that the server itself only passes on, lists would grow."""
    return [name for row in _rows(listed or {}, "data") if (name := _text(row, "id")) and not _is_passed_on(row)]


def _is_passed_on(row: dict[str, Any]) -> bool:
    meta = row.get("meta")
    ours = meta.get("llamaswap") if isinstance(meta, dict) else None
    return isinstance(ours, dict) and ours.get("type") in {"peer", "selector", "profile", "alias"}
