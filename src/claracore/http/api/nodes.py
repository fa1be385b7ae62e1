"""How is this machine, for another one that follows it, and how are those that are followed from here?

`/api/node` is asked once a second by every ClaraCore that has this one as a peer with `models: auto`. It says what this
machine runs by itself: what its own peers have is not in it, so that no list grows when two machines name each other.
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter
from pydantic import BaseModel

from claracore import __version__
from claracore.core.cluster.joined import WORDS, Standing
from claracore.core.cluster.model import Fit, Node, NodeKind, NodeState
from claracore.core.cluster.place import LOCAL
from claracore.core.cluster.watch import Witness
from claracore.core.config.own_names import is_own_name
from claracore.errors import ModelNotFound
from claracore.host.cluster.cluster import OURSELVES
from claracore.host.cluster.identity import IDENTITY
from claracore.http.api.dependencies import FetchingDep, GrantDep, HistoryDep, OwnHeadDep, PartDoorDep, RuntimeDep
from claracore.http.api.events.snapshot import SNAPSHOT
from claracore.http.api.node_configuration import NodeConfigurationView, NodePartView, configuration_of, part_here
from claracore.http.api.node_files import NodeFileView, file_view, whole
from claracore.http.api.node_ranks import ranks_at, ranks_here
from claracore.http.api.parts import History, Runtime
from claracore.http.own_head import OwnHead
from claracore.types import ModelState

router = APIRouter(tags=["nodes"])

MOST_FITS: Final = 300
"""What a load would bring about is worked out for so many models; for a longer list it is not said."""
NO_REVISIONS: Final[Mapping[str, str]] = {}


class NodeMemoryView(BaseModel):
    """The memory of one device, in bytes."""

    device: str
    total_bytes: int
    free_bytes: int


class NodeModelView(BaseModel):
    """One model of a machine; `slots` and `context` are null where they are not known."""

    name: str
    state: ModelState
    fit: Fit
    """What would follow if it were loaded there now; `unknown` for one that is loaded."""
    requests: int
    slots: int | None
    context: int | None
    why: str = ""
    """Why it cannot be loaded there now: how far its files are, or why they do not come; empty when it can."""
    left_seconds: int | None = None
    """How long its files will take; null where that is not known."""
    revision: str = ""
    """Of what the machine has from its head about it; empty for its own models, and for all who are not that head."""


class ThisNodeView(BaseModel):
    """This machine, for one that follows it."""

    kind: NodeKind
    identity: str
    version: str
    hardware: str
    memory: list[NodeMemoryView]
    models: list[NodeModelView]
    files: list[NodeFileView]
    """Those that models of its head need here."""
    part: NodePartView


class NodeView(BaseModel):
    """One machine; `local` is this one."""

    name: str
    kind: str
    state: str
    """up, silent, lost, or asleep: lost, and woken by a request."""
    since: float
    """When it came into this state, in unix seconds by the clock of this machine."""
    why: str
    """Why it is not up; empty when it is."""
    url: str
    version: str
    hardware: str
    memory: list[NodeMemoryView]
    loaded: list[str]
    ranks: list[str] = []
    """Of models that it runs together with other machines: `rank 1 of qwen`."""
    models: list[NodeModelView]
    hidden: list[str] = []
    """Its models that are not to be had from here: `NAME/MODEL` is a name of this machine's own."""
    requests: int
    """With it from here, waiting ones too."""
    files: list[NodeFileView] = []
    """Those that models of its head need there."""
    drained: bool = False
    """Whether it gets no new requests."""
    witness: Witness = Witness.NONE
    """What Ray knows of it; none where Ray does not know it."""
    configuration: NodeConfigurationView | None = None
    """Null where it is given no models from here."""


class HeadView(BaseModel):
    """The machine that this one has joined, or that has forgotten it."""

    url: str
    name: str
    """What this machine is called there."""
    standing: Standing
    words: str
    """What it means, and what there is to do."""


class NodesView(BaseModel):
    """All machines, this one first; `head` is null where it has joined none."""

    nodes: list[NodeView]
    head: HeadView | None = None


class PlaceView(BaseModel):
    """One place where a request for a name may be answered, and why it is where it is among them."""

    model: str
    node: str
    reason: str


