"""How do the verbs reach the running server?

Its address is `--url`, else CLARACORE_URL, else the one that the ledger of this machine knows; the key is
CLARACORE_API_KEY. Exit codes of all verbs that talk to a server: 0 done, 1 it refused or failed, 2 wrong usage, 3 no
server answers.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import SplitResult, quote, urlsplit

from claracore.cli.ending import end
from claracore.cli.terminal import say
from claracore.cli.verb import flag, option, word
from claracore.core.ports.listen import bracketed
from claracore.errors import BadRequest, ClaraCoreError
from claracore.host.sockets.ledger import default_folder, living_instances
from claracore.host.state import default_state_dir
from claracore.http.wire.sse import MEDIA_TYPE, EventReader, ServerEvent

if TYPE_CHECKING:
    import ssl

DEFAULT_URL = "http://127.0.0.1:5800"
NO_SERVER = 3
TIMEOUT_SECONDS = 30.0
COMPLETION_SECONDS = 1.0

URL = option("--url", about="Address of the server, if it is not found by itself.")
JSON = flag("--json", about="Print JSON.")


class ServerSaid(ClaraCoreError):
    """What the server answered instead of what was asked for, with the status if there was one."""

    def __init__(self, message: str, answered: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.answered = answered
        if code:
            self.code = code  # type: ignore[misc] # the server's own


def _parts_of(given: str) -> SplitResult:
    try:
        parts = urlsplit(given if "://" in given else f"http://{given}")
        if parts.hostname and parts.port != 0:  # both are read only now
            return parts
    except ValueError:
        pass
    raise BadRequest(
        f"--url {given!r} is no address: write it like {DEFAULT_URL}, one of IPv6 in brackets: http://[fd00::2]:5800"
    )


class Server:
    """One running ClaraCore."""

    def __init__(self, url: str | None = None) -> None:
        """Find the server. Raises BadRequest when there are several to choose from."""
        given = url or os.environ.get("CLARACORE_URL") or _known_url()
        self._parts = _parts_of(given)
        self.url = f"{self._parts.scheme}://{self._parts.netloc}"

    @property
    def address(self) -> str:
        """Host and port, as `--listen` has them."""
        return f"{bracketed(self._parts.hostname or '')}:{self._parts.port or (443 if self._is_safe else 80)}"

    @property
    def _is_safe(self) -> bool:
        return self._parts.scheme == "https"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        quiet: bool = False,
    ) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON (or the text) of an answer. Raises ServerSaid; SystemExit(3) when nobody answers."""
        with self.open(method, path, body, timeout_seconds=timeout_seconds, quiet=quiet) as answer:
            raw = answer.read()
        if answer.status == http.client.NO_CONTENT:
            return None
        if answer.headers.get_content_type() == "application/json":
            return json.loads(raw)
        return raw.decode("utf-8", "replace")

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        timeout_seconds: float | None = None,
        quiet: bool = False,
    ) -> Iterator[http.client.HTTPResponse]:
        """Give an answer with status 2xx, to be read in the block. Raises as `ask`; prints nothing with `quiet`."""
        connection = self._connection(timeout_seconds)
        headers = {"Accept": f"application/json, {MEDIA_TYPE}, text/plain"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key := os.environ.get("CLARACORE_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        with closing(connection):
            try:
                connection.request(method, path, json.dumps(body) if body is not None else None, headers)
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                if quiet:
                    raise SystemExit(NO_SERVER) from error
                words = f"no server answers at {self.url} ({error}); start one with: claracore"
                end(words, NO_SERVER, "no_server", lead="claracore: ")
            with answer:
                if answer.status >= 300:
                    raise ServerSaid(*_said(answer))
                yield answer

    def asked(self, path: str, *, timeout_seconds: float) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON (or the text) of a GET; None when there is none, whatever the reason. Nothing is printed."""
        try:
            return self.ask("GET", path, timeout_seconds=timeout_seconds, quiet=True)
        except (ClaraCoreError, SystemExit, OSError, http.client.HTTPException, ValueError):
            return None

    def is_there(self) -> bool:
        """Whether a ClaraCore answers.

        The key goes to nobody else: by http who is there is asked without it, by https the certificate has told.
        """
        from claracore.host.sockets.front import IDENTITY_SECONDS, identify  # noqa: PLC0415 - psutil takes 20 ms

        if self._is_safe:
            return self.asked("/api/identity", timeout_seconds=IDENTITY_SECONDS) is not None
        return identify(self._parts.hostname or "", self._parts.port or 80) is not None

    def lines(self, answer: http.client.HTTPResponse) -> Iterator[str]:
        """Yield the lines of an answer as they come, without their ends. Raises ServerSaid when it breaks off."""
        for raw in self._raw_lines(answer):
            yield raw.decode("utf-8", "replace").rstrip("\r\n")

    def events(self, answer: http.client.HTTPResponse) -> Iterator[ServerEvent]:
        """Yield the events of a stream as they come. Raises ServerSaid when it breaks off."""
        reader = EventReader()
        for raw in self._raw_lines(answer):
            yield from reader.feed(raw)

    def _raw_lines(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            while raw := answer.readline():
                yield raw
        except (OSError, http.client.HTTPException) as error:
            raise ServerSaid(f"the answer broke off: {error}") from error

    def _connection(self, timeout_seconds: float | None) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._is_safe:
            return http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=_tls())
        return http.client.HTTPConnection(host, port or 80, timeout=timeout_seconds)


def running_server(url: str | None) -> Server | None:
    """Return the server that is named, or that runs on this machine; None when none is and none does."""
    if url or os.environ.get("CLARACORE_URL"):
        return Server(url)
    return Server() if living_instances(default_folder(default_state_dir())) else None


def _tls() -> ssl.SSLContext:
    """Return how the server's certificate is checked: CLARACORE_CA names a file for one that is self-made."""
    import ssl  # noqa: PLC0415 - not for http

    return ssl.create_default_context(cafile=os.environ.get("CLARACORE_CA"))


def complete_model(incomplete: str) -> list[str]:
    """Return the ids and aliases that begin so, for the shell; none when no server tells them."""
    try:
        answer = Server().asked("/api/models", timeout_seconds=COMPLETION_SECONDS)
    except ClaraCoreError:
        return []
    names = sorted(name for model in (answer or {"models": ()})["models"] for name in (model["id"], *model["aliases"]))
    return [name for name in names if name.startswith(incomplete)]


MODEL = word(about="Id or alias.", complete=complete_model)


def path_of(model: str) -> str:
    """Return a model's name as it stands in a path; slashes stay."""
    return quote(model, safe="/")


def _known_url() -> str:
    urls = [instance.url for instance in living_instances(default_folder(default_state_dir())) if instance.url]
    if len(urls) > 1 and DEFAULT_URL not in urls:
        raise BadRequest(f"several servers run here: say --url with one of {', '.join(sorted(urls))}")
    return DEFAULT_URL if DEFAULT_URL in urls or not urls else urls[0]


def _said(answer: http.client.HTTPResponse) -> tuple[str, int, str]:
    """Return what a server says of an error: its message, the status, and its word for programs."""
    raw = answer.read(1_000_000).decode("utf-8", "replace")
    hint = "set CLARACORE_API_KEY" if answer.status == 401 else ""
    try:
        error = cast("dict[str, Any]", json.loads(raw))["error"]
        message, code = error["message"], str(error.get("code") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        message = code = ""
    if message:
        return f"{message} ({hint})" if hint else message, answer.status, code
    # Not the server's own words: the number tells more than they do.
    notes = "; ".join(filter(None, [str(answer.status), hint]))
    return f"{raw.strip()[:500] or answer.reason} ({notes})", answer.status, ""


def show_json(data: object) -> None:
    """Print JSON for programs."""
    say(json.dumps(data, indent=2, ensure_ascii=False))
