"""How does the key ring learn of the named keys, and of changes to them?

The key file is read at the start, looked at when somebody asks for a key (`claracore keys` may have changed it), and
written by `/api/keys`. Models that a key names by an alias are those that have the alias now.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from claracore.core.key_limits import NO_LIMITS, KeyLimits
from claracore.errors import BadRequest
from claracore.host.store.files import FileUnusable
from claracore.host.supervisor.configuration import Configuration
from claracore.http.access.key_file import KeyFile
from claracore.http.access.keyring import KeyRing
from claracore.http.access.keys import NamedKey, Right

logger = logging.getLogger("claracore.api")


class NamedKeys:
    """Keeps a ring's named keys as the key file has them."""

    def __init__(self, ring: KeyRing, file: KeyFile, configuration: Configuration) -> None:
        """Read the file. Raises FileUnusable: a damaged one must not open the door."""
        self._ring = ring
        self._file = file
        self._configuration = configuration
        self._use(file.load())
        file.changed()
        ring.follow(self._look)

    def use_again(self) -> None:
        """Take over what the file says now; aliases may mean other models by now."""
        try:
            self._use(self._file.load())
        except FileUnusable as error:
            logger.error("%s; the keys that were read last stay in force", error)  # noqa: TRY400 - no bug

    async def add(
        self,
        name: str,
        rights: Iterable[Right],
        *,
        models: Iterable[str] | None,
        expires_at: float | None,
        limits: KeyLimits = NO_LIMITS,
    ) -> tuple[str, NamedKey]:
        """Make a key, which counts at once; return it as text, and what is kept of it. Raises as `KeyFile.add`."""
        wanted = frozenset(rights)
        if not self._ring.any and Right.ADMIN not in wanted:
            raise BadRequest(
                "the first key needs the scope admin: without one nobody could make another", param="scopes"
            )
        made = await asyncio.to_thread(
            lambda: self._file.add(name, wanted, models=models, expires_at=expires_at, limits=limits)
        )
        self._take_over()
        return made

    async def limit(self, name: str, limits: KeyLimits) -> NamedKey:
        """Give a key other limits, at once. Raises as `KeyFile.limit`."""
        changed = await asyncio.to_thread(self._file.limit, name, limits)
        self._take_over()
        return changed

    async def remove(self, name: str) -> None:
        """Take a key away; it stops working at once. Raises NotFound, FileUnusable, DiskFull."""
        await asyncio.to_thread(self._file.remove, name)
        self._take_over()

    def _take_over(self) -> None:
        """Use what the file says now, read in the same step: what was read in a thread may be an older text by then."""
        self._use(self._file.load())

    def _look(self) -> None:
        if self._file.changed():
            self.use_again()

    def _use(self, keys: Iterable[NamedKey]) -> None:
        config, named = self._configuration.now.config, []
        for key in keys:
            ids = None if key.models is None else frozenset(config.resolve(name) or name for name in key.models)
            named.append(replace(key, models=ids))
        self._ring.use_named(named)
