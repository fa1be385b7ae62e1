"""With which requests is the hub asked for listings and files, and what do its answers mean?

The protocol of huggingface.co, and of every mirror that HF_ENDPOINT names: the listing of a repository page by page,
and a file by way of a redirect to another host. Redirects are followed here and not by the client: the token is for the
hub's own origin and for nobody else, and what the hub says about a file stands in the answer that redirects. Statuses
become errors with a culprit and a way out; `TransientFailure` is what may go away by itself.

TLS is always verified, with the system's certificates; proxies come from the environment.
"""

from __future__ import annotations

import contextlib
import email.utils
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx2

from claracore import __version__
from claracore.core.pull.found import WANTED, FoundRepository, repositories_found
from claracore.core.pull.listing import RemoteFile, files_of, names_found, next_page
from claracore.core.pull.reference import HUB, Reference, quoted
from claracore.errors import BadRequest, ClaraCoreError
from claracore.host.library.hub_errors import Gated, HubUnreachable, NotOnHub, TransientFailure, why
from claracore.host.library.hub_tokens import HubToken

MOST_PAGES: Final = 100
MOST_HOPS: Final = 5
LARGEST_ANSWER: Final = 64 * 1024 * 1024
NEAR: Final = 5
LONGEST_PAUSE_SECONDS: Final = 300.0
TIMEOUT: Final = httpx2.Timeout(60.0, connect=20.0, pool=None)
TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """The beginning of a file's bytes, and what the hub says about it."""

    chunks: AsyncIterator[bytes]
    start: int
    """Where the bytes begin: 0 when the server did not heed the range."""
    size: int | None
    """Of the whole file."""
    etag: str | None
    """The SHA-256 of a file in large file storage."""


