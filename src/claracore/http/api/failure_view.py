"""Why did the last start of a model fail, as the API shows it?"""

from __future__ import annotations

from pydantic import BaseModel

from claracore.core.loading.failure_kinds import FailureKind
from claracore.errors import ClaraCoreError, ModelFailed


class FailureView(BaseModel):
    """Why the last start failed, in parts."""

    kind: FailureKind
    cause: str
    evidence: str
    """The line that says so, of its server's log; empty where none does."""
    way_out: str


def failure_view(failure: ClaraCoreError) -> FailureView:
    """Return a failure in parts; of one that is not known its sentence, and the last line that its server printed."""
    known = failure.explained
    if known is not None:
        kind = FailureKind(known.kind)
        return FailureView(kind=kind, cause=known.cause, evidence=known.evidence, way_out=known.way_out)
    if not isinstance(failure, ModelFailed):
        return FailureView(kind=FailureKind.OTHER, cause=failure.message, evidence="", way_out="")
    last = next((line.strip() for line in reversed(failure.last_lines) if line.strip()), "")
    way_out = "Its log says more" if last else ""
    return FailureView(kind=FailureKind.OTHER, cause=failure.reason, evidence=last, way_out=way_out)
