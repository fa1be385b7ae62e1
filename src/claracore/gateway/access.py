"""Who may come in?

Pure: the key that a request carries, compared with the configured ones in constant time. Order: Basic password, Bearer,
`x-api-key`. A header that carried one of our keys is ours and is not passed on; a key for the model server is.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Iterable

# No key is asked for here (COMPAT 2): liveness probes, the entry page, and the redirect to the models page.
OPEN_PATHS = frozenset((b"/", b"/health", b"/wol-health", b"/favicon.ico", b"/upstream"))


_CARRIERS = {
    (False, False): frozenset[bytes](),
    (True, False): frozenset((b"authorization",)),
    (False, True): frozenset((b"x-api-key",)),
    (True, True): frozenset((b"authorization", b"x-api-key")),
}


class Keys:
    """The configured API keys; without any, everybody may come in."""

    __slots__ = ("_keys", "any")

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = tuple(key.encode() for key in keys)
        self.any = bool(self._keys)

    def holds(self, key: bytes) -> bool:
        """Whether `key` is one of ours; takes the same time whichever it is."""
        found = False
        for ours in self._keys:
            found |= hmac.compare_digest(ours, key)
        return found

    def carriers(self, noted: dict[bytes, bytes]) -> frozenset[bytes]:
        """Return the names of the headers that carry one of our keys; empty means: no entry, when keys are needed."""
        authorization, own = noted.get(b"authorization"), noted.get(b"x-api-key")
        first = authorization is not None and self.holds(_key_in(authorization))
        second = own is not None and self.holds(own)
        return _CARRIERS[first, second]


def _key_in(authorization: bytes) -> bytes:
    scheme, _, value = authorization.partition(b" ")
    value = value.strip()
    match scheme.lower():
        case b"bearer":
            return value
        case b"basic":
            try:
                return b64decode(value, validate=True).partition(b":")[2]
            except ValueError:
                return b""
        case _:
            return b""
