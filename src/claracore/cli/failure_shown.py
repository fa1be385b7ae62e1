"""How is a person in a terminal told why a model did not start?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from claracore.cli.client import Server, ServerSaid, path_of

LOOK_SECONDS = 10.0
OF_A_START = frozenset({None, 502, 503, 504})
"""With what a server answers for a model that did not start; None in a stream that has begun."""
SAME = 60
"""So many letters of two messages tell that they are about the same."""


@contextmanager
def failures_explained(server: Server, model: str) -> Iterator[None]:
    """Raise what the server says of a model that did not start in parts: cause, evidence, way out."""
    try:
        yield
    except ServerSaid as error:
        if error.answered not in OF_A_START or (words := _explained(server, model, error.message)) is None:
            raise
        raise ServerSaid(words, error.answered, error.code) from error


def _explained(server: Server, model: str, message: str) -> str | None:
    found = server.asked(f"/api/models/{path_of(model)}", timeout_seconds=LOOK_SECONDS)
    if found is None or not found["error"] or not message.startswith(found["error"].partition("\n")[0][:SAME]):
        return None
    return "\n".join(failure_lines(server, found))


def failure_lines(server: Server, found: dict[str, Any]) -> list[str]:
    """Return why the last start of a model (`GET /api/models/{id}`) failed."""
    failure, model = found["failure"], found["id"]
    lines = [f"{model} did not start: {failure['cause']}"]
    lines += [f"  it said:   {failure['evidence']}"] if failure["evidence"] else []
    lines += [f"  way out:   {failure['way_out']}"] if failure["way_out"] else []
    known = server.asked(f"/api/models/{path_of(model)}/remedies", timeout_seconds=LOOK_SECONDS)
    remedies = known["remedies"] if known else []
    where = f"{server.url}/ui/models/{path_of(model)}"
    lines += [f"  may help:  {one['label']} ({one['words']})" for one in remedies]
    lines += [f"             {where} shows what each would change, and does it"] if remedies else []
    return [*lines, f"  its log:   claracore logs {model}"]
