"""What does the header of a model that is still on the hub say?

A header stands at the beginning of its file, and nobody knows how long it is before it has been read: the transfer is
followed until the reader has all it needs, and then broken off. A vocabulary makes it a few megabytes long.
"""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Final

from claracore.core.gguf.errors import GGUFError, HeaderTruncated
from claracore.core.gguf.facts import facts_of
from claracore.core.gguf.header import Header, read_header
from claracore.core.gguf.model import ModelFacts
from claracore.core.pull.choice import Variant
from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.reference import Reference
from claracore.errors import BadRequest
from claracore.host.library.hub_access import HubAccess

if TYPE_CHECKING:
    from claracore.host.library.hub import HubClient

FIRST_BYTES: Final = 1 << 18
"""After so many the reader tries for the first time, and then after each doubling."""
MOST_BYTES: Final = 1 << 26
MOST_SHARDS: Final = 16


async def facts_on_hub(hub: HubAccess, reference: Reference, variant: Variant) -> ModelFacts:
    """Read the headers of a model's files. Raises BadRequest for files without one; HubUnreachable and its kin."""
    if len(variant.files) > MOST_SHARDS or variant.missing:
        raise BadRequest(f"{variant.path} is in {len(variant.files)} files, too many to look into from here")
    async with hub.client(None) as client:
        headers = [await _header(client, reference, file) for file in variant.files]
    return await asyncio.to_thread(facts_of, headers[0], *headers[1:])


async def _header(client: HubClient, reference: Reference, file: RemoteFile) -> Header:
    begun, enough = bytearray(), FIRST_BYTES
    async with client.file(reference, file) as answer:
        async for chunk in answer.chunks:
            begun += chunk
            if len(begun) >= enough:
                if (header := await asyncio.to_thread(_read, bytes(begun), file)) is not None:
                    return header
                enough *= 2
                if enough > MOST_BYTES:
                    raise BadRequest(f"{file.path} has no header that ends within {MOST_BYTES} bytes")
    header = await asyncio.to_thread(_read, bytes(begun), file)
    if header is None:
        raise BadRequest(f"{file.path} ends inside its header")
    return header


def _read(begun: bytes, file: RemoteFile) -> Header | None:
    """Read the header of a file that begins so; None when more is needed. Raises BadRequest."""
    try:
        return read_header(io.BytesIO(begun), size=file.size)
    except HeaderTruncated:
        return None
    except GGUFError as error:
        raise BadRequest(f"{file.path} is no model file: {error}") from error
