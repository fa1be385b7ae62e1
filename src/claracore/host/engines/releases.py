"""With which requests is a project asked for its releases, and what do the answers mean?

GitHub's REST API, or whatever CLARACORE_RELEASES_URL names that speaks it (a mirror, GitHub Enterprise's `/api/v3`, a
test): `/repos/OWNER/NAME/releases` page by page, `/releases/latest`, `/releases/tags/TAG`. Files come from the address
that an asset names, by way of redirects; redirects, ranges and interruptions are as with the hub of models, whose
client this one extends. GitHub wants a User-Agent, counts 60 requests an hour without a token, and says with 403 or 429
when one may ask again ("Rate limits for the REST API").
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx2

from claracore.core.engines.release import Release, ReleaseAsset, WrongRelease, is_tag, release_of, releases_of
from claracore.core.engines.sources import EngineSource
from claracore.core.pull.listing import RemoteFile, next_page
from claracore.core.pull.reference import Reference
from claracore.errors import BadRequest, ClaraCoreError, NotFound
from claracore.host.library.hub import TRANSIENT, HubClient, endpoint_of
from claracore.host.library.hub_errors import HubUnreachable, TransientFailure
from claracore.host.library.hub_tokens import HubToken, printable_token

GITHUB: Final = "https://api.github.com"
VARIABLE: Final = "CLARACORE_RELEASES_URL"
TOKENS: Final = ("GH_TOKEN", "GITHUB_TOKEN")
OTHER_TOKENS: Final = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
"""For another place than GitHub, as GitHub's own program `gh` has it: a mirror gets no token of GitHub's."""
LATEST, NIGHTLY = "latest", "nightly"
PER_PAGE: Final = 30
MOST_PAGES: Final = 4
ENOUGH: Final = 5
"""So many releases with builds are looked at for the newest."""
LARGEST_POINTER: Final = 200


class NoSuchRelease(NotFound):
    """The project has no release of this tag; 404."""

    code = "no_such_release"
    cause = "The project has no release of this tag."
    way_out = "Take `latest`, or a tag of the project's page."


class ReleasesUnreachable(HubUnreachable):
    """The place of releases does not answer, or not with what it should; 502."""

    code = "releases_unreachable"
    cause = "The place of releases does not answer, or not with what it should."
    way_out = "Look at network and proxy (`HTTPS_PROXY`); engines that are installed go on working."


class RateLimited(ReleasesUnreachable):
    """The place wants to be left alone until a certain time; 503 with Retry-After."""

    status = 503
    code = "rate_limited"
    cause = "The place of releases wants to be left alone for a while."
    way_out = "Ask again after Retry-After."


@dataclass(frozen=True, slots=True)
class AssetFile(RemoteFile):
    """A file of a release, as what is fetched."""

    url: str = ""


class ReleasesClient(HubClient):
    """One place of releases, for one event loop. Close it with `aclose`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read CLARACORE_RELEASES_URL. Raises BadRequest when that is no address."""
        endpoint = self._endpoint_of(environ)
        super().__init__(environ, lambda: token_for(endpoint, environ))
        self._client.headers["Accept"] = "application/vnd.github+json, */*"
        self._client.headers["X-GitHub-Api-Version"] = "2022-11-28"

    @staticmethod
    def _check_online(environ: Mapping[str, str]) -> None:
        """HF_HUB_OFFLINE is of another place."""

    @staticmethod
    def _endpoint_of(environ: Mapping[str, str]) -> str:
        return endpoint_of(environ, VARIABLE, GITHUB)

    async def candidates(self, source: EngineSource, version: str) -> list[Release]:
        """Return the releases that a version means, the newest first: `latest`, `nightly`, or a tag.

        Raises NoSuchRelease, WrongRelease, RateLimited, ReleasesUnreachable, BadRequest.
        """
        if version == NIGHTLY:
            return await self._newest(source)
        if version != LATEST:
            return [await self._pointed(source, await self._tagged(source, version))]
        try:
            found = await self._release(source, "latest", "latest release")
        except NoSuchRelease:  # a project that marks none
            return await self._newest(source)
        pointed = await self._pointed(source, found)
        return [pointed] if source.tag.fullmatch(pointed.tag) else await self._newest(source)

    async def _tagged(self, source: EngineSource, version: str) -> Release:
        if not is_tag(version):
            raise BadRequest(
                f"no version is called {version!r}: write latest, nightly or a tag (b11434)", param="version"
            )
        return await self._release(source, f"tags/{version}", f"release {version}")

    async def _pointed(self, source: EngineSource, found: Release) -> Release:
        """Return the release itself, or the one with the builds, where it only holds its tag."""
        pointer = found.asset(source.pointer) if source.pointer else None
        if pointer is None or source.tag.fullmatch(found.tag):
            return found
        tag = await self._text(pointer)
        if source.tag.fullmatch(tag) is None:
            raise WrongRelease(f"{pointer.name} of {source.name} {found.tag} names no build: {tag[:80]!r}")
        return await self._release(source, f"tags/{tag}", f"release {tag}")

    async def _newest(self, source: EngineSource) -> list[Release]:
        url = f"{self._base(source)}?per_page={PER_PAGE}"
        found: list[Release] = []
        for _ in range(MOST_PAGES):
            answer, link = await self._asked(url, f"releases of {source.repository}")
            found += [release for release in releases_of(answer) if source.tag.fullmatch(release.tag)]
            following = next_page(link, url)
            if len(found) >= ENOUGH or following is None:
                break
            if not following.startswith(f"{self.endpoint}/"):
                raise ReleasesUnreachable(f"{self.endpoint} continues its list on another host, which is not followed")
            url = following
        if not found:
            raise NoSuchRelease(f"{source.repository} has no releases with builds at {self.endpoint}")
        return found[:ENOUGH]

    async def _release(self, source: EngineSource, path: str, what: str) -> Release:
        answer, _link = await self._asked(f"{self._base(source)}/{path}", f"{what} of {source.repository}")
        return release_of(answer)

    async def _asked(self, url: str, what: str) -> tuple[object, str | None]:
        return await self._json(url, Reference(what))

    async def _text(self, pointer: ReleaseAsset) -> str:
        """Return the content of a small file. Raises ReleasesUnreachable."""
        raw = bytearray()
        async with self.file(Reference(pointer.name), asset_file(pointer)) as answer:
            async for chunk in answer.chunks:
                raw += chunk
                if len(raw) > LARGEST_POINTER:
                    raise WrongRelease(f"{pointer.name} is longer than a tag")
        return raw.decode("ascii", "replace").strip()

    def _base(self, source: EngineSource) -> str:
        return f"{self.endpoint}/repos/{source.repository}/releases"

    def _resolve(self, reference: Reference, file: RemoteFile) -> str:
        url = file.url if isinstance(file, AssetFile) else ""
        if not url or (self.endpoint.startswith("https:") and not url.startswith("https:")):
            raise ReleasesUnreachable(
                f"{reference} is at an address that is not as safe as the list; it is not fetched"
            )
        return url

    def _refusal(self, answer: httpx2.Response, reference: Reference | None, token: HubToken | None) -> ClaraCoreError:
        status, host = answer.status_code, answer.url.netloc.decode("ascii", "replace")
        ours = str(answer.url).startswith(f"{self.endpoint}/")
        if status in {403, 429} and (limited := rate_limit(answer, host, known=token is not None)) is not None:
            return limited
        if status in TRANSIENT or (status in {401, 403} and not ours):  # the latter: a signed address that has run out
            return TransientFailure(f"{host} answers {status} {answer.reason_phrase}")
        if status == 404:
            return NoSuchRelease(f"there is no {reference} at {host}")
        if status == 401 and token is not None:
            return ReleasesUnreachable(f"{host} does not accept the token ({token.source}); it may have expired")
        return ReleasesUnreachable(f"{host} answers {status} {answer.reason_phrase} for {reference}")


def asset_file(asset: ReleaseAsset) -> AssetFile:
    """Return an asset as a file to fetch."""
    return AssetFile(asset.name, asset.size, asset.sha256, url=asset.url)


def token_for(endpoint: str, environ: Mapping[str, str]) -> HubToken | None:
    """Return the token for a place of releases; None without one."""
    for name in TOKENS if endpoint == GITHUB else OTHER_TOKENS:
        if value := printable_token(environ.get(name, "")):
            return HubToken(value, name)
    return None


def rate_limit(answer: httpx2.Response, host: str, *, known: bool) -> RateLimited | None:
    """Return the error for an answer that says that we have asked too often; None for another refusal."""
    wait, reset = answer.headers.get("retry-after", ""), answer.headers.get("x-ratelimit-reset", "")
    now = time.time()
    if wait.isdecimal():
        until = now + int(wait[:6])
    elif answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        until = float(min(int(reset[:12]), now + 86_400))
    elif answer.status_code == 429:
        until = now + 60
    else:
        return None
    seconds = max(1, round(until - now))
    at = datetime.fromtimestamp(until, UTC).astimezone().strftime("%H:%M:%S")
    hint = "" if known else f"; with a token ({TOKENS[1]}) more requests are allowed"
    return RateLimited(f"{host} wants no more requests until {at} ({seconds} s){hint}", retry_after_seconds=seconds)
