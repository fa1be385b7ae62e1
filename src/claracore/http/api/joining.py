"""How does another machine join this one, or this one another, and how does a machine leave?

`/api/nodes/join` is open to whoever has an invitation: the secret in the body is what lets in.
"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from claracore.core.cluster.invitation import Versions
from claracore.core.cluster.joined import JoinedNode
from claracore.http.api.dependencies import JoinedNodesDep, JoinerDep

router = APIRouter(tags=["nodes"])

Text = Annotated[str, Field(max_length=300)]


class InvitationWish(BaseModel):
    """An invitation to be made; `address` is the host under which the other machine reaches this one."""

    address: Text = ""


class InvitationView(BaseModel):
    """What is to be typed on the other machine, until when it is good (unix seconds), and what to see to besides."""

    line: str
    expires_at: float
    advice: list[str]


class VersionsSaid(BaseModel):
    """What runs on the node."""

    claracore: Text
    python: Text
    ray: Text = ""


class NodeSaid(BaseModel):
    """Where the node is, and its key for the head."""

    name: Text
    url: Text
    key: Text
    fingerprint: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""


class JoinWish(BaseModel):
    """What a node says to its head; `node` null only asks whether it may come."""

    secret: Text
    versions: VersionsSaid
    node: NodeSaid | None = None


class WelcomeView(BaseModel):
    """What the head says to a node; `gcs` and `ray_token` are empty without Ray, and before the node is taken in."""

    name: str
    gcs: str
    ray_token: str


class LineWish(BaseModel):
    """The line of an invitation; this machine's name there and address, where they are not to be found out."""

    line: Text
    name: Text = ""
    address: Text = ""
    requests_only: bool = False
    """Whether the other machine may change nothing here, such as which of its models this one has."""


class HasJoinedView(BaseModel):
    """What this machine is called on its head; `admin_key` is one that was made because there was none, shown once."""

    name: str
    head: str
    admin_key: str
    advice: list[str]


@router.post("/api/nodes/invitations")
async def invite(joined: JoinedNodesDep, wish: InvitationWish) -> InvitationView:
    """Invite one machine: it may join within a quarter of an hour."""
    made = await joined.invite(wish.address)
    return InvitationView(line=made.line, expires_at=made.expires_at, advice=list(made.advice))


@router.post("/api/nodes/join")
async def admit(joined: JoinedNodesDep, wish: JoinWish) -> WelcomeView:
    """Take in a machine that was invited, if its versions go with ours and it can be reached."""
    said_of_node, at = wish.node, round(time.time(), 3)
    node = JoinedNode(**said_of_node.model_dump(), joined_at=at) if said_of_node is not None else None
    found = await joined.admit(wish.secret, Versions(**wish.versions.model_dump()), node)
    return WelcomeView(name=found.name, gcs=found.gcs, ray_token=found.ray_token)


@router.post("/api/node/join")
async def join(joiner: JoinerDep, wish: LineWish) -> HasJoinedView:
    """Have this machine join the one that has invited it."""
    only = wish.requests_only
    found = await joiner.join(wish.line, name=wish.name, address=wish.address, requests_only=only)
    return HasJoinedView(name=found.name, head=found.head, admin_key=found.admin_key, advice=list(found.advice))


@router.delete("/api/nodes/{name}", status_code=204)
async def forget(joined: JoinedNodesDep, name: str) -> None:
    """Have a machine that has joined be none of ours."""
    await joined.forget(name)


@router.put("/api/nodes/{name}/drained", status_code=204)
async def drain(joined: JoinedNodesDep, name: str) -> None:
    """Send a machine no new requests; what is with it ends there."""
    await joined.drain(name, drained=True)


@router.delete("/api/nodes/{name}/drained", status_code=204)
async def use_again(joined: JoinedNodesDep, name: str) -> None:
    """Send a machine requests again."""
    await joined.drain(name, drained=False)