class NoPlaceView(BaseModel):
    """A machine that has a name and gets no requests for it now, and why."""

    node: str
    reason: str


class PlacesView(BaseModel):
    """Where a request for a name would go now, the best place first."""

    name: str
    places: list[PlaceView]
    others: list[NoPlaceView] = []
    """The machines that have it, too, and are no places."""


@router.get("/api/node")
async def node(
    runtime: RuntimeDep, history: HistoryDep, door: PartDoorDep, fetching: FetchingDep, grant: GrantDep
) -> ThisNodeView:
    """Show this machine as others follow it: memory, the models that it runs by itself, and files that it needs."""
    part = part_here(runtime, accepts=await door.accepts(grant))
    if part.accepts:
        fetching.heard_of_head()
    return ThisNodeView(
        kind=NodeKind.CLARACORE,
        identity=IDENTITY,
        version=__version__,
        hardware=_hardware(history),
        memory=_memory(history),
        models=_own_models(runtime, runtime.configuration.now.part.models if part.accepts else NO_REVISIONS),
        files=[file_view(file) for file in fetching.files()] if part.accepts else [],
        part=part,
    )


@router.get("/api/nodes", dependencies=SNAPSHOT)
async def nodes(runtime: RuntimeDep, history: HistoryDep, own_head: OwnHeadDep) -> NodesView:
    """List this machine and those that it follows, with their models."""
    found = [_local(runtime, history), *(_view(runtime, each) for each in _followed(runtime))]
    return NodesView(nodes=found, head=_head(own_head))


@router.get("/api/places/{name:path}")
async def places(runtime: RuntimeDep, grant: GrantDep, name: str) -> PlacesView:
    """Say where a request for a name would go now, and why; one that names a machine has one place."""
    machines, model_id = runtime.machines, runtime.config.resolve(name)
    ids = machines.shared.get(name) or ((model_id,) if model_id is not None else ())
    if not ids or (grant is not None and not any(map(grant.knows, ids))):
        known = {*machines.shared, *runtime.config.models}
        raise ModelNotFound(name, known if grant is None or grant.models is None else ())
    return PlacesView(
        name=name,
        places=[PlaceView(model=each.model_id, node=each.node, reason=each.reason) for each in machines.places(ids)],
        others=[NoPlaceView(node=node, reason=reason) for node, reason in machines.no_places(ids)],
    )


def _head(own: OwnHead) -> HeadView | None:
    if own.head is not None:
        return HeadView(url=own.head.url, name=own.head.name, standing=own.standing, words=WORDS[own.standing])
    if own.parted is not None:
        words = WORDS[Standing.FORGOTTEN]
        return HeadView(url=own.parted.url, name=own.parted.name, standing=Standing.FORGOTTEN, words=words)
    return None


def _own_models(runtime: Runtime, revisions: Mapping[str, str] = NO_REVISIONS) -> list[NodeModelView]:
    config = runtime.config
    ranks = runtime.held_ranks.names  # nobody is to ask them anything
    own = [model_id for model_id in config.models if config.peer_of(model_id) is None and model_id not in ranks]
    with_fit = len(own) <= MOST_FITS
    return [_own_model(runtime, model_id, revisions.get(model_id, ""), with_fit=with_fit) for model_id in own]


def _own_model(runtime: Runtime, model_id: str, revision: str, *, with_fit: bool) -> NodeModelView:
    supervisor, slot = runtime.supervisor, runtime.supervisor.slots.get(model_id)
    state = supervisor.state(model_id)
    fit = Fit.UNKNOWN
    if with_fit and state is ModelState.STOPPED:
        preview = supervisor.preview(model_id)
        fit = Fit.NEVER if preview.refused is not None else Fit.AFTER if preview.unloads else Fit.NOW
    lacking = runtime.machines.cluster.lacking(model_id) if state is ModelState.STOPPED else None
    command = runtime.memory.command(model_id)
    expected = command.expected if command is not None else None
    return NodeModelView(
        name=model_id,
        state=state,
        fit=fit if lacking is None else lacking.fit,
        why=lacking.why if lacking is not None else "",
        left_seconds=whole(lacking.left_seconds if lacking is not None else None),
        requests=len(slot.serving) + len(slot.waiting) if slot is not None else 0,
        slots=expected.found.settings.parallel if expected is not None else None,
        context=runtime.config.models[model_id].capabilities.context
        or (expected.request_context if expected is not None else None),
        revision=revision,
    )


