"""How does the head get files that it does not have itself, for machines that do not have them either?

For the head's key only, as the part of its configuration. It may fetch what it has asked for before, by version.
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from claracore.core.cluster.elsewhere import SoughtFile, found_as_json
from claracore.errors import NotFound, PayloadTooLarge
from claracore.http.access.keys import Grant
from claracore.http.api.dependencies import GivenFilesDep, GrantDep, PartDoorDep
from claracore.http.api.node_part import MOST_MODELS, MOST_PART_BYTES
from claracore.http.api.shared import answer_with
from claracore.http.part_door import NotThisHead, PartDoor

router = APIRouter(tags=["nodes"])

MOST_SHARDS: Final = 1_000
Text = Annotated[str, Field(max_length=4_096)]


class SoughtFileSaid(BaseModel):
    """A file that a command of the head's names: its name below a folder of models, and its path there."""

    name: Text
    path: Text


class FilesSought(BaseModel):
    """Files that the head does not have; those of a set belong together. `known` are checksums by version."""

    sets: Annotated[list[Annotated[list[SoughtFileSaid], Field(min_length=1, max_length=MOST_SHARDS)]],
                    Field(max_length=MOST_MODELS)]  # fmt: skip
    known: dict[Text, Text] = {}


class FilesFoundView(BaseModel):
    """For each set its files: size, SHA-256 of the header, SHA-256, version; none for what is not here (yet).

    `reading` says whether a file is still read for its checksum.
    """

    sets: list[list[list[Any]]]
    reading: bool


@router.post("/api/node/files")
async def look(
    request: Request, files: GivenFilesDep, door: PartDoorDep, grant: GrantDep, wish: FilesSought
) -> FilesFoundView:
    """Say which of these files are here, and give them from now on, and no others; for the head's key only."""
    await _check(door, grant)
    if len(await request.body()) > MOST_PART_BYTES:
        raise PayloadTooLarge("a question for files has 8 MiB at most")
    sought = [tuple(SoughtFile(file.name, file.path) for file in each) for each in wish.sets]
    found = await files.look(sought, wish.known)
    return FilesFoundView(sets=[found_as_json(each) for each in found.sets], reading=found.reading)


@router.get("/api/node/files/{version}", response_class=Response)
async def given_file(
    request: Request, files: GivenFilesDep, door: PartDoorDep, grant: GrantDep, version: str
) -> Response:
    """Send a version of a file that was asked for, or a range of it; for the head's key only."""
    await _check(door, grant)
    found = await files.files.open(version)
    if found.version != version:
        os.close(found.descriptor)
        raise NotFound("this file is another one by now")
    return answer_with(found, request)


async def _check(door: PartDoor, grant: Grant | None) -> None:
    """Raise NotThisHead for whoever is not the head that this machine has joined."""
    if not await door.accepts(grant):
        raise NotThisHead
