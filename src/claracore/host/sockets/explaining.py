"""Why can a port not be had, in words for people?"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from claracore.core.ports import messages
from claracore.core.ports.ranges import Range
from claracore.errors import PortTaken
from claracore.host.sockets.hold import ANY
from claracore.host.sockets.owner import holder_in_words
from claracore.types import Finding


@contextmanager
def errors_into(findings: list[Finding], home: Range | None) -> Iterator[None]:
    """Turn a port that cannot be had into a finding: the other models go on."""
    try:
        yield
    except PortTaken as error:
        findings.append(Finding("error", error.message, home.path if home else "", home.place if home else None))


def why_not(port: int, error: OSError) -> str:
    """Return who has a port that could not be bound, or what else the error means."""
    if error.errno != errno.EADDRINUSE:
        return messages.may_not_bind(port)
    return holder_in_words(port, host=ANY) or messages.somebody()


def who_else(port: int) -> str:
    """Return who has a port on which a model's server could not bind just now."""
    return holder_in_words(port, host=ANY, ignore_pid=os.getpid()) or messages.could_not_bind()