def _memory(history: History) -> list[NodeMemoryView]:
    """Return the memory as it was sampled last; nothing where nobody samples it."""
    samples = history.samples.samples
    if not samples:
        return []
    last = samples[-1]
    ram = NodeMemoryView(device="ram", total_bytes=last.memory_total_bytes, free_bytes=last.memory_available_bytes)
    gpus = [
        NodeMemoryView(device=f"gpu{gpu.index}", total_bytes=gpu.total_bytes, free_bytes=gpu.free_bytes)
        for gpu in last.gpus
        if gpu.total_bytes is not None and gpu.free_bytes is not None
    ]
    return [ram, *gpus]


def _hardware(history: History) -> str:
    samples = history.samples.samples
    gpus = [gpu.name for gpu in samples[-1].gpus] if samples else []
    cores = f"{len(samples[-1].core_percents)} cores" if samples else ""
    return ", ".join(part for part in (f"{platform.system()} {platform.machine()}", cores, *gpus) if part)


def _local(runtime: Runtime, history: History) -> NodeView:
    models = _own_models(runtime)
    since = time.time() - (asyncio.get_running_loop().time() - runtime.machines.begun_at)
    return NodeView(
        name=LOCAL,
        kind="local",
        state=NodeState.UP.value,
        since=round(since, 3),
        why="",
        url="",
        version=__version__,
        hardware=_hardware(history),
        memory=_memory(history),
        loaded=[model.name for model in models if model.state is ModelState.READY],
        ranks=ranks_here(runtime),
        models=models,
        requests=sum(model.requests for model in models),
    )


def _followed(runtime: Runtime) -> list[Node]:
    return [each for _, each in sorted(runtime.machines.cluster.nodes.items())]


def _view(runtime: Runtime, found: Node) -> NodeView:
    cluster, report = runtime.machines.cluster, found.report
    peer = cluster.peers.get(found.name)
    asleep = found.state is NodeState.LOST and cluster.wakes(found.name) is not None
    state = "asleep" if asleep else found.state.value
    is_self = cluster.is_ourselves(found.name)
    models: list[dict[str, Any]] = []
    for model in report.models if report is not None and not is_self else ():
        now = ModelState.STOPPED if found.state is NodeState.LOST else model.state
        models.append({"name": model.name, "state": now, "fit": model.fit, "requests": model.requests,
                       "slots": model.slots, "context": model.context, "why": model.why,
                       "left_seconds": whole(model.left_seconds)})  # fmt: skip
    return NodeView(
        name=found.name,
        kind=_kind(runtime, found, joined=peer is not None and peer.joined),
        state=state,
        since=round(time.time() - (asyncio.get_running_loop().time() - found.since), 3),
        why=OURSELVES if is_self else found.why,
        url=_shown(peer.proxy) if peer is not None else "",
        version=report.version if report is not None else "",
        hardware=report.hardware if report is not None else "",
        memory=[
            NodeMemoryView(device=each.device, total_bytes=each.total, free_bytes=each.free)
            for each in (report.memory if report is not None else ())
        ],
        loaded=[model["name"] for model in models if model["state"] is ModelState.READY],
        ranks=ranks_at(runtime, found.name),
        models=[NodeModelView(**model) for model in models],
        hidden=[model["name"] for model in models if is_own_name(runtime.config, f"{found.name}/{model['name']}")],
        requests=_requests_with(runtime, found.name),
        files=[file_view(file) for file in (report.files if report is not None else ())],
        drained=found.name in runtime.machines.drained,
        witness=cluster.witnesses.get(found.name, Witness.NONE),
        configuration=configuration_of(runtime, found),
    )


def _kind(runtime: Runtime, found: Node, *, joined: bool) -> str:
    """Return `ray` for what has joined and Ray knows, `node` for what has joined, else which program it is."""
    if joined:
        return "ray" if found.name in runtime.machines.cluster.witnesses else "node"
    return "peer" if found.report is None else found.report.kind.value


def _shown(url: str) -> str:
    """Return an address without the name and the password that may be in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _requests_with(runtime: Runtime, name: str) -> int:
    return sum(runtime.machines.node_of(request.record.model) == name for request in runtime.in_flight.values())
