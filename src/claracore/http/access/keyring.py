"""Which keys count now, and is this one of them?

Keys of the configuration (`apiKeys`) may do everything; named keys have scopes, perhaps models and an end, and only
their SHA-256 is kept. A presented key is hashed and compared with every one in constant time.
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from claracore.core.key_limits import KeyMeters
from claracore.http.access.keys import Grant, NamedKey, digest_of

LOOK_EVERY_SECONDS = 2.0
NEVER = float("inf")
KEY_HEADERS = (b"x-api-key", b"api-key", b"x-goog-api-key")
"""Where clients of Anthropic, of Azure and of Google put their keys."""


class KeyRing:
    """All keys that count now. Immutable but for its two sources, which are replaced as a whole."""

    def __init__(
        self,
        plain: Iterable[str] = (),
        named: Sequence[NamedKey] = (),
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`plain` are the keys of the configuration, as they are sent; `named` those of the key file.

        `on_change` is called when other keys count than before.
        """
        self._plain: tuple[tuple[bytes, Grant], ...] = ()
        self._named: tuple[NamedKey, ...] = ()
        self._entries: tuple[tuple[bytes, Grant], ...] = ()
        """(SHA-256, what it allows)"""
        self.version = 0
        """Another number for other keys: what was found out with these counts no longer."""
        self.look_again_at = NEVER
        """When who asks for a key next has to `look` before (event loop time): nothing runs while nobody asks."""
        self.meters = KeyMeters()
        """What the named keys have used."""
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
        """See whether the keys are other ones by now; `now` is the event loop's time."""
        self.look_again_at = now + LOOK_EVERY_SECONDS
        self._look()

    def use_plain(self, keys: Iterable[str]) -> None:
        """Replace the keys of the configuration."""
        self._plain = tuple((digest_of(key.encode()), Grant(f"apiKeys[{n}]")) for n, key in enumerate(keys))
        self._combine()

    def use_named(self, keys: Sequence[NamedKey]) -> None:
        """Replace the keys of the key file."""
        self._named = tuple(keys)
        self.meters.use((key.name, key.limits) for key in keys)
        self._combine()

    def grant(self, key: bytes) -> Grant | None:
        """Return what a key allows; None when it is not ours or its time is over. Constant time for wrong keys."""
        presented, found = digest_of(key), None
        for digest, grant in self._entries:
            if hmac.compare_digest(digest, presented) and not grant.expired(time.time()):
                found = grant
        return found

    def _combine(self) -> None:
        entries = (*self._plain, *((bytes.fromhex(key.digest), key.grant) for key in self._named))
        if entries != self._entries:
            self._entries = entries
            self.version += 1
            self._on_change()


def presented(noted: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield (header name, key): the token of Bearer, or password and user of Basic, first; then those of `KEY_HEADERS`.

    `noted` are header values by lower-case name. A Basic header that is not base64 carries the key b"", which is
    nobody's. Other schemes carry none.
    """
    authorization = noted.get(b"authorization")
    if authorization is not None:
        scheme, _, value = authorization.partition(b" ")
        value = value.strip()
        if scheme.lower() == b"bearer":
            yield b"authorization", value
        elif scheme.lower() == b"basic":
            for key in _of_basic(value):
                yield b"authorization", key
    for name in KEY_HEADERS:
        if name in noted:
            yield name, noted[name].strip()


def _of_basic(credentials: bytes) -> list[bytes]:
    try:
        user, _, password = base64.b64decode(credentials, validate=True).partition(b":")
    except ValueError:
        return [b""]
    return [password, user] if user else [password]
