"""How is a model's server at this moment, for whoever looks at it?

One value that API, metrics, activity and command line read; nobody outside of this folder sees the object that runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from claracore.core.loading.phases import LoadPhase
from claracore.host.supervisor.health import Loading
from claracore.types import Endpoint, ModelState


@dataclass(frozen=True, slots=True)
class Running:
    """How one run of a model's server is at this moment."""

    state: ModelState
    endpoint: Endpoint | None = None
    """Where it answers, or will; None until its port or socket is chosen."""
    pid: int | None = None
    """The first process of its command; None before that is started, and for a server that somebody else runs."""
    since: float | None = None
    """When that process was started, in seconds of `time.monotonic()`; None as `pid` is."""
    loading: Loading | None = None
    """What it said last of its loading; still there when it is ready."""
    asleep: bool = False
    """Whether it has freed its memory until the next request (`--sleep-idle-seconds`, or the option `sleep`)."""
    restore_seconds: float | None = None
    """How long it took to bring conversations back into it; None where there were none."""
    phase: LoadPhase | None = None
    """What it is at while it loads, or was at last; None where it tells nothing that is known."""
    ranks: Mapping[int, str] = field(default_factory=dict)
    """The other machines that run the model with this one (`nodes: 2`), by the rank that each has."""

    @property
    def port(self) -> int | None:
        """Its TCP port; None while there is no endpoint, and for a Unix socket."""
        return (self.endpoint.port or None) if self.endpoint is not None else None
