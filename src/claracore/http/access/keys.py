"""What is a key, and what does it allow?

Values only. Which keys count is asked of `keyring`, which ones are on the disk of `key_file`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from claracore.core.key_limits import NO_LIMITS, KeyLimits
from claracore.errors import Forbidden


class Right(StrEnum):
    """What a key may be allowed to do."""

    INFERENCE = "inference"
    READ = "read"
    NODE = "node"
    """What a machine does with those that have joined it: give them models, load and unload, and be left by them."""
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
    limits: KeyLimits = NO_LIMITS

    @property
    def unlimited(self) -> bool:
        """Whether it is for inference with every model, for ever: need not be asked again."""
        return Right.INFERENCE in self.rights and self.models is None and self.expires_at is None

    def expired(self, now: float) -> bool:
        """Whether its time is over; `now` is in unix seconds."""
        return self.expires_at is not None and now >= self.expires_at

    def may(self, right: Right) -> bool:
        """Whether it includes a right; `admin` includes `read` and `node`."""
        return right in self.rights or (right in {Right.READ, Right.NODE} and Right.ADMIN in self.rights)

    def check(self, right: Right) -> None:
        """Raise Forbidden when it does not include a right."""
        if not self.may(right):
            raise Forbidden(f"the key {self.name!r} does not have the scope {right.value!r}")

    def knows(self, model_id: str) -> bool:
        """Whether a model is among those that the key is for."""
        return self.models is None or model_id in self.models


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key with a name, which is on the disk. Times are unix seconds."""

    name: str
    digest: str
    """SHA-256 of the key, as hex."""
    rights: frozenset[Right]
    models: frozenset[str] | None = None
    created_at: float = 0.0
    expires_at: float | None = None
    limits: KeyLimits = NO_LIMITS

    @property
    def grant(self) -> Grant:
        """What it allows."""
        return Grant(self.name, self.rights, self.models, self.expires_at, self.limits)

    def as_json(self) -> dict[str, Any]:
        """Return {name, scopes, models, created_at, expires_at, limits}: what may be shown of it."""
        return {
            "name": self.name,
            "scopes": sorted(self.rights),
            "models": sorted(self.models) if self.models is not None else None,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "limits": self.limits.as_json(),
        }


def digest_of(key: bytes) -> bytes:
    """Return the SHA-256 by which a key is known. Keys that we make are 256 random bits: a slow hash adds nothing."""
    return hashlib.sha256(key).digest()
