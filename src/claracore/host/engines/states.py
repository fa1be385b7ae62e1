"""What does a llama-server say to the router that started it, and how is it told to end?

llama.cpp's protocol between its router and the router's children (tools/server/server-models.cpp): with `ENVIRONMENT`
set, a child keeps stdout for lines that begin with `MARK` and logs to stderr only; once it is ready it reads stdin,
ends at the line `EXIT`, and ends at once when stdin closes. We are such a router. One thing is ours to mind: a child
that somebody else sends SIGTERM stops serving, and then waits for stdin before its process ends.

Pure text in, values out. Imported by every start of the embedded engine: nothing heavy here.
"""

from __future__ import annotations

import json
from typing import NamedTuple

ENVIRONMENT = {"LLAMA_SERVER_ROUTER_PORT": "0"}
"""That it is set is all that counts; a child never calls the router."""

MARK = "cmd_child_to_router:state:"
EXIT = b"cmd_router_to_child:exit\n"


class State(NamedTuple):
    """What a child said: `name` is loading, ready, sleeping, downloading or what a later llama.cpp adds."""

    name: str
    loading: str = ""
    """What is being loaded, in words."""
    progress: float | None = None
    """Of loading, over all its stages: 0 to 1."""


STAGES = {"text_model": "model", "spec_model": "draft model", "mmproj_model": "projector"}


def parse(line: str) -> State | None:
    """Return what a line of stdout says; None for one that is no report, a nameless state for one that is broken."""
    if not line.startswith(MARK):
        return None
    try:
        report = json.loads(line.removeprefix(MARK))
        name, payload = str(report["state"]), report.get("payload")
        return State(name, *_loading(payload)) if name == "loading" else State(name)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return State("")


def _loading(payload: dict[str, object]) -> tuple[str, float | None]:
    """Read `{"stages": [...], "current": STAGE, "value": 0..1}`, or `{"stage": STAGE}`.

    Each stage counts the same: how large each is is not told.
    """
    stages, value = payload.get("stages"), payload.get("value")
    current = str(payload.get("current", payload.get("stage", "model")))
    progress = f"Loading {STAGES.get(current, current)}"
    if not isinstance(stages, list) or current not in stages or not isinstance(value, int | float):
        return progress, None
    return progress, (stages.index(current) + max(0.0, min(1.0, float(value)))) / len(stages)
