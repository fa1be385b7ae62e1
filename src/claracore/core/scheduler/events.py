"""What can happen, and what can be ordered?

Facts are in the past tense and go into the scheduler; orders are imperatives and come out. All are plain values, equal
by value, so that a test is a transcript and a log of them is a replay.

Promises that the shell gives:

* every `Serve` is followed by exactly one `Finished` or `Returned`, whatever happens to client, child or network;
* every `Start` is followed by at most one `Ready` and then by exactly one `Ended`, asked for or not;
* an `Inherited` comes for a model that is stopped, in place of `Start` and `Ready`; one `Ended` follows;
* every `Sleep` is followed by `FellAsleep` or `Ended`, every `Wake` by `Ready` or `Ended`: who fails to do either ends;
* a `RanOut` comes right before the `Ended` of a model that did not become ready;
* every `Measure` is followed by exactly one `MemorySampled`, which is looked for after it was ordered;
* every `LookAhead` is followed by one `LookedAhead`, but where the model is started,
  unloaded or configured anew before, or the end comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, DeviceMemory, Footprint
from claracore.core.scheduler.policy import Policy

# --- facts ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request for a model came in (or a person asked to load it, which is a request with an empty answer)."""

    request: int
    model: str
    by_hand: bool = False
    """A person asks for it: it is started even if its start has just failed."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A request is over: answered, failed, or its client left while waiting or streaming."""

    request: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The model's server answers its health check on a port that is provably its own."""

    model: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The model's server is gone: it was stopped, could not be started, or died."""

    model: str


@dataclass(frozen=True, slots=True)
class FellAsleep:
    """The model's server has given back what it was asked to, and its process is still there."""

    model: str


@dataclass(frozen=True, slots=True)
class RanOut:
    """The model's server did not become ready because memory was short; `Ended` follows at once."""

    model: str
    footprint: Footprint
    """What it is taken to need from now on."""
    less: Footprint = UNKNOWN_FOOTPRINT
    """What it takes when it is started with less; of source `unknown` where that is not possible."""
    limited: bool = False
    """Whether a limit of its own process was in the way, so that it is of no use that others go."""


@dataclass(frozen=True, slots=True)
class LookedAhead:
    """What a start of the model needs was looked at, and fetched where it can be: is it sure to fail?"""

    model: str
    fails: bool


@dataclass(frozen=True, slots=True)
class FilesChanged:
    """A file that the model's command names is not the one with which its start failed."""

    model: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody, or somebody else, listens where the model's server was verified, although its process still runs."""

    model: str


@dataclass(frozen=True, slots=True)
class Died:
    """The model's server, which was ready, has died by itself; `Ended` follows when all that came of it is gone."""

    model: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A served request found nobody, or nobody verified, to be sent to: no byte of it has left, and it waits again."""

    request: int
    model: str


@dataclass(frozen=True, slots=True)
class UnloadAsked:
    """A person asked for these models to be unloaded."""

    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pinned:
    """A person said that this model is to stay loaded, or no longer has to."""

    model: str
    pinned: bool


@dataclass(frozen=True, slots=True)
class KeepAsked:
    """Somebody who uses the model said for how long its server is to stay loaded without requests, until it ends."""

    model: str
    seconds: float
    """0: no longer than it is in use; inf: always."""


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """A new configuration is in force; the command lines of `changed` models differ from what was started."""

    policy: Policy
    changed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ShutdownAsked:
    """ClaraCore is to end; answers in progress have this long to finish."""

    grace_seconds: float


@dataclass(frozen=True, slots=True)
class StartsHeld:
    """No server is to be started or stopped for now, or may be again: another process is to take them all over."""

    held: bool


@dataclass(frozen=True, slots=True)
class Inherited:
    """The model's server, which is ready, was taken over from the process that was ClaraCore before."""

    model: str
    requests: tuple[int, ...] = ()
    """What that process is still answering with it: each is followed by one `Finished`."""
    idle_seconds: float = 0.0
    """For how long it was not used, where there are no requests."""
    load_seconds: float | None = None
    """How long its load took, as far as known."""
    sleeps: bool = False
    """Whether it has given its memory back until it is woken."""


@dataclass(frozen=True, slots=True)
class MemorySampled:
    """What the devices have, looked up after it was ordered, and what each of the models takes that were asked about.

    No devices: nothing could be seen.
    """

    devices: tuple[DeviceMemory, ...]
    footprints: Mapping[str, Footprint]


@dataclass(frozen=True, slots=True)
class FootprintsKnown:
    """What these models take, as far as is known now."""

    footprints: Mapping[str, Footprint]


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A deadline that the scheduler named has come."""


Event = (
    Arrived
    | Finished
    | Ready
    | Ended
    | FellAsleep
    | RanOut
    | LookedAhead
    | FilesChanged
    | Lost
    | Died
    | Returned
    | UnloadAsked
    | Pinned
    | KeepAsked
    | Reconfigured
    | ShutdownAsked
    | StartsHeld
    | Inherited
    | MemorySampled
    | FootprintsKnown
    | TimePassed
)

# --- orders --------------------------------------------------------------------------------------------------------


class StopReason(StrEnum):
    """Why a model's server is stopped."""

    EVICTED = "evicted"
    UNWANTED = "nobody waits for it any more"
    TTL = "idle for its ttl"
    UNLOADED = "unloaded by request"
    CHANGED = "its configuration changed"
    LOST = "its server no longer listens"
    REMOVED = "removed from the configuration"
    SHUTDOWN = "shutdown"


class RefuseReason(StrEnum):
    """Why a request is not served."""

    QUEUE_FULL = "queue full"
    TIMED_OUT = "waited too long"
    FAILED = "model failed"
    UNLOADED = "model unloaded"
    REMOVED = "model removed"
    PINNED = "a pinned model is in the way"
    NO_ROOM = "more memory than there is"
    SHUTDOWN = "shutting down"


class SecondTry(StrEnum):
    """What is different when a model is started again that ran out of memory."""

    CLEARED = "others go for it"
    WAITED = "memory of models that have just ended is back by now"
    LESSENED = "it is started with less"


@dataclass(frozen=True, slots=True)
class Start:
    """Start the model's server."""

    model: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the model's server, also if it is still loading."""

    model: str
    reason: StopReason


@dataclass(frozen=True, slots=True)
class Sleep:
    """Have the model's server give its memory back without ending; `reason` is why it would be stopped else."""

    model: str
    reason: StopReason


@dataclass(frozen=True, slots=True)
class Wake:
    """Have the model's server, which sleeps, take its memory again."""

    model: str


@dataclass(frozen=True, slots=True)
class Serve:
    """Forward the request to its model, which is ready."""

    request: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer the request with an error."""

    request: int
    reason: RefuseReason


@dataclass(frozen=True, slots=True)
class Measure:
    """Look how much memory the devices have, and what each of these models takes."""

    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LookAhead:
    """Look whether a start of the model is sure to fail, and fetch what it needs where that is not here."""

    model: str


@dataclass(frozen=True, slots=True)
class TellMissing:
    """Tell people that memory of models that have ended did not come back in time, in bytes by device."""

    missing: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Take in that a model that ran out of memory is started once more; `LESSENED`: with its lesser command."""

    model: str
    how: SecondTry


Order = Start | Stop | Sleep | Wake | Serve | Refuse | Measure | LookAhead | TellMissing | TryAgain
