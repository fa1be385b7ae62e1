"""Which keys are there, and how is one made or taken away?"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from claracore.http.access.keys import NamedKey, Right
from claracore.http.api.dependencies import KeyRingDep, NamedKeysDep, RuntimeDep

router = APIRouter(prefix="/api/keys", tags=["keys"])


class KeyView(BaseModel):
    """A named key, without the key. `models` null means every model, `expires_at` null never."""

    name: str
    scopes: list[Right]
    models: list[str] | None
    created_at: float
    expires_at: float | None
    expired: bool


class KeysView(BaseModel):
    """The named keys, and how many keys the configuration has."""

    keys: list[KeyView]
    config_keys: int


class KeyWish(BaseModel):
    """A key to be made."""

    name: str
    scopes: Annotated[list[Right], Field(min_length=1)]
    models: list[str] | None = None
    expires_at: float | None = None


class NewKey(KeyView):
    """A key that was just made: this is the only time that it is shown."""

    key: str


@router.get("")
async def keys(runtime: RuntimeDep, ring: KeyRingDep) -> KeysView:
    """List the keys; never the keys themselves."""
    return KeysView(keys=[key_view(key) for key in ring.named], config_keys=len(runtime.config.api_keys))


@router.post("")
async def add(runtime: RuntimeDep, named_keys: NamedKeysDep, wish: KeyWish) -> NewKey:
    """Make a key. From the first one on, every call needs one."""
    models = None if wish.models is None else {runtime.resolve(name) for name in wish.models}
    text, key = await named_keys.add(wish.name, wish.scopes, models=models, expires_at=wish.expires_at)
    return NewKey(**key_view(key).model_dump(), key=text)


@router.delete("/{name}")
async def remove(runtime: RuntimeDep, ring: KeyRingDep, named_keys: NamedKeysDep, name: str) -> KeysView:
    """Take a key away; it stops working at once."""
    await named_keys.remove(name)
    return await keys(runtime, ring)


def key_view(key: NamedKey) -> KeyView:
    """Return a key as JSON shows it."""
    return KeyView(**key.as_json(), expired=key.grant.expired(time.time()))
