"""What is there to see about ports: the plan, and what is true right now?

A pure function from a plan and observations to the values that `claracore ports --json` and `GET /api/ports` give as
JSON, field by field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from claracore.core.ports.listen import Listen
from claracore.core.ports.ranges import PortPlan, runs
from claracore.types import Finding

if TYPE_CHECKING:
    from claracore.core.config.model import Config


class PortState(StrEnum):
    """What a port is at this moment."""

    FREE = "free"
    HELD = "held"
    """Kept by the kernel for a model of ours that is not running."""
    LEASED = "leased"
    """Given to a model of ours that is starting."""
    SERVING = "serving"
    """A model of ours, or the web interface, listens."""
    EXTERNAL = "external"
    """The configuration names a server there that somebody else runs."""
    STRANGER = "stranger"
    """Somebody else has it."""
    INSTANCE = "instance"
    """Another ClaraCore has it."""
    TIME_WAIT = "time_wait"
    """Only remains of finished connections; ours to take."""
    UNKNOWN = "unknown"
    """Not looked at."""


AVAILABLE = frozenset({PortState.FREE, PortState.TIME_WAIT})
"""What anybody may take."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known about one port: its state, the model that has it (when it is not the planned one), who holds it."""

    state: PortState
    model: str | None = None
    pid: int | None = None
    holder: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class PortRow:
    """One port that is planned or in use."""

    port: int
    model: str | None
    group: str | None
    state: str
    pid: int | None
    holder: str
    note: str


@dataclass(frozen=True, slots=True)
class RangeView:
    """One range; `end` is included."""

    name: str
    start: int
    end: int
    members: list[str]


@dataclass(frozen=True, slots=True)
class WebView:
    """One address of ClaraCore itself: of its web interface and API, or the one for clients of Ollama."""

    hosts: list[str]
    port: int
    url: str
    state: str
    pid: int | None
    holder: str


@dataclass(frozen=True, slots=True)
class PortFinding:
    """One finding about ports, with its place as `file:line:column` or null."""

    severity: str
    message: str
    path: str
    place: str | None
    way_out: str


@dataclass(frozen=True, slots=True)
class ReportView:
    """Everything about ports."""

    web: WebView
    ranges: list[RangeView]
    ports: list[PortRow]
    findings: list[PortFinding]
    ollama: WebView | None = None
    """Where clients of Ollama find ClaraCore too; null for nowhere."""


RAY = "(Ray)"
"""What Ray's ports are called among the ranges."""
UNSEEN = Observation(PortState.UNKNOWN)


def report(
    plan: PortPlan,
    config: Config,
    observed: Mapping[int, Observation],
    *,
    findings: tuple[Finding, ...] = (),
) -> ReportView:
    """Return plan and truth together; `findings` (of holding) come after the plan's own.

    A model that runs on another port than planned has a row for each: who has the planned one, and its own.
    """
    owners = _models_by_port(plan)
    rows = {port: (models, observed.get(port, UNSEEN)) for port, models in owners.items()}
    own = {listen.port for listen in (plan.web, plan.ollama) if listen is not None}
    for port, observation in observed.items():
        if port not in rows and port not in own:
            rows[port] = ([observation.model] if observation.model else [], observation)
    return ReportView(
        web=_web(plan.web, observed.get(plan.web.port, UNSEEN)),
        ollama=_web(plan.ollama, observed.get(plan.ollama.port, UNSEEN)) if plan.ollama is not None else None,
        ranges=[
            *(RangeView(stretch.name, stretch.start, stretch.end, list(stretch.members)) for stretch in plan.ranges),
            *(RangeView(RAY, first, last, []) for first, last in runs(plan.ray)),
        ],
        ports=[
            _row(port, model_id, config, observation)
            for port, (models, observation) in sorted(rows.items())
            for model_id in models or [None]
        ],
        findings=[_finding(finding) for finding in (*plan.findings, *findings)],
    )


def _models_by_port(plan: PortPlan) -> dict[int, list[str | None]]:
    owners: dict[int, list[str | None]] = {}
    for model_id, port in (*plan.assignment.items(), *plan.fixed.items()):
        owners.setdefault(port, []).append(model_id)
    return owners


def _web(web: Listen, seen: Observation) -> WebView:
    return WebView(
        hosts=list(web.hosts), port=web.port, url=web.url, state=seen.state.value, pid=seen.pid, holder=seen.holder
    )


def _row(port: int, model_id: str | None, config: Config, seen: Observation) -> PortRow:
    note = seen.note
    if model_id is not None and seen.model is not None and seen.model != model_id:
        note = f'planned for "{model_id}"' + (f"; {note}" if note else "")
        model_id = seen.model
    return PortRow(
        port=port,
        model=model_id,
        group=config.group_of(model_id) if model_id is not None else None,
        state=seen.state.value,
        pid=seen.pid,
        holder=seen.holder,
        note=note,
    )


def _finding(finding: Finding) -> PortFinding:
    return PortFinding(
        severity=finding.severity,
        message=finding.message,
        path=finding.path,
        place=str(finding.place) if finding.place else None,
        way_out=finding.way_out,
    )


def role_of(port: int, plan: PortPlan) -> str:
    """Return what the plan wants with a port, in words; empty when nothing."""
    if port == plan.web.port:
        return "it is the port of ClaraCore's web interface"
    if plan.ollama is not None and port == plan.ollama.port:
        return "it is where clients of Ollama look for ClaraCore (--ollama, ollama.listen)"
    if port in plan.ray:
        return f"it is Ray's, as the configuration has it (`cluster`): {plan.ray[port]}"
    for model_id, assigned in plan.assignment.items():
        if assigned == port:
            return f'it is planned for model "{model_id}"'
    for model_id, fixed in plan.fixed.items():
        if fixed == port:
            whose = "names a server of somebody else there" if model_id in plan.external else "names it itself"
            return f'model "{model_id}" {whose}'
    if port in plan.reserved:
        return "a model's command names it"
    for stretch in plan.ranges:
        if port in stretch:
            return f"it lies in the range {stretch} of {stretch.path} and nobody is planned for it"
    return ""
