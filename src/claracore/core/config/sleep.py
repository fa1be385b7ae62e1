"""How does a model's server give its memory back without ending, and take it again?

By requests to itself, not by commands: who knows the port, or the Unix socket, is ClaraCore; nothing has to be
installed beside the server (in a container there is no curl); and all engines that can do it have it in their API.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from claracore.core.config.fields import Bytes, Section, option

REQUEST: Final = re.compile(r"(POST|PUT|GET) (/[!-~]*)(?: (\{.*\}))?", re.DOTALL)
EXPECTED_REQUEST: Final = "expected a request: `POST /path`, with its JSON body after that if it has one"


class SleepConfig(Section):
    """How the model's server gives memory back without ending, which happens instead of a stop while RAM has room."""

    enter: str = option(
        "", "Request to the model's server that lets it sleep: `POST /sleep?level=1` (vLLM); a JSON body may follow."
    )
    wake: str = option("", "Request that wakes it: `POST /wake_up`. It is ready when its checkEndpoint answers again.")
    memory: dict[str, Bytes] = option(
        dict,
        "Memory that it takes asleep, by device, as in the model's `memory`. Unset, it is taken to have moved to RAM "
        "all that it took, which is more than vLLM does: that throws its cache away.",
    )


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """A request to a model's own server."""

    method: str
    path: str
    body: bytes = b""


def read_request(text: str) -> ServerRequest:
    """Read `METHOD /path {JSON}`. Raises ValueError for anything else."""
    found = REQUEST.fullmatch(text.strip())
    if found is None:
        raise ValueError(EXPECTED_REQUEST)
    body = found[3] or ""
    try:
        json.loads(body or "{}")
    except (ValueError, RecursionError) as error:
        raise ValueError("what follows the path is not JSON") from error
    return ServerRequest(found[1], found[2], body.encode())