class HubClient:
    """One hub, for one event loop. Close it with `aclose`."""

    tries: int = 8
    """How often a file is asked for in a row without a single new byte."""

    def __init__(
        self,
        environ: Mapping[str, str],
        token: Callable[[], HubToken | None],
        *,
        trusted: ssl.SSLContext | bool = True,
        through_proxy: bool = True,
    ) -> None:
        """Read HF_ENDPOINT. Raises BadRequest when that is no address, or when HF_HUB_OFFLINE forbids all of it."""
        self._check_online(environ)
        self.endpoint = self._endpoint_of(environ)
        self._token = token
        self._client = httpx2.AsyncClient(
            timeout=TIMEOUT,
            verify=trusted,
            trust_env=through_proxy,
            headers={"User-Agent": f"claracore/{__version__}", "Accept-Encoding": "identity"},
            limits=httpx2.Limits(max_connections=16, max_keepalive_connections=4),
        )

    @staticmethod
    def _check_online(environ: Mapping[str, str]) -> None:
        if environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
            raise BadRequest("HF_HUB_OFFLINE is set: nothing is fetched from the hub")

    @staticmethod
    def _endpoint_of(environ: Mapping[str, str]) -> str:
        return endpoint_of(environ, "HF_ENDPOINT", HUB)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def listing(self, reference: Reference) -> list[RemoteFile]:
        """Return the files of a repository. Raises NotOnHub with near names, Gated, HubUnreachable."""
        url = f"{self.endpoint}/api/models/{reference.repo}/tree/{quote(reference.revision, safe='')}?recursive=true"
        files: list[RemoteFile] = []
        for _ in range(MOST_PAGES):
            try:
                entries, link = await self._json(url, reference)
            except NotOnHub as error:
                raise NotOnHub(error.message + await self._near(reference), param="ref") from error
            files += files_of(entries)
            following = next_page(link, url)
            if following is None:
                return files
            if _origin(following) != _origin(self.endpoint):
                raise HubUnreachable(f"{self.endpoint} continues its listing on another host, which is not followed")
            url = following
        raise HubUnreachable(f"{reference.repo} has more files than can be looked at")

    async def search(self, words: str) -> list[str]:
        """Return repositories with .gguf files that are called like this, the most used first."""
        url = f"{self.endpoint}/api/models?search={quote(words, safe='')}&filter=gguf&sort=downloads&limit={NEAR}"
        entries, _link = await self._json(url, None)
        return names_found(entries)

    async def found(self, words: str, limit: int) -> list[FoundRepository]:
        """Return what the hub says of repositories with .gguf files that are called like this, the most used first."""
        wanted = "".join(f"&expand[]={name}" for name in WANTED)
        url = f"{self.endpoint}/api/models?search={quote(words, safe='')}&filter=gguf&sort=downloads&limit={limit}"
        entries, _link = await self._json(f"{url}{wanted}", None)
        return repositories_found(entries)

    async def _near(self, reference: Reference) -> str:
        name = reference.repo.partition("/")[2]
        for words in dict.fromkeys((name, name.removesuffix("-GGUF").removesuffix("-gguf"), name.partition("-")[0])):
            with contextlib.suppress(ClaraCoreError):
                if found := await self.search(words):
                    return f"; did you mean {', '.join(found)}?"
        return ""

    async def _json(self, url: str, reference: Reference | None) -> tuple[Any, str | None]:
        async with self._answer(url, reference, {}) as answer:
            raw = bytearray()
            async for chunk in _chunks_of(answer.aiter_bytes(), url):
                raw += chunk
                if len(raw) > LARGEST_ANSWER:
                    raise HubUnreachable(f"{self.endpoint} answers with more than {LARGEST_ANSWER} bytes")
        try:
            return json.loads(raw), answer.headers.get("link")
        except (ValueError, RecursionError) as error:
            raise HubUnreachable(f"{self.endpoint} does not answer with JSON, as it should") from error

    async def admitted(self, reference: Reference, file: RemoteFile) -> None:
        """Return when the hub lets us fetch a file (asked by HEAD). Raises as `listing`."""
        async with _sending(self._client, self._resolve(reference, file), self._credentials(), "HEAD") as answer:
            if not answer.is_success and answer.status_code not in REDIRECTS:
                raise self._refusal(answer, reference, self._token())

    def _resolve(self, reference: Reference, file: RemoteFile) -> str:
        return f"{self.endpoint}/{reference.repo}/resolve/{quote(reference.revision, safe='')}/{quoted(file.path)}"

    def _credentials(self) -> dict[str, str]:
        """Return the header for the hub's own origin."""
        token = self._token()
        return {"Authorization": f"Bearer {token.value}"} if token is not None else {}

    @contextlib.asynccontextmanager
    async def file(self, reference: Reference, file: RemoteFile, *, start: int = 0) -> AsyncIterator[FileAnswer]:
        """Give the bytes of a file from `start` on. Raises as `listing`; `TransientFailure` from the chunks too."""
        url = self._resolve(reference, file)
        linked: dict[str, str] = {}
        async with self._answer(url, reference, self._rest_of(file, start), linked) as answer:
            begins, size = _range(answer)
            whole = linked.get("x-linked-size", "")
            etag = linked.get("x-linked-etag") or linked.get("etag")
            yield FileAnswer(
                _chunks_of(answer.aiter_raw(), url),
                begins,
                int(whole) if whole.isdigit() else size,
                etag.removeprefix("W/").strip('"') if etag else None,
            )

    def _rest_of(self, file: RemoteFile, start: int) -> dict[str, str]:
        """Return the headers that ask for a file from `start` on."""
        del file
        return {"Range": f"bytes={start}-"} if start else {}

    async def sha256(self, reference: Reference, file: RemoteFile) -> str | None:
        """Return the SHA-256 of a file of which the listing has none; None where nobody says it. Raises as `file`."""
        del reference, file
        return None

    @contextlib.asynccontextmanager
    async def _answer(
        self, url: str, reference: Reference | None, headers: Mapping[str, str], linked: dict[str, str] | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """Give a successful answer, after redirects; `linked` collects what the hub's own answers say."""
        first = url
        for _ in range(MOST_HOPS):
            ours = _origin(url) == _origin(self.endpoint)
            sent = {**headers, **(self._credentials() if ours else {})}
            async with _sending(self._client, url, sent) as answer:
                if ours and linked is not None:
                    linked.update({name: value for name, value in answer.headers.items() if _says_which(name)})
                if answer.status_code not in REDIRECTS:
                    if not answer.is_success:
                        raise self._refusal(answer, reference, self._token() if ours else None)
                    yield answer
                    return
                url = self._target(url, answer)
        raise HubUnreachable(f"{first} redirects in circles")

    def _target(self, url: str, answer: httpx2.Response) -> str:
        try:
            target = str(answer.url.join(answer.headers.get("location", "")))
        except (httpx2.InvalidURL, ValueError) as error:
            raise HubUnreachable(f"{_host(url)} redirects to something that is no address") from error
        scheme = urlsplit(target).scheme
        if scheme not in {"http", "https"} or (scheme == "http" and urlsplit(url).scheme == "https"):
            raise HubUnreachable(f"{_host(url)} redirects to {scheme}, which is not as safe; it is not followed")
        return target

    def _refusal(self, answer: httpx2.Response, reference: Reference | None, token: HubToken | None) -> ClaraCoreError:
        """Return the error for an answer that is no success."""
        status, what = answer.status_code, str(reference) if reference else self.endpoint
        code = answer.headers.get("x-error-code", "")
        reason = answer.headers.get("x-error-message", "")[:300]
        host = _host(str(answer.url))
        if status in TRANSIENT:
            return TransientFailure(
                f"{host} answers {status} {answer.reason_phrase}{f': {reason}' if reason else ''}",
                retry_after_seconds=_pause(answer.headers.get("retry-after")),
            )
        if status == 403 and not code and reason:
            return Gated(f"{host} refuses {what}: {reason}", param="ref")  # taken down, or a token without that right
        if code == "GatedRepo" or (status == 403 and not code and _origin(str(answer.url)) == _origin(self.endpoint)):
            return Gated(self._how_to_get_in(reference, token), param="ref")
        if status == 401 and code != "RepoNotFound" and token is not None:
            return Gated(f"{host} does not accept the token ({token.source}); it may have expired", param="ref")
        if status in {401, 404} and _origin(str(answer.url)) == _origin(self.endpoint):
            missing = {"RevisionNotFound": "revision", "EntryNotFound": "file"}.get(code, "repository")
            hint = "" if token or missing != "repository" else " (or only for those whom it knows: see HF_TOKEN)"
            return NotOnHub(f"there is no such {missing} on {host}: {what}{hint}", param="ref")
        if status in {401, 403}:  # the CDN: a signed address that has run out; a new one is asked for
            return TransientFailure(f"{host} answers {status}")
        return HubUnreachable(
            f"{host} answers {status} {answer.reason_phrase}{f': {reason}' if reason else ''} for {what}"
        )

    def _how_to_get_in(self, reference: Reference | None, token: HubToken | None) -> str:
        page = f"{self.endpoint}/{reference.repo}" if reference else self.endpoint
        if token is None:
            return (
                f"{page} is gated: ask for access on that page, make a token at {self.endpoint}/settings/tokens, and "
                "give it to ClaraCore (HF_TOKEN, `hf auth login`, or Setup)"
            )
        return f"{page} is gated, and the owner of the token ({token.source}) has no access: ask for it on that page"


def endpoint_of(environ: Mapping[str, str], variable: str, usual: str) -> str:
    """Return the address that a variable names, without a slash at its end. Raises BadRequest."""
    given = (environ.get(variable) or usual).strip().rstrip("/")
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
        raise BadRequest(f"{variable} {given!r} is no address: write {usual}")
    return given


@contextlib.asynccontextmanager
async def _sending(
    client: httpx2.AsyncClient, url: str, headers: Mapping[str, str], method: str = "GET"
) -> AsyncIterator[httpx2.Response]:
    """Send a request and give the answer, whose body is not read yet. Raises TransientFailure when there is none."""
    try:
        answer = await client.send(client.build_request(method, url, headers=dict(headers)), stream=True)
    except httpx2.TransportError as error:
        raise TransientFailure(f"{_host(url)} cannot be reached: {why(error)}") from error
    except (httpx2.InvalidURL, ValueError) as error:
        raise HubUnreachable(f"{_host(url)} gives an address that cannot be used") from error
    try:
        yield answer
    finally:
        await answer.aclose()


async def _chunks_of(chunks: AsyncIterator[bytes], url: str) -> AsyncIterator[bytes]:
    """Give the chunks. Raises TransientFailure for a broken connection."""
    try:
        async for chunk in chunks:
            yield chunk
    except (httpx2.TransportError, httpx2.DecodingError) as error:
        raise TransientFailure(f"{_host(url)} broke off: {why(error)}") from error


def _says_which(name: str) -> bool:
    return name in {"x-linked-etag", "x-linked-size", "etag"}


def _range(answer: httpx2.Response) -> tuple[int, int | None]:
    """Return where the bytes of an answer begin, and how long the whole file is. Raises HubUnreachable."""
    if answer.status_code != 206:
        length = answer.headers.get("content-length", "")
        return 0, int(length) if length.isdigit() else None
    span, _, size = answer.headers.get("content-range", "").removeprefix("bytes ").partition("/")
    begins = span.partition("-")[0].strip()
    if not begins.isdigit():
        raise HubUnreachable(f"{_host(str(answer.url))} sends a part of the file and does not say which")
    return int(begins), int(size) if size.isdigit() else None


def _pause(retry_after: str | None) -> int | None:
    """Read a `Retry-After`: seconds, or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return min(int(retry_after.strip()[:6]), int(LONGEST_PAUSE_SECONDS))
    try:
        seconds = email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (ValueError, TypeError):
        return None
    return int(min(max(seconds, 0.0), LONGEST_PAUSE_SECONDS))


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(scheme, 0)


def _host(url: str) -> str:
    """Return the host of an address: signed ones carry secrets behind it."""
    return urlsplit(url).netloc.rpartition("@")[2]
