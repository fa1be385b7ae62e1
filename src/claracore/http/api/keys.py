"""Which keys are there, and how is one made or taken away?"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from claracore.core.key_limits import MOST, MOST_REQUESTS, KeyLimits, KeyMeter, LimitName
from claracore.http.access.keyring import KeyRing
from claracore.http.access.keys import NamedKey, Right
from claracore.http.api.dependencies import KeyRingDep, NamedKeysDep, RuntimeDep

router = APIRouter(prefix="/api/keys", tags=["keys"])


class KeyLimitsView(BaseModel):
    """How much a key may use; null is no limit. Days are those of UTC."""

    requests_per_minute: Annotated[int | None, Field(ge=1, le=MOST_REQUESTS)] = None
    tokens_per_day: Annotated[int | None, Field(ge=1, le=MOST)] = None
    concurrency: Annotated[int | None, Field(ge=1, le=MOST)] = None

    @property
    def limits(self) -> KeyLimits:
        """The same as a value."""
        return KeyLimits(**self.model_dump())


class KeyUsageView(BaseModel):
    """What a key has used: `requests` in the last minute and `running` only where it has limits."""

    requests: int
    running: int
    tokens_today: int
    refused: dict[LimitName, int]
    """Since ClaraCore started, by the limit that was reached."""


class KeyView(BaseModel):
    """A named key, without the key. `models` null means every model, `expires_at` null never."""

    name: str
    scopes: list[Right]
    models: list[str] | None
    created_at: float
    expires_at: float | None
    expired: bool
    limits: KeyLimitsView
    usage: KeyUsageView


class KeysView(BaseModel):
    """The named keys, and how many keys the configuration has."""

    keys: list[KeyView]
    config_keys: int


class KeyWish(BaseModel):
    """A key to be made."""

    name: str
    scopes: Annotated[list[Right], Field(min_length=1)] = [Right.INFERENCE]
    """The least by default: to use the models."""
    models: list[str] | None = None
    expires_at: float | None = None
    limits: KeyLimitsView = KeyLimitsView()


class NewKey(KeyView):
    """A key that was just made: this is the only time that it is shown."""

    key: str


@router.get("")
async def keys(runtime: RuntimeDep, ring: KeyRingDep) -> KeysView:
    """List the keys; never the keys themselves."""
    return KeysView(keys=[key_view(key, ring) for key in ring.named], config_keys=len(runtime.config.api_keys))


@router.post("")
async def add(runtime: RuntimeDep, ring: KeyRingDep, named_keys: NamedKeysDep, wish: KeyWish) -> NewKey:
    """Make a key. From the first one on, every call needs one."""
    models = None if wish.models is None else {runtime.resolve(name) for name in wish.models}
    text, key = await named_keys.add(
        wish.name, wish.scopes, models=models, expires_at=wish.expires_at, limits=wish.limits.limits
    )
    return NewKey(**key_view(key, ring).model_dump(), key=text)


@router.put("/{name}/limits")
async def limit(ring: KeyRingDep, named_keys: NamedKeysDep, name: str, wish: KeyLimitsView) -> KeyView:
    """Give a key other limits, in place of those that it has; they count at once."""
    return key_view(await named_keys.limit(name, wish.limits), ring)


@router.delete("/{name}")
async def remove(runtime: RuntimeDep, ring: KeyRingDep, named_keys: NamedKeysDep, name: str) -> KeysView:
    """Take a key away; it stops working at once."""
    await named_keys.remove(name)
    return await keys(runtime, ring)


def key_view(key: NamedKey, ring: KeyRing) -> KeyView:
    """Return a key as JSON shows it; in the event loop, whose time counts."""
    unix, now = time.time(), asyncio.get_running_loop().time()
    meter = ring.meters.get(key.name) or KeyMeter(key.name)
    usage = KeyUsageView(
        requests=meter.requests(now),
        running=len(meter.running),
        tokens_today=meter.tokens(unix),
        refused=dict(meter.refused),
    )
    return KeyView(**key.as_json(), expired=key.grant.expired(unix), usage=usage)
