"""Which errors come of asking the hub, and why did it not answer?"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

from claracore.errors import ClaraCoreError, Forbidden, NotFound


class HubUnreachable(ClaraCoreError):
    """The hub does not answer, or not with what it should; 502."""

    status = 502
    code = "hub_unreachable"
    cause = "The hub does not answer, or not with what it should."
    way_out = "Look at network and proxy (`HTTPS_PROXY`, `HF_ENDPOINT`); a download goes on where it stopped."


class TransientFailure(HubUnreachable):
    """A failure that may be over in a moment; `retry_after_seconds` is how long the hub wants to be left alone."""


class Gated(Forbidden):
    """The hub wants to know who we are, and that they may; 403 with what to do."""

    code = "gated_model"
    cause = "The hub gives this model only to those who have agreed to its terms."
    way_out = "Agree on the model's page, then give ClaraCore a token: `HF_TOKEN`, or Setup in the interface."


class NotOnHub(NotFound):
    """No such repository, revision or file; 404 with near names."""

    code = "not_on_hub"
    cause = "The hub has no such repository, revision or file."
    way_out = "Compare the name with the near ones in the message; it is `ORG/REPO` or `ORG/REPO:QUANTIZATION`."


WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "its name could not be found: is there no network, or no DNS?"),
    (ConnectionRefusedError, "nothing listens there"),
    (ConnectionResetError, "it closed the connection"),
    (TimeoutError, "it did not answer in time"),
)
"""What errors of the system mean, wherever they are in a chain of causes."""


def why(error: BaseException) -> str:
    """Return why somebody could not be reached, in words for people."""
    causes = list(_causes(error))
    for cause in causes:
        for kind, words in WORDS:
            if isinstance(cause, kind):
                return words
    numbers = [cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno is not None]
    return os.strerror(numbers[-1]) if numbers else str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.exceptions[0] if isinstance(cause, ExceptionGroup) else cause.__cause__ or cause.__context__
