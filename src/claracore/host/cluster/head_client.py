"""With which requests does a node fetch files from its head, and what do the head's answers mean?

As with the hub: ranges, tries, and a checksum of the whole. The head names a version of a file by its ETag; what was
begun of one version is not gone on with in another (`If-Range`).
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx2

from claracore.core.cluster.wanted import HeadDoor
from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.reference import Reference, quoted
from claracore.errors import ClaraCoreError
from claracore.host.cluster.json_there import json_of
from claracore.host.library.hub import TRANSIENT, FileAnswer, HubClient, endpoint_of
from claracore.host.library.hub_errors import HubUnreachable, TransientFailure, why
from claracore.host.library.hub_tokens import HubToken
from claracore.host.sockets.pinned import AnotherCertificate, pinned_context

PATH: Final = "/api/shared/"
DIGEST: Final = "sha256"
"""With this query the head answers with the checksum of a file instead of its bytes."""


class HeadRefuses(ClaraCoreError):
    """The head does not give the file, or not the one that was announced; 502."""

    status = 502
    code = "head_refuses"
    cause = "The machine that this one has joined does not give a file of a model that it shares."
    way_out = "Its words are in the message; `claracore nodes` there shows the files of this machine."


class HeadClient(HubClient):
    """The head, for one event loop. Close it with `aclose`."""

    tries = 4
    """It is asked again when it is heard of, which is sooner than any pause would end."""

    def __init__(self, door: HeadDoor, trusted: ssl.SSLContext | bool) -> None:  # noqa: FBT001 - as httpx calls it
        """`trusted` is what its certificate is checked by. Raises BadRequest for what is no address."""
        token = HubToken(door.secret, "of the head")
        super().__init__({"HEAD": door.url}, lambda: token, trusted=trusted, through_proxy=False)
        self._versions: dict[str, str] = {}

    @staticmethod
    def _endpoint_of(environ: Mapping[str, str]) -> str:
        return endpoint_of(environ, "HEAD", "")

    def _resolve(self, reference: Reference, file: RemoteFile) -> str:
        del reference
        return f"{self.endpoint}{PATH}{quoted(file.path)}"

    def _rest_of(self, file: RemoteFile, start: int) -> dict[str, str]:
        version = self._versions.get(file.path)
        return super()._rest_of(file, start) | ({"If-Range": f'"{version}"'} if start and version else {})

    @contextlib.asynccontextmanager
    async def file(self, reference: Reference, file: RemoteFile, *, start: int = 0) -> AsyncIterator[FileAnswer]:
        """Give the bytes of a file from `start` on, or from its beginning when it is another one by now."""
        async with super().file(reference, file, start=start) as answer:
            if answer.etag is not None:
                self._versions[file.path] = answer.etag
            yield answer

    async def sha256(self, reference: Reference, file: RemoteFile) -> str | None:
        """Return the SHA-256 of a file, which the head may have to read first."""
        url = f"{self._resolve(reference, file)}?{DIGEST}"
        async with self._answer(url, reference, {}) as answer:
            try:
                await answer.aread()
                found = json_of(answer)[DIGEST]
            except (ValueError, KeyError, TypeError) as error:
                raise HeadRefuses(f"{self.endpoint} does not say the checksum of {file.path}") from error
            except httpx2.TransportError as error:
                raise TransientFailure(f"{self.endpoint} broke off: {why(error)}") from error
        return str(found)

    def _refusal(self, answer: httpx2.Response, reference: Reference | None, token: HubToken | None) -> ClaraCoreError:
        if answer.status_code in TRANSIENT:
            return super()._refusal(answer, reference, token)
        words = {
            401: "it does not know this machine any more: let it join again",
            403: "it does not know this machine any more: let it join again",
            404: "it does not share this file any more",
            409: "the file there is another one by now",
        }.get(answer.status_code, f"it answers {answer.status_code}")
        return HeadRefuses(f"the head gives no file for {reference or 'this'}: {words}")


async def head_client(door: HeadDoor) -> HeadClient:
    """Return a client of the head; its certificate is known by its fingerprint. Raises TransientFailure."""
    trusted: ssl.SSLContext | bool = True
    if door.fingerprint:
        parts = urlsplit(door.url)
        try:
            trusted = await pinned_context(parts.hostname or "", parts.port or 0, door.fingerprint)
        except AnotherCertificate as error:
            raise HubUnreachable(f"{door.url} is not the machine that this one has joined: {error.strerror}") from error
        except (OSError, TimeoutError) as error:
            raise TransientFailure(f"the head at {door.url} cannot be reached: {why(error)}") from error
    return HeadClient(door, trusted)
