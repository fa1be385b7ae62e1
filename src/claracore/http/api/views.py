"""How does a model, or a request in flight, look from outside at this moment?"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

from pydantic import BaseModel

from claracore.core.config.command import EMBEDDING_FLAGS, RANKING_FLAGS
from claracore.core.config.model import ModelConfig
from claracore.core.config.show import shown_command
from claracore.core.loading.expected import NOTHING_EXPECTED, ExpectedLoad
from claracore.core.loading.phases import LoadPhase
from claracore.core.memory.footprint import FootprintSource
from claracore.core.scheduler.obstacle import Cause
from claracore.core.scheduler.slot import FOREVER, Slot
from claracore.host.conversations.keeper import ConversationReport
from claracore.host.footprints.command_reader import Expected, ReadCommand
from claracore.host.hardware.usage import memory_bytes
from claracore.host.supervisor.preview import LoadPreview
from claracore.http.api.failure_view import FailureView, failure_view
from claracore.http.api.parts import Runtime
from claracore.http.gateway.inflight import InFlight, Phase
from claracore.types import ModelState

Kind = Literal["chat", "base", "embedding", "reranker", "vision", "audio", "image"]


class WaitView(BaseModel):
    """What the requests that wait for a model wait for; `models` are the others that it is about."""

    cause: Cause
    models: list[str]


class GroupView(BaseModel):
    """The rules by which a group's models run together, and with those of others."""

    swap: bool
    exclusive: bool
    persistent: bool


class FootprintView(BaseModel):
    """What a model takes of each device when it is loaded, and how that is known."""

    devices: dict[str, int]
    """Bytes by device; none when nothing is known."""
    source: FootprintSource
    expected: dict[str, int] | None
    """What command and file let expect, with what was learnt from earlier loads; null where it cannot be counted."""
    measured: dict[str, int] | None
    """What it took when it ran last with this command, whatever is declared; null when it never did."""


class ModelView(BaseModel):
    """One model with its state."""

    id: str
    name: str
    description: str
    aliases: list[str]
    unlisted: bool
    state: ModelState
    group: str
    kind: Kind | None
    capabilities: dict[str, Any]
    node: str | None
    """The other machine that has it; null for one of this machine."""
    port: int | None
    """Where it listens on this machine; null for a model of another, and where it does not."""
    pid: int | None
    memory_bytes: int | None
    memory: FootprintView
    load_seconds: float | None
    progress: float | None
    """How far it is loaded, 0 to 0.99; null when it does not load, or nothing is known of that."""
    progress_message: str | None
    """What it is at while it loads, in words: "reading weights 4.1 of 8.2 GiB"; null when it does not load."""
    load_phase: LoadPhase | None
    """The same as a word for programs; null when it does not load, or its server tells nothing that is known."""
    read_bytes: int | None
    """Bytes of its weights that are read, while they are; null where that cannot be seen."""
    weight_bytes: int | None
    """... of so many; null unless it loads."""
    expected_seconds: float | None
    """In how many seconds it will be ready: while it loads from now, else from when it can start; null when unknown."""
    asleep: bool
    """Whether it is ready but has freed its memory, and loads again at the next request."""
    ttl_seconds: float
    """In force: as a request asked for it (`keep_alive`), or as configured; 0: it stays loaded."""
    ttl_left_seconds: float | None
    serving: int
    waiting: int
    """Requests; who has it loaded by hand is none."""
    loads_by_hand: int
    """How often it was asked for to be loaded, by a person, and is not yet."""
    waits_for: WaitView | None
    pinned: bool
    error: str | None
    failure: FailureView | None
    """The same as `error`, interpreted; null when the last start did not fail."""
    retry_seconds: float | None
    """For how long requests are refused with `error` without another try; a load that a person asks for is one."""
    cmd: str
    endpoint: str | None
    would_unload: list[str]
    """Who would have to go if it were loaded now."""
    in_the_way: list[str]
    """Who would have to go and goes for nobody (pinned, persistent): a load would be refused now."""
    would_not_fit: str | None
    """Why a load would be refused now: for them, or it takes more memory than there is; None when it would not."""
    lessened: str | None
    """What is less than configured, because memory was short: "4096 tokens of context instead of 8192"; else None."""
    tokens_per_second: float | None
    conversation: ConversationReport
    """What is kept of its conversations over the ends of its servers, and whether that has brought anything."""


