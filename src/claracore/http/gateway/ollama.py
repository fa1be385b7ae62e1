"""What becomes of a request in Ollama's API?

The `RequestEdit`s of `/api/chat`, `/api/generate`, `/api/embed` and `/api/embeddings`. Most become a call that every
model server has, with the edit for its answer. Without anything to answer, a request only has its model loaded, or with
`keep_alive` 0 unloaded as soon as nobody uses it.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from claracore.errors import BadRequest
from claracore.http.gateway.contract import OwnAnswer, ServerCall
from claracore.http.gateway.ollama_answers import LineStream, OneAnswer
from claracore.http.gateway.ollama_vectors import VectorAnswer, VectorsAnswer
from claracore.http.wire.ollama_calls import chat_call, embed_call, generate_call
from claracore.http.wire.ollama_lines import LineWriter, done
from claracore.http.wire.ollama_wishes import ChatWish, EmbeddingsWish, EmbedWish, GenerateWish, OllamaWish, read

if TYPE_CHECKING:
    from claracore.host.activity.record import Record
    from claracore.http.gateway.contract import AnswerEdit
    from claracore.http.wire.ollama_calls import Called


def chat(body: bytes, record: Record) -> ServerCall | OwnAnswer:
    """Translate POST /api/chat. Raises `BadRequest`."""
    wish = read(body, ChatWish)
    if not wish.messages:
        return _only_loaded(wish, record, is_chat=True)
    record.stream = wish.streams
    return _call(chat_call(record.requested, wish), wish, _text(record, is_chat=True))


def generate(body: bytes, record: Record) -> ServerCall | OwnAnswer:
    """Translate POST /api/generate. Raises `BadRequest`."""
    wish = read(body, GenerateWish)
    if not wish.prompt and not wish.suffix and not wish.images:
        return _only_loaded(wish, record, is_chat=False)
    record.stream = wish.streams
    return _call(generate_call(record.requested, wish), wish, _text(record, is_chat=False))


def embed(body: bytes, record: Record) -> ServerCall | OwnAnswer:
    """Translate POST /api/embed. Raises `BadRequest`."""
    wish = read(body, EmbedWish)
    record.stream = False
    texts = [wish.input] if isinstance(wish.input, str) else wish.input
    if not texts or texts == [""]:
        return _own({"model": record.requested, "embeddings": []}, wish)
    if wish.dimensions is not None and wish.dimensions < 0:
        raise BadRequest("'dimensions' must not be below 0", param="dimensions")
    return _call(embed_call(record.requested, texts), wish, VectorsAnswer(record, wish.dimensions))


def embeddings(body: bytes, record: Record) -> ServerCall | OwnAnswer:
    """Translate POST /api/embeddings. Raises `BadRequest`."""
    wish = read(body, EmbeddingsWish)
    record.stream = False
    if not wish.prompt:
        return _own({"embedding": []}, wish)
    return _call(embed_call(record.requested, [wish.prompt]), wish, VectorAnswer(record))


def _text(record: Record, *, is_chat: bool) -> AnswerEdit:
    return LineStream(record, is_chat=is_chat) if record.stream else OneAnswer(record, is_chat=is_chat)


def _call(called: Called, wish: OllamaWish, edit: AnswerEdit) -> ServerCall:
    return ServerCall(called.path, called.body, edit, wish.keep_seconds)


def _only_loaded(wish: OllamaWish, record: Record, *, is_chat: bool) -> OwnAnswer:
    """Return the answer to a request with nothing to answer: the model is loaded, or is to go."""
    record.stream = False
    keep_seconds = wish.keep_seconds
    reason: Literal["load", "unload"] = "unload" if keep_seconds == 0 else "load"
    return OwnAnswer(partial(_line, record.requested, reason, is_chat), reason == "load", keep_seconds)


def _line(model: str, reason: str, is_chat: bool) -> bytes:  # noqa: FBT001 - a partial's last argument
    return LineWriter(model, is_chat=is_chat).line(time.time(), "", "", end=done(reason))


def _own(answer: dict[str, Any], wish: OllamaWish) -> OwnAnswer:
    keep_seconds = wish.keep_seconds
    return OwnAnswer(lambda: msgspec.json.encode(answer), keep_seconds != 0, keep_seconds)
