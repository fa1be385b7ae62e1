"""Which error codes are there, what causes each, and what is the way out?"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import claracore
from claracore.core.loading.container_failures import KNOWN_OF_CONTAINERS
from claracore.core.loading.explain import SIGNALS
from claracore.core.loading.known_failures import KNOWN
from claracore.core.scheduler.events import RefuseReason
from claracore.errors import ClaraCoreError
from claracore.host.supervisor.health import MORE_TIME
from claracore.host.supervisor.life import NO_PORT
from claracore.host.supervisor.no_room import NoRoom
from claracore.host.supervisor.program import SpawnFailed
from claracore.host.supervisor.ran_out import RanOutOfMemory
from claracore.host.supervisor.refusals import Circumstances, refusal
from reference.tables import table

HEAD = """\
# Errors

<!-- Made from the classes of errors in src/claracore by tools/docs_reference.py; a test keeps it up to date. -->

Every error has a status and the envelope `{"error": {"message", "type", "param", "code"}}`; clients of Anthropic's and
Ollama's APIs get the same in their shape ([API](../api.md)). `message` says what was the case, `code` is for programs.
What follows says in general what causes a code, and the way out.

SDKs repeat a request after 408, 409, 429 and every 5xx, unless the answer says `x-should-retry: false`. `Retry-After`
says when it is of use.

## Codes
"""
REFUSED = """
## Requests that wait for a model

A request that the scheduler does not serve gets one of these:
"""
FAILED = """
## Models that do not start

The message of `model_failed` ends with the last lines of the model's server. A line that is known is explained: in the
message, on the page of the model, and with a `kind` for programs in `GET /api/models/{id}`. Words in braces are those
of the line.
"""

OTHERS = [
    ("`memory`", RanOutOfMemory.cause, RanOutOfMemory.way_out),
    ("`port`", "no port could be bound", NO_PORT),
    ("`program`", SpawnFailed.cause, SpawnFailed.way_out),
    ("`time`", "it was not ready in time", MORE_TIME),
]


def kinds_of_errors() -> list[type[ClaraCoreError]]:
    """Return every class of an error that has a code of its own, by code; modules that have one are imported."""
    source = Path(claracore.__path__[0])
    for file in sorted(source.rglob("*.py")):
        if '\n    code = "' in file.read_text(encoding="utf-8"):
            importlib.import_module(".".join(["claracore", *file.relative_to(source).with_suffix("").parts]))
    return sorted(_below(ClaraCoreError), key=lambda kind: (kind.code, kind.__name__))


def _below(kind: type[ClaraCoreError]) -> Iterator[type[ClaraCoreError]]:
    if "code" in kind.__dict__:
        yield kind
    for below in kind.__subclasses__():
        yield from _below(below)


def page() -> str:
    """Return docs/reference/errors.md."""
    rows = [(f"`{kind.code}`", str(kind.status), kind.cause, kind.way_out) for kind in kinds_of_errors()]
    codes = table(("code", "status", "cause", "way out"), rows)
    refused = table(("because", "code", "status"), [_refused(reason) for reason in RefuseReason])
    lines = [(f"`{failure.kind}`", failure.cause, failure.way_out) for failure in (*KNOWN, *KNOWN_OF_CONTAINERS)]
    known = lines + [(f"`{kind}`", cause, way_out) for kind, cause, way_out in SIGNALS.values()] + OTHERS
    return f"{HEAD}\n{codes}{REFUSED}\n{refused}{FAILED}\n{table(('kind', 'cause', 'way out'), sorted(known))}"


def _refused(reason: RefuseReason) -> tuple[str, str, str]:
    """Return a row: the reason and the error that clients see, of a made-up request."""
    nobody: frozenset[str] = frozenset()
    error = refusal(reason, Circumstances("m", nobody, 0, 0, 0.0, "", None, no_room=NoRoom("")))
    own = "" if reason is not RefuseReason.FAILED else ", or that of the failure"
    return reason.value, f"`{error.code}`{own}", str(error.status)
