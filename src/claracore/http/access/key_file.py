"""Where are the named keys kept, and how is one made or taken away?

`keys.json` in the state folder, readable for its owner only: {"keys": [{name, sha256, scopes, models, created_at,
expires_at, limits}]}. A server and `claracore keys` may change it at the same time: each change holds a lock beside it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from claracore.core.key_limits import NO_LIMITS, KeyLimits
from claracore.errors import BadRequest, Conflict, NotFound
from claracore.host.disk import keep_private, private_folder
from claracore.host.locks import locked
from claracore.host.state import state_path
from claracore.host.store.files import FileUnusable, unwritable
from claracore.http.access.keys import NamedKey, Right, digest_of

FILE = "keys.json"
PREFIX = "cc-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@ -]{0,63}")


class KeyFile:
    """The named keys on the disk; only their owner may read the file.

    Without a state folder they are in memory, for this run only: those of a folder that can be read but not written, to
    begin with.
    """

    def __init__(self, state_dir: Path | None) -> None:
        self._in_memory = state_dir is None
        self._kept: tuple[NamedKey, ...] | None = None
        self._alone = threading.Lock()
        self.path = (state_dir or state_path() or Path(os.devnull)) / FILE
        self._seen: tuple[int, int] | None = None

    def changed(self) -> bool:
        """Whether the file is another one than when this was last asked."""
        try:
            found = self.path.stat()
            now = (found.st_mtime_ns, found.st_size)
        except OSError:
            now = (0, 0)
        before, self._seen = self._seen, now
        return before != now

    def load(self) -> tuple[NamedKey, ...]:
        """Return the keys, by name; none when there is no file. Raises FileUnusable: a broken file opens no door."""
        return self._read() if self._kept is None else self._kept

    def _read(self) -> tuple[NamedKey, ...]:
        if self._in_memory and not os.path.exists(self.path):  # noqa: PTH110 - a folder of somebody else has none of ours
            return ()
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise FileUnusable(f"{self.path} cannot be read: {error.strerror or error}") from error
        try:
            return tuple(sorted(map(_from_disk, json.loads(text)["keys"]), key=lambda key: key.name))
        except (ValueError, KeyError, TypeError) as error:
            raise FileUnusable(
                f"{self.path} is damaged ({error}); restore it, or delete it and make new keys"
            ) from error

    def add(
        self,
        name: str,
        rights: Iterable[Right],
        *,
        models: Iterable[str] | None = None,
        expires_at: float | None = None,
        limits: KeyLimits = NO_LIMITS,
    ) -> tuple[str, NamedKey]:
        """Make a key and return it: this is the only time that it can be seen.

        Raises BadRequest for a name that cannot be used, Conflict for one that is taken, FileUnusable, DiskFull.
        """
        if _NAME.fullmatch(name) is None:
            raise BadRequest(
                f"{name!r}: a name has up to 64 letters, digits, '.', '_', '@', '-' or spaces", param="name"
            )
        wanted = frozenset(rights)
        if not wanted:
            raise BadRequest(f"say what the key may do: {', '.join(Right)}", param="scopes")
        text = PREFIX + secrets.token_urlsafe(32)
        only = frozenset(models) if models is not None else None
        key = NamedKey(name, digest_of(text.encode()).hex(), wanted, only, round(time.time(), 3), expires_at, limits)
        with self._locked():
            keys = self.load()
            if any(other.name == name for other in keys):
                raise Conflict(f"there is a key {name!r} already; remove it first, or take another name")
            self._save((*keys, key))
        return text, key

    def limit(self, name: str, limits: KeyLimits) -> NamedKey:
        """Give a key other limits, in place of those that it has. Raises NotFound, FileUnusable, DiskFull."""
        with self._locked():
            keys = self.load()
            changed = tuple(replace(key, limits=limits) if key.name == name else key for key in keys)
            found = next((key for key in changed if key.name == name), None)
            if found is None:
                raise NotFound(f"there is no key {name!r}")
            self._save(changed)
        return found

    def remove(self, name: str) -> None:
        """Forget a key. Raises NotFound, FileUnusable, DiskFull."""
        with self._locked():
            keys = self.load()
            left = tuple(key for key in keys if key.name != name)
            if len(left) == len(keys):
                raise NotFound(f"there is no key {name!r}")
            self._save(left)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclude whoever else would change the keys. Raises FileUnusable, DiskFull."""
        if self._in_memory:
            with self._alone:
                yield
            return
        try:
            private_folder(self.path.parent)
            with locked(self.path.with_suffix(".lock")):
                yield
        except OSError as error:
            raise unwritable(self.path, error) from error

    def _save(self, keys: Iterable[NamedKey]) -> None:
        if self._in_memory:
            self._kept = tuple(sorted(keys, key=lambda key: key.name))
        else:
            keep_private(self.path, json.dumps({"keys": [_to_disk(key) for key in keys]}, indent=2).encode())


def _to_disk(key: NamedKey) -> dict[str, Any]:
    return {"name": key.name, "sha256": key.digest, **key.as_json()}


def _from_disk(entry: dict[str, Any]) -> NamedKey:
    """Read one entry. Raises ValueError, KeyError or TypeError."""
    digest = str(entry["sha256"])
    if len(bytes.fromhex(digest)) != 32:
        raise ValueError(f"the hash of {entry['name']!r} is no SHA-256")
    models, expires_at = entry.get("models"), entry.get("expires_at")
    return NamedKey(
        str(entry["name"]),
        digest,
        frozenset(Right(scope) for scope in entry["scopes"]),
        frozenset(map(str, models)) if models is not None else None,
        float(entry.get("created_at") or 0),
        float(expires_at) if expires_at is not None else None,
        KeyLimits(**(entry.get("limits") or {})),
    )
