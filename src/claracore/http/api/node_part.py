"""How does the head give this machine its part of the configuration?"""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from claracore.core.cluster.part import Fetch, PartUnreadable, part_of_json
from claracore.core.units import MIB
from claracore.errors import BadRequest, PayloadTooLarge
from claracore.http.api.dependencies import GrantDep, PartDoorDep
from claracore.http.api.shallow import ShallowObject

router = APIRouter(tags=["nodes"])

MOST_PART_BYTES: Final = 8 * MIB
MOST_MODELS: Final = 5_000
Text = Annotated[str, Field(max_length=1_000)]


class SharedFileSaid(BaseModel):
    """A file that a model needs; `header` is the SHA-256 of its first 64 KiB, `sha256` of all, empty if not known.

    `source` is where it came from on the hub, `path` where the head has it.
    """

    name: Text
    size: Annotated[int, Field(ge=0)]
    header: Text
    sha256: Text = ""
    source: Text = ""
    path: Text = ""


class SharedModelSaid(BaseModel):
    """A model of the head; `entry` is what stands under its name in a configuration file."""

    name: Annotated[str, Field(min_length=1, max_length=300)]
    entry: ShallowObject
    files: Annotated[list[SharedFileSaid], Field(max_length=1_000)] = []
    fetch: Fetch = Fetch.NO


class PartSaid(BaseModel):
    """All models that this machine is to have from its head."""

    models: Annotated[list[SharedModelSaid], Field(max_length=MOST_MODELS)]


class PartTakenView(BaseModel):
    """What is in force now; `kept` are names that this machine's own files have."""

    revision: str
    kept: list[str]


@router.put("/api/node/part")
async def take(request: Request, door: PartDoorDep, grant: GrantDep, wish: PartSaid) -> PartTakenView:
    """Take over the head's part of the configuration, in place of the former one; for the head's key only."""
    if len(await request.body()) > MOST_PART_BYTES:
        raise PayloadTooLarge(f"a part has {MOST_PART_BYTES // MIB} MiB at most")
    try:
        # In a thread: for thousands of models it takes a third of a second.
        part = await asyncio.to_thread(lambda: part_of_json(wish.model_dump(mode="json")))
    except PartUnreadable as error:
        raise BadRequest(str(error)) from error
    found = await door.take(grant, part)
    return PartTakenView(revision=found.revision, kept=list(found.kept))
