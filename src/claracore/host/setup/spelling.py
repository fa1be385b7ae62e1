"""Which of the models that were found is the one whose file an entry of the configuration names?

The same path, another name of the same file, a copy of it; of the hub's cache another revision; of Ollama's store what
has taken its name, when the file is gone: a pull removes the old bytes.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from claracore.core.fit.catalog import Candidate
from claracore.core.fit.document import Setup
from claracore.host.library.hub_cache import without_revision
from claracore.host.library.ollama import BLOBS


class Spelling:
    """How the files of a set-up are spelled. Blocking: each is looked at once."""

    def __init__(self, setup: Setup) -> None:
        self._known = {key: item.candidate.path for item in setup.chosen for key in _keys(item.candidate)}
        self._by_name = {
            (os.path.dirname(path), name): item.candidate.path  # noqa: PTH120 - text, as written
            for item in setup.chosen
            for path in (item.candidate.path, *item.candidate.copies)
            if os.path.basename(os.path.dirname(path)) == BLOBS  # noqa: PTH119, PTH120 - as above
            for name in item.candidate.aliases
        }

    def of(self, path: str, names: Collection[str]) -> str:
        """Return the path by which the set-up knows the file of an entry with these aliases; else its own."""
        identity = _identity(path)
        if identity in self._known:
            return self._known[identity]
        if (revised := self._known.get(without_revision(path))) is not None:
            return revised
        if identity == path:  # it is not there
            folder = os.path.dirname(path)  # noqa: PTH120 - as above
            return next((self._by_name[folder, name] for name in names if (folder, name) in self._by_name), path)
        return path


def _keys(candidate: Candidate) -> Iterator[tuple[int, int] | str]:
    for path in (*candidate.copies, candidate.path):
        yield _identity(path)
        if (repository := without_revision(path)) != path:
            yield repository


def _identity(path: str) -> tuple[int, int] | str:
    """Return what all names of one file have in common; the path itself for a file that is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116 - text, as written
    except OSError:
        return path
    return status.st_dev, status.st_ino
