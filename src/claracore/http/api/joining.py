"""How does another machine join this one, or this one another, and how does a machine leave?

`/api/nodes/join` is open to whoever has an invitation: the secret in the body is what lets in.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from claracore.core.cluster.invitation import Versions
from claracore.core.cluster.joined import JoinedNode
from claracore.http.api.dependencies import GrantDep, JoinedNodesDep, JoinerDep, OwnHeadDep

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
    secret: str
    """With which the node speaks of itself to its head; it is no key."""
    cluster: str
    """Names what the head remembers."""
    ray_tls: bool
    """Whether Ray encrypts: then a certificate is to be asked for."""


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


class SecretWish(BaseModel):
    """By what a machine that has joined is known."""

    secret: Text


class CertificateWish(SecretWish):
    """A request for a certificate, as PEM, by a machine that has joined."""

    request: Annotated[str, Field(max_length=8000)]


class CertificateView(BaseModel):
    """A certificate for a machine's Ray, and that of the authority that has made it, as PEM."""

    certificate: str
    authority: str


class KnownView(BaseModel):
    """Whether it is known, and a name for what is remembered here."""

    known: bool
    cluster: str


class HasLeftView(BaseModel):
    """Which machine this one has left, under which name, and why it could not be told (empty: it was)."""

    url: str
    name: str
    untold: str


class ForgottenView(BaseModel):
    """Why the machine could not be told (empty: it was), and whether it has had Ray's token, which stays good."""

    untold: str
    had_ray_token: bool


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
    return WelcomeView(**asdict(found))


@router.post("/api/node/join")
async def join(joiner: JoinerDep, wish: LineWish) -> HasJoinedView:
    """Have this machine join the one that has invited it."""
    only = wish.requests_only
    found = await joiner.join(wish.line, name=wish.name, address=wish.address, requests_only=only)
    return HasJoinedView(name=found.name, head=found.head, admin_key=found.admin_key, advice=list(found.advice))


@router.post("/api/nodes/known")
async def known(joined: JoinedNodesDep, wish: SecretWish) -> KnownView:
    """Say whether a machine has joined that has this secret, and what is remembered here."""
    is_known, cluster = await joined.knows(wish.secret)
    return KnownView(known=is_known, cluster=cluster)


@router.post("/api/nodes/certificate")
async def certificate(joined: JoinedNodesDep, wish: CertificateWish) -> CertificateView:
    """Make a certificate for the Ray of the machine that has this secret."""
    made, authority = await joined.certified(wish.secret, wish.request)
    return CertificateView(certificate=made, authority=authority)


@router.post("/api/nodes/left", status_code=204)
async def was_left(joined: JoinedNodesDep, wish: SecretWish) -> None:
    """Note that the machine which has this secret has left."""
    await joined.was_left(wish.secret)


@router.post("/api/node/leave")
async def leave(own_head: OwnHeadDep) -> HasLeftView:
    """Have this machine leave the one that it has joined."""
    return HasLeftView(**asdict(await own_head.leave()))


@router.delete("/api/node/head", status_code=204)
async def was_forgotten(own_head: OwnHeadDep, grant: GrantDep) -> None:
    """Note that the machine whose key asks has forgotten this one: it is its head no more."""
    await own_head.was_forgotten(grant)


@router.delete("/api/nodes/{name}")
async def forget(joined: JoinedNodesDep, name: str) -> ForgottenView:
    """Have a machine that has joined be none of ours, and tell it so."""
    return ForgottenView(untold=await joined.forget(name), had_ray_token=joined.gives_ray_token)


@router.put("/api/nodes/{name}/drained", status_code=204)
async def drain(joined: JoinedNodesDep, name: str) -> None:
    """Send a machine no new requests; what is with it ends there."""
    await joined.drain(name, drained=True)


@router.delete("/api/nodes/{name}/drained", status_code=204)
async def use_again(joined: JoinedNodesDep, name: str) -> None:
    """Send a machine requests again."""
    await joined.drain(name, drained=False)
