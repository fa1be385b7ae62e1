"""Which requests go to a model, where is its name, and which path does the model server see?

Pure: tables, and functions that read them. Every path that is not in them belongs to the ASGI application.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import unquote

from claracore.core.config.regex import Regex
from claracore.errors import BadRequest
from claracore.host.activity.record import Record
from claracore.host.footprints.summary import AboutModel
from claracore.http.gateway import ollama
from claracore.http.gateway.anthropic_stream import mended_stream
from claracore.http.gateway.contract import AnswerEdit, RequestEdit
from claracore.http.gateway.lm_studio import WithStats
from claracore.http.wire.error_shapes import ANTHROPIC_VERSION, ErrorShape, shape_of_call
from claracore.http.wire.head import RequestHead

JSON_PATHS = (
    "/v1/chat/completions",
    "/v1/chat/completions/input_tokens",
    "/v1/responses",
    "/v1/responses/input_tokens",
    "/v1/completions",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/reranking",
    "/v1/score",
    "/v1/moderations",
    "/v1/audio/speech",
    "/v1/audio/voices",
    "/v1/images/generations",
    "/rerank",
    "/reranking",
    "/infill",
    "/completion",
    "/completions",
    "/chat/completions",
    "/chat/completions/input_tokens",
    "/responses",
    "/responses/input_tokens",
    "/score",
    "/pooling",
    "/classify",
    "/embedding",
    "/embeddings",
    "/tokenize",
    "/detokenize",
    "/apply-template",
    "/sdapi/v1/txt2img",
    "/sdapi/v1/img2img",
)
FORM_PATHS = (
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/audio/transcriptions",
    "/v1/images/edits",
    "/v1/images/variations",
)
QUERY_PATHS = ("/v1/audio/voices", "/sdapi/v1/loras", "/props", "/slots", "/lora-adapters")
# `/v/...` is for model servers whose own paths lack the /v1.
BARE_PATHS = (
    "/chat/completions",
    "/responses",
    "/completions",
    "/messages",
    "/messages/count_tokens",
    "/embeddings",
    "/rerank",
    "/reranking",
)
MESSAGES_PATHS = ("/v1/messages", "/v/messages")
COUNT_PATHS = ("/v1/messages/count_tokens", "/v/messages/count_tokens")
LM_STUDIO = "/api/v0"
"""Before the paths of LM Studio's own API."""
STATS_PATHS = (f"{LM_STUDIO}/chat/completions", f"{LM_STUDIO}/completions")
CHAT_PATHS = ("/v1/chat/completions", "/v/chat/completions", "/chat/completions", STATS_PATHS[0])
OLLAMA_PATHS: Mapping[str, RequestEdit] = {
    "/api/chat": ollama.chat,
    "/api/generate": ollama.generate,
    "/api/embed": ollama.embed,
    "/api/embeddings": ollama.embeddings,
}
"""Ollama's API, and what makes of it what model servers have: the edit says which path they see."""


@dataclass(frozen=True, slots=True)
class Route:
    """How one method and path reach a model."""

    source: Literal["body", "query"]
    upstream_path: bytes
    shows_loading: bool = False
    """Whether a waiting stream may get the state of its model in chat completion chunks."""
    answer_edit: Callable[[Record, AboutModel], AnswerEdit | None] | None = None
    """Makes what changes an answer on its way to the client; None: nothing does.

    Called when the model is known: `Record.requested` is its name in the request, `Record.stream` says what was asked.
    What is known of a model is told by its id, which is `Record.model` as soon as its answer begins.
    """
    request_edit: RequestEdit | None = None
    """Makes of a request, and of its path, what model servers understand, and says what edits the answer."""
    keeps_events: bool = False
    """Whether its edit leaves server-sent events such: a stream may begin with comments while the model loads."""
    errors: ErrorShape = "openai"
    """In whose shape its clients hear of errors, ours and the model server's (which the edit does not get then)."""


def _table() -> dict[bytes, dict[bytes, Route]]:
    table: dict[bytes, dict[bytes, Route]] = {}

    def add(
        method: bytes,
        path: str,
        source: Literal["body", "query"],
        upstream_path: str,
    ) -> None:
        route = Route(source, upstream_path.encode(), shows_loading=path in CHAT_PATHS)
        if path in MESSAGES_PATHS:
            route = replace(route, errors="anthropic", answer_edit=mended_stream, keeps_events=True)
        elif path in COUNT_PATHS:
            route = replace(route, errors="anthropic")
        elif path in STATS_PATHS:
            route = replace(route, answer_edit=WithStats, keeps_events=True)
        table.setdefault(path.encode(), {})[method] = route

    for path in (*JSON_PATHS, *FORM_PATHS):
        add(b"POST", path, "body", path)
    for path in BARE_PATHS:
        add(b"POST", "/v" + path, "body", path)
    add(b"POST", "/audioapi/v1/tasks/run", "body", "/v1/tasks/run")
    for path, edit in OLLAMA_PATHS.items():
        table[path.encode()] = {b"POST": Route("body", path.encode(), request_edit=edit, errors="ollama")}
    # Cohere's second version asks and answers like the first, which is the one that llama-server and vLLM both have.
    add(b"POST", "/v2/rerank", "body", "/v1/rerank")
    for path in (*STATS_PATHS, f"{LM_STUDIO}/embeddings"):
        add(b"POST", path, "body", "/v1" + path.removeprefix(LM_STUDIO))
    for path in QUERY_PATHS:
        add(b"GET", path, "query", path)
        add(b"HEAD", path, "query", path)
    return table


