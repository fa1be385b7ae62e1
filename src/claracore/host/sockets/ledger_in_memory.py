"""What does an instance do that has no folder to share with others?

It knows its own leases only. The kernel still gives a port to one instance, and children still die with their parent;
what is missing are the names of others in messages, the verbs' way to the server, and the orphans of a dead instance.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from claracore.host.sockets.ledger import GivenEntry, Instance, Ledger
from claracore.host.sockets.orphans import Orphan

logger = logging.getLogger("claracore.ports")


class LedgerInMemory(Ledger):
    """A ledger of this instance alone, kept in memory."""

    def __init__(self, given: GivenEntry | None = None) -> None:
        super().__init__(Path(os.devnull), given)

    def _join(self) -> None:
        """Do nothing: there is no folder."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Do nothing: nobody else sees this ledger."""
        yield

    def others(self) -> list[Instance]:
        """Return none: they are not known."""
        return []

    def sweep(self) -> tuple[Orphan, ...]:
        """Return nothing: what a dead instance left is not known."""
        return ()

    def close(self) -> None:
        """Do nothing: nothing was written."""

    def write(self) -> None:
        """Do nothing: there is no folder."""


def ledger_in(folder: Path | None, given: GivenEntry | None = None) -> Ledger:
    """Return the ledger in a folder; one in memory when there is none, or it cannot be used (which is logged).

    `given` is the entry of the process that was this instance before.
    """
    if given is not None and given.lock is None:
        return LedgerInMemory(given)
    if folder is not None:
        try:
            return Ledger(folder, given)
        except OSError as error:
            logger.warning(
                "%s cannot be used (%s): other instances of ClaraCore do not see the ports of this one",
                folder,
                error.strerror or error,
            )
    return LedgerInMemory()