class RequestView(BaseModel):
    """One request in flight."""

    id: int
    request_id: str
    """By which its client and other machines know it (`X-Request-Id`)."""
    model: str
    requested: str
    path: str
    client: str
    state: Literal["waiting", "serving", "streaming", "finished"]
    position: int | None
    arrived_at: float
    served_at: float | None
    first_byte_at: float | None
    response_bytes: int
    tokens: int
    """How many the model has written so far, counted as they come, about; 0 where that cannot be seen."""
    tokens_per_second: float | None
    """... since the first of them; None before the third."""


def model_views(runtime: Runtime) -> list[ModelView]:
    """Return every model, by id."""
    views = Views(runtime)
    return [views.model(model_id) for model_id in sorted(runtime.config.models)]


class Views:
    """Looks at models; what is the same for all of them is worked out once."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._now = asyncio.get_running_loop().time()

    def model(self, model_id: str, *, with_memory: bool = True) -> ModelView:
        """Return one model, which must be in the configuration."""
        runtime = self._runtime
        model = runtime.config.models[model_id]
        slot = runtime.supervisor.slots.get(model_id)
        running = runtime.supervisor.running(model_id)
        pid, endpoint = (running.pid, running.endpoint) if running else (None, None)
        state = known_state(runtime, model_id)
        expected = runtime.load_times.expected(model_id) if state is not ModelState.READY else NOTHING_EXPECTED
        last, lesser = runtime.swaps.measured(model_id), runtime.memory.lessers.of(model)
        failure, by_hand = runtime.supervisor.failure(model_id), runtime.supervisor.loads_by_hand(model_id)
        expires_at = slot.expires_at if slot else None
        preview = runtime.supervisor.preview(model_id) if state is ModelState.STOPPED else LoadPreview()
        return ModelView(
            id=model_id,
            name=model.name,
            description=model.description,
            aliases=list(model.aliases),
            unlisted=model.unlisted,
            state=state,
            group=runtime.config.group_of(model_id),
            kind=kind_of(model),
            capabilities=_capabilities(model, runtime.memory.command(model_id)),
            node=runtime.node_of(model_id) or None,
            port=runtime.port_of(model_id),
            pid=pid,
            memory_bytes=_memory_bytes(runtime, model_id, pid) if with_memory else None,
            memory=_footprint(runtime, model_id),
            load_seconds=_rounded(slot.load_seconds if slot and slot.load_seconds is not None else last.load_seconds),
            **_loading(expected),
            asleep=running is not None and running.asleep and state is ModelState.READY,
            ttl_seconds=_ttl_seconds(slot) if slot else model.ttl_seconds,
            ttl_left_seconds=_rounded(max(0.0, expires_at - self._now)) if expires_at is not None else None,
            serving=len(slot.serving) if slot else 0,
            waiting=len(slot.waiting) - by_hand if slot else 0,
            loads_by_hand=by_hand,
            waits_for=_wait(runtime, model_id) if slot and slot.waiting else None,
            pinned=slot.pinned if slot else False,
            error=failure.message if failure else None,
            failure=failure_view(failure) if failure else None,
            retry_seconds=_rounded(runtime.supervisor.retry_seconds(model_id)),
            cmd=shown_command(runtime.memory.as_started(model), endpoint),
            endpoint=str(endpoint) if endpoint else None,
            would_unload=list(preview.unloads),
            in_the_way=list(preview.in_the_way),
            would_not_fit=preview.refused,
            lessened=lesser.kept.change if lesser is not None else None,
            tokens_per_second=last.tokens_per_second,
            conversation=runtime.conversations.report(model),
        )


def known_state(runtime: Runtime, model_id: str) -> ModelState:
    """Return the state of a model; one of a peer that is not followed runs, as far as we know, while it answers."""
    remote = runtime.machines.state(model_id)
    if remote is not None:
        return remote
    slot = runtime.supervisor.slots.get(model_id)
    if slot is None or (runtime.config.peer_of(model_id) is not None and not slot.serving):
        return ModelState.STOPPED
    return slot.state


def _loading(expected: ExpectedLoad) -> dict[str, Any]:
    """Return the fields that are about a load."""
    return {
        "progress": None if expected.progress is None else round(expected.progress, 2),
        "progress_message": expected.words or None,
        "load_phase": expected.phase,
        "read_bytes": expected.read_bytes,
        "weight_bytes": expected.total_bytes,
        "expected_seconds": _rounded(expected.left_seconds),
    }


def _footprint(runtime: Runtime, model_id: str) -> FootprintView:
    found, expected = runtime.memory.known(model_id), runtime.memory.expected(model_id)
    seen = runtime.memory.measured(model_id)
    return FootprintView(
        devices=dict(found.by_device),
        source=found.source,
        expected=dict(expected.by_device) if expected is not None else None,
        measured=dict(seen.footprint.by_device) if seen is not None and seen.runs else None,
    )


def _wait(runtime: Runtime, model_id: str) -> WaitView | None:
    found = runtime.supervisor.obstacle(model_id)
    return WaitView(cause=found.cause, models=list(found.models)) if found else None


def group_views(runtime: Runtime) -> dict[str, GroupView]:
    """Return the groups that models are in, by name; none when a matrix decides who runs beside whom.

    Where memory decides, members of a group unload nobody, whatever it says.
    """
    if runtime.config.routing.router.use == "matrix":
        return {}
    unload = not runtime.supervisor.by_memory
    return {
        name: GroupView(swap=group.swap and unload, exclusive=group.exclusive and unload, persistent=group.persistent)
        for name, group in runtime.config.groups.items()
    }


def _memory_bytes(runtime: Runtime, model_id: str, pid: int | None) -> int | None:
    return None if pid is None else memory_bytes(pid, runtime.memory.inside.get(model_id, ()))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _ttl_seconds(slot: Slot) -> float:
    return 0.0 if slot.ttl_seconds == FOREVER else round(slot.ttl_seconds, 3)


def _capabilities(model: ModelConfig, command: ReadCommand | None) -> dict[str, Any]:
    """Return what a model can do: as the configuration says, else as its command and files do."""
    able = model.capabilities
    read = command.expected if command is not None else None
    return {
        "in": list(able.inputs or (_read_inputs(read) if read is not None else ())),
        "out": list(able.outputs),
        "tools": able.tools,
        "reranker": able.reranker,
        "context": able.context or (read.request_context if read is not None else 0),
    }


def _read_inputs(read: Expected) -> list[str]:
    """Return what goes into a model: beside text, what its projector has encoders for; one not known is of pictures."""
    projector = read.case.projector
    if projector is None:
        return ["text"]
    sounds = [encoder.side == 0 for encoder in projector.encoders]
    return ["text", *(["image"] if not all(sounds) or not sounds else []), *(["audio"] if any(sounds) else [])]


def kind_of(model: ModelConfig) -> Kind | None:
    """Return what sort of model it is, as far as its configuration tells."""
    able, words = model.capabilities, set(model.cmd.split())
    if able.reranker or words & RANKING_FLAGS:
        return "reranker"
    if words & EMBEDDING_FLAGS:
        return "embedding"
    if able.outputs and "text" not in able.outputs:
        return "image" if "image" in able.outputs else "audio"
    if "image" in able.inputs:
        return "vision"
    if "audio" in (*able.inputs, *able.outputs):
        return "audio"
    return "chat" if "text" in able.outputs else None


def request_views(runtime: Runtime) -> list[RequestView]:
    """Return the requests in flight, the oldest first."""
    return [request_view(runtime, id_, request) for id_, request in sorted(runtime.in_flight.items())]


def former_requests(runtime: Runtime) -> dict[str, int]:
    """Return how many requests of each model the process still has from which this one has taken over."""
    ours = runtime.in_flight.keys()
    slots = runtime.supervisor.slots.values()
    return {slot.model: count for slot in slots if (count := len(slot.serving - ours))}


def request_view(runtime: Runtime, id_: int, request: InFlight) -> RequestView:
    """Return one request in flight."""
    record = request.record
    wall = time.time() - asyncio.get_running_loop().time()
    waiting = request.phase in (Phase.COLLECTING, Phase.WAITING)
    answering = record.first_byte_at is not None
    return RequestView(
        id=id_,
        request_id=record.request_id.decode(),
        model=record.model,
        requested=record.requested,
        path=record.path,
        client=record.client,
        state="waiting" if waiting else "streaming" if answering else "serving",
        position=runtime.supervisor.position(id_) if waiting else None,
        arrived_at=round(record.arrived_at + wall, 3),
        served_at=None if record.served_at is None else round(record.served_at + wall, 3),
        first_byte_at=None if record.first_byte_at is None else round(record.first_byte_at + wall, 3),
        response_bytes=record.response_bytes,
        tokens=record.events,
        tokens_per_second=record.pace(asyncio.get_running_loop().time()),
    )
