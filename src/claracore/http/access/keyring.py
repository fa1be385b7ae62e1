"""Which keys are there, what may each do, and is this one of them?

Keys of the configuration (`apiKeys`) may do everything; named keys have scopes, perhaps models and an end, and only
their SHA-256 is kept (they are 256 random bits: a slow hash would protect nothing). A presented key is hashed and
compared with every one in constant time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from claracore.errors import BadRequest, Conflict, NotFound
from claracore.host.disk import keep_private, private_folder
from claracore.host.locks import locked
from claracore.host.state import state_path
from claracore.host.store.files import FileUnusable, unwritable

FILE = "keys.json"
PREFIX = "cc-"
LOOK_EVERY_SECONDS = 2.0
NEVER = float("inf")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@ -]{0,63}")


class Right(StrEnum):
    """What a key may be allowed to do."""

    INFERENCE = "inference"
    READ = "read"
    ADMIN = "admin"


ALL_RIGHTS: Final = frozenset(Right)


@dataclass(frozen=True, slots=True)
class Grant:
    """What the holder of a key may do. `models` None means every model."""

    name: str
    rights: frozenset[Right] = ALL_RIGHTS
    models: frozenset[str] | None = None
    expires_at: float | None = None
    """Unix seconds."""

    @property
    def unlimited(self) -> bool:
        """Whether it is for inference with every model, for ever: need not be asked again."""
        return Right.INFERENCE in self.rights and self.models is None and self.expires_at is None

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and time.time() >= self.expires_at

    def may(self, right: Right) -> bool:
        """Whether it includes a right; `admin` includes `read`."""
        return right in self.rights or (right is Right.READ and Right.ADMIN in self.rights)

    def knows(self, model_id: str) -> bool:
        """Whether a model is among those that the key is for."""
        return self.models is None or model_id in self.models

    def may_use(self, model_id: str) -> bool:
        """Whether inference with a model is allowed."""
        return Right.INFERENCE in self.rights and self.knows(model_id)


@dataclass(frozen=True, slots=True)
class NamedKey:
    """One key of the key file. Times are unix seconds."""

    name: str
    digest: str
    """SHA-256 of the key, as hex."""
    rights: frozenset[Right]
    models: frozenset[str] | None = None
    created_at: float = 0.0
    expires_at: float | None = None

    def expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and now >= self.expires_at


class KeyRing:
    """All keys that count now. Immutable but for its two sources, which are replaced as a whole."""

    def __init__(
        self,
        plain: Iterable[str] = (),
        named: Sequence[NamedKey] = (),
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_change` is called when other keys count than before."""
        self._plain: tuple[tuple[bytes, Grant], ...] = ()
        self._named: tuple[NamedKey, ...] = ()
        self._entries: tuple[tuple[bytes, Grant], ...] = ()
        self.version = 0
        """Another number for other keys: what was found out with these counts no longer."""
        self.look_again_at = NEVER
        """When who asks for a key next has to `look` before (event loop time): nothing runs while nobody asks."""
        self._on_change = on_change
        self._look: Callable[[], None] = lambda: None
        self.use_plain(plain)
        self.use_named(named)

    @property
    def any(self) -> bool:
        """Whether a key is needed. An expired key counts: its end must not open the door to everybody."""
        return bool(self._entries)

    @property
    def named(self) -> tuple[NamedKey, ...]:
        """The named keys, the expired ones too."""
        return self._named

    def follow(self, look: Callable[[], None]) -> None:
        """Have `look` called before a key is looked for, but not more often than every other second."""
        self._look = look
        self.look_again_at = -NEVER

    def look(self, now: float) -> None:
        """See whether the keys are other ones by now."""
        self.look_again_at = now + LOOK_EVERY_SECONDS
        self._look()

    def use_plain(self, keys: Iterable[str]) -> None:
        """Take the keys of the configuration."""
        self._plain = tuple((_digest(key.encode()), Grant(f"apiKeys[{n}]")) for n, key in enumerate(keys))
        self._combine()

    def use_named(self, keys: Sequence[NamedKey]) -> None:
        """Take the keys of the key file."""
        self._named = tuple(keys)
        self._combine()

    def grant(self, key: bytes) -> Grant | None:
        """Return what a key allows; None when it is not ours or its time is over. Constant time for wrong keys."""
        presented, found = _digest(key), None
        for digest, grant in self._entries:
            if hmac.compare_digest(digest, presented) and not grant.expired:
                found = grant
        return found

    def _combine(self) -> None:
        named = (
            (bytes.fromhex(key.digest), Grant(key.name, key.rights, key.models, key.expires_at)) for key in self._named
        )
        entries = (*self._plain, *named)
        if entries != self._entries:
            self._entries = entries
            self.version += 1
            self._on_change()


def presented(authorization: bytes | None, x_api_key: bytes | None) -> Iterable[tuple[bytes, bytes]]:
    """Give (header name, key) in the order of COMPAT 2.8: Basic password or Bearer, then x-api-key."""
    if authorization is not None:
        scheme, _, value = authorization.partition(b" ")
        value = value.strip()
        if scheme.lower() == b"bearer":
            yield b"authorization", value
        elif scheme.lower() == b"basic":
            yield b"authorization", _password(value)
    if x_api_key is not None:
        yield b"x-api-key", x_api_key.strip()


def _password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


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
            return tuple(sorted(map(_key, json.loads(text)["keys"]), key=lambda key: key.name))
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
        key = NamedKey(
            name,
            _digest(text.encode()).hex(),
            wanted,
            frozenset(models) if models is not None else None,
            round(time.time(), 3),
            expires_at,
        )
        with self._locked():
            keys = self.load()
            if any(its.name == name for its in keys):
                raise Conflict(f"there is a key {name!r} already; remove it first, or take another name")
            self._save((*keys, key))
        return text, key

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
            keep_private(self.path, json.dumps({"keys": [_plain(key) for key in keys]}, indent=2).encode())


def _plain(key: NamedKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "sha256": key.digest,
        "scopes": sorted(key.rights),
        "models": sorted(key.models) if key.models is not None else None,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
    }


def _key(entry: dict[str, Any]) -> NamedKey:
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
    )
