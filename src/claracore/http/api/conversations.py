"""Which conversations are kept over the ends of models' servers, and how are they forgotten?"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.http.api.dependencies import RuntimeDep

router = APIRouter(tags=["conversations"])


class KeptConversationView(BaseModel):
    """One conversation that is kept; `saved_at` in Unix seconds."""

    model: str
    tokens: int
    bytes: int
    saved_at: float


class ConversationsView(BaseModel):
    """All of them, the newest first, and how many bytes they take together: of RAM, and of the disk."""

    conversations: list[KeptConversationView]
    memory_bytes: int
    disk_bytes: int


class DroppedView(BaseModel):
    """How many conversations were forgotten."""

    dropped: int


@router.get("/api/conversations")
async def conversations(runtime: RuntimeDep) -> ConversationsView:
    """List the conversations that are kept."""
    kept = runtime.conversations.all()
    memory = runtime.conversations.memory_bytes()
    rows = [
        KeptConversationView(model=one.model, tokens=one.tokens, bytes=one.size, saved_at=round(one.saved_at, 3))
        for one in kept
    ]
    return ConversationsView(conversations=rows, memory_bytes=memory, disk_bytes=sum(one.size for one in kept) - memory)


@router.delete("/api/conversations")
async def drop_all(runtime: RuntimeDep) -> DroppedView:
    """Forget all that are kept. What a server that runs has in its slots stays there."""
    return DroppedView(dropped=await asyncio.to_thread(runtime.conversations.drop))


@router.delete("/api/conversations/{name:path}")
async def drop(runtime: RuntimeDep, name: str) -> DroppedView:
    """Forget those of one model."""
    return DroppedView(dropped=await asyncio.to_thread(runtime.conversations.drop, runtime.resolve(name)))