ROUTES = _table()

_VERSION = ANTHROPIC_VERSION.encode()
PROPS = b"/props"
"""Of a model, if the query names one; without, of the server as a whole, which the application answers."""
_MODEL = re.compile(rb"(?:^|&)model=[^&]")


def names_model(query: bytes) -> bool:
    """Whether a query has a `model` that is not empty."""
    return _MODEL.search(query) is not None


UPSTREAM = b"/upstream/"
COMFYUI_PROMPTS = ("/api/prompt", "/prompt")
"""Where ComfyUI takes work, with POST; it serves each path of its API with and without the prefix."""
_DOTS = re.compile(r"(?:^|[/\\])\.{1,2}(?:[/\\]|$)")


@dataclass(frozen=True, slots=True)
class ServerPaths:
    """The paths below a prefix: all that a model's server has."""

    prefix: bytes
    model: str = ""
    """Whose server; empty when its name is the beginning of the rest."""

    def named(self, path: bytes) -> bytes:
        """Return a path of these as one below `/upstream/`, with the model's name."""
        return UPSTREAM + self.model.encode() + path[len(self.prefix) - 1 :] if self.model else path

    def loads(self, method: bytes, rest: str, ignored: Iterable[Regex]) -> bool:
        """Whether a request has its model loaded; `rest` comes after the model's name, decoded.

        ComfyUI's pages ask for many things in the background: only opening the first one, or giving it work, loads it.
        """
        if self.model:
            return rest == "/" or (method == b"POST" and rest in COMFYUI_PROMPTS)
        return not any(pattern.occurs_in(rest) for pattern in ignored)


@dataclass(frozen=True, slots=True)
class Redirect:
    """A path that is only a door to another."""

    status: int
    location: bytes


BELOW = (ServerPaths(UPSTREAM), ServerPaths(b"/comfyui/", "comfyui_auto"))
REDIRECTS = {b"/upstream": Redirect(302, b"/ui/models"), b"/comfyui": Redirect(308, b"/comfyui/")}

Routing = dict[bytes, Route] | ServerPaths | Redirect | None
"""The routes of an inference path by their methods; None is the application's."""


def routing_of(head: RequestHead) -> Routing:
    """Return where a request goes, by its path, and for `/props` by its query."""
    path = head.path
    routes = ROUTES.get(path)
    if routes is not None and (path != PROPS or head.method not in routes or names_model(head.query)):
        return routes
    for below in BELOW:
        if path.startswith(below.prefix):
            return below
    return REDIRECTS.get(path)


def errors_for(head: RequestHead) -> ErrorShape:
    """Return in whose shape a client hears of errors, by its path or by a header that only one kind of client sends.

    Below a server's name the path is the server's own: what comes after the last `/v1` counts.
    """
    path = head.path
    routes = ROUTES.get(path)
    if routes is None and path.startswith(UPSTREAM):
        routes = ROUTES.get(path[path.rfind(b"/v1/") :])
    if routes is not None:
        return next(iter(routes.values())).errors
    return shape_of_call(path.decode("latin-1"), has_version=_VERSION in head.noted)


@dataclass(frozen=True, slots=True)
class UpstreamPath:
    """A path under `/upstream/`, split: the model's name as written, and the rest as the client sent it."""

    name: str
    rest: bytes
    """Begins with a slash, or is empty for `/upstream/name`, which is to be redirected."""


def split_upstream(path: bytes, names: Container[str]) -> UpstreamPath | None:
    """Return the longest configured name at the beginning of a path below `/upstream/`; None when there is none.

    Percent-encoding is decoded to compare (`org%2Fmodel` is `org/model`) and kept in the rest. Raises `BadRequest` for
    a rest that climbs (`..`), in whatever encoding: behind a `proxy` with a base path it would leave that base.
    """
    segments = path[len(UPSTREAM) :].split(b"/")
    for count in range(min(len(segments), 16), 0, -1):
        name = unquote(b"/".join(segments[:count]))
        if name in names:
            rest = b"".join(b"/" + segment for segment in segments[count:])
            if _DOTS.search(unquote(unquote(rest))) is not None:
                raise BadRequest("the path after the model must not contain '.' or '..' segments")
            return UpstreamPath(name, rest)
    return None
