"""Which profile is active, and how is another one activated? (llama-swap's paths)"""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.errors import NotFound
from claracore.http.api.dependencies import EventsDep, RuntimeDep
from claracore.http.api.events.snapshot import SNAPSHOT

router = APIRouter(prefix="/api/profiles", tags=["models"])


class ProfileView(BaseModel):
    """A set of pins: which name stands for which other, or (null) is hidden."""

    id: str
    """The same; llama-swap's word for it."""
    name: str
    description: str
    pins: dict[str, str | None]


class ProfilesView(BaseModel):
    """The profiles of the configuration; `active` is null when none is."""

    active: str | None
    profiles: list[ProfileView]


class Wish(BaseModel):
    """The profile to activate; null or an empty name for none."""

    name: str | None


@router.get("", dependencies=SNAPSHOT)
async def profiles(runtime: RuntimeDep) -> ProfilesView:
    """List the profiles."""
    views = [
        ProfileView(id=name, name=name, description=profile.description, pins=profile.pins)
        for name, profile in runtime.config.profiles.items()
    ]
    return ProfilesView(active=runtime.profile.name, profiles=views)


@router.put("/active")
async def activate(runtime: RuntimeDep, events: EventsDep, wish: Wish) -> ProfilesView:
    """Activate a profile for every request from now on, or none."""
    name = wish.name or None
    if name is not None and name not in runtime.config.profiles:
        known = ", ".join(runtime.config.profiles) or "there are none"
        raise NotFound(f"there is no profile {name!r}; known: {known}", param="name")
    runtime.profile.name = name
    events.announcer.profile(name)
    return await profiles(runtime)
