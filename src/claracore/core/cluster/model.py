"""What is known of another machine, and what can become of it?

Values only. A node is a server with models on another machine. Times are seconds of the clock of who looks, never of
the node's: clocks differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from claracore.types import ModelState


class NodeState(StrEnum):
    """How a node is, as far as can be known from here."""

    UP = "up"
    SILENT = "silent"
    """It has not answered in time, or has not been heard of yet: it may be slow, the network may be."""
    LOST = "lost"
    """Nobody listens there any more, or it has been silent for too long."""


class NodeKind(StrEnum):
    """Which program serves the models of a node."""

    CLARACORE = "claracore"
    LLAMA_SWAP = "llama-swap"
    LM_STUDIO = "lm-studio"
    OLLAMA = "ollama"
    VLLM = "vllm"
    LLAMA_SERVER = "llama-server"
    OTHER = "other"


class Fit(StrEnum):
    """What the node says would follow if a model that is not loaded were started there."""

    NOW = "now"
    """It fits what is free; nothing has to go."""
    AFTER = "after"
    """Models that are idle would have to go."""
    NEVER = "never"
    """The node would refuse to start it at this moment."""
    FETCH = "fetch"
    """Files of it have to be fetched first, and are being."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class NodeModel:
    """One model, as the node reports it."""

    name: str
    """What it is called there."""
    state: ModelState = ModelState.STOPPED
    fit: Fit = Fit.UNKNOWN
    requests: int = 0
    """With it there, from everybody, waiting ones too."""
    slots: int | None = None
    """How many requests it answers at once; None where that is not said."""
    context: int | None = None
    """Tokens that a request may have; None where that is not said."""
    revision: str = ""
    """Of what the node has from us about it (`SharedModel.revision`); empty where that is nothing."""
    why: str = ""
    """Why it cannot be loaded there now, for people: how far its files are, or why they do not come."""
    left_seconds: float | None = None
    """How long its files will take; None where that is not known."""


@dataclass(frozen=True, slots=True)
class NodeFile:
    """A file that a model of the head's needs on a node. Sizes are in bytes."""

    name: str
    size: int
    done: int
    fetching: bool = False
    left_seconds: float | None = None
    why: str = ""
    """Why it does not come, or what it waits for to pass; for people."""

    @property
    def is_here(self) -> bool:
        """Whether the node has all of it, as announced."""
        return self.done == self.size and not self.fetching and not self.why


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """The memory of one device of a node, in bytes."""

    device: str
    """`ram`, `gpu0`, ..., or `unified`."""
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class PartReport:
    """What a node says of the part of a configuration that it has from its head."""

    accepts: bool = False
    """Whether it would take one from us."""
    revision: str = ""
    """Of the part that is in force there; empty for none."""
    refused: str = ""
    """The revision of a part that it could not use; empty for none."""
    why: str = ""
    """Why it could not."""
    kept: tuple[str, ...] = ()
    """Names of models of the part that its own file has, which is what counts there."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node says of itself."""

    kind: NodeKind
    models: tuple[NodeModel, ...] = ()
    identity: str = ""
    """Names one run of a ClaraCore; empty for others."""
    version: str = ""
    hardware: str = ""
    """Processor and graphics devices, for people."""
    memory: tuple[NodeMemory, ...] = ()
    files: tuple[NodeFile, ...] = ()
    """Those that models of its head need there."""
    part: PartReport | None = None
    """None where it knows of no parts."""

    @property
    def loaded(self) -> tuple[str, ...]:
        """The names of the models that are loaded."""
        return tuple(model.name for model in self.models if model.state is ModelState.READY)


@dataclass(frozen=True, slots=True)
class Node:
    """One other machine."""

    name: str
    state: NodeState
    since: float
    """When it came into this state."""
    heard_at: float | None = None
    """When it spoke last; None: never yet."""
    why: str = ""
    """Why it is not up, for people; empty when it is."""
    report: NodeReport | None = None
    """What it said last, however long ago; None: nothing yet."""
    lapses: int = 0
    """How often it has fallen silent of late."""
    answers: int = 0
    """How many looks in a row it has answered since."""


# --- what becomes of a node ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeUp:
    """It has answered, for the first time or after it was away; a `NodeTold` follows at once."""

    node: str
    at: float


@dataclass(frozen=True, slots=True)
class NodeTold:
    """It has said how it is."""

    node: str
    at: float
    report: NodeReport


@dataclass(frozen=True, slots=True)
class NodeSilent:
    """It has not answered in time. What was sent there may still be answered."""

    node: str
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class NodeLost:
    """Nobody listens there, or it has been silent for too long: what waits for its first byte moves on."""

    node: str
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class NodeExplained:
    """It is lost as before, and by now for another reason."""

    node: str
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class NodeGone:
    """It is not to be followed any more."""

    node: str
    at: float


NodeEvent = NodeUp | NodeTold | NodeSilent | NodeLost | NodeExplained | NodeGone
