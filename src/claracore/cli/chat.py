"""`claracore chat MODEL`: talk to a model in the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from claracore.cli.client import MODEL, URL, Server, ServerSaid, show_json
from claracore.cli.interrupts import interrupt_once
from claracore.cli.terminal import say
from claracore.cli.verb import Verb, flag, option, within, word

PROMPT = "> "


def chat(
    *, model: str, message: str | None, system: str | None, max_tokens: int | None, url: str | None, as_json: bool
) -> None:
    """Talk to a model; an empty line or Ctrl-D ends."""
    server = Server(url)
    messages: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []
    for line in [message] if message is not None else _typed():
        messages.append({"role": "user", "content": line})
        options: dict[str, Any] = {"max_tokens": max_tokens} if max_tokens else {}
        answer = ""
        try:
            for piece in pieces(server, {"model": model, "messages": messages, "stream": True, **options}):
                answer += piece
                if not as_json:
                    say(piece, end="")
        except KeyboardInterrupt:
            interrupt_once()  # enough of this answer
        if not as_json:
            say()
        messages.append({"role": "assistant", "content": answer})
    if as_json:
        show_json(messages)


def pieces(server: Server, body: dict[str, Any]) -> Iterator[str]:
    """Give the pieces of a streamed answer's text as they come. Raises ServerSaid for an error in the stream."""
    with server.open("POST", "/v1/chat/completions", body) as answer:
        for event in server.events(answer):
            if event.data == "[DONE]":
                continue
            data = json.loads(event.data)
            if "error" in data:
                raise ServerSaid(str(data["error"].get("message", data["error"])))
            for choice in data.get("choices", ()):
                text = choice.get("delta", {}).get("content")
                if text:
                    yield text


def _typed() -> Iterator[str]:
    while True:
        try:
            line = input(PROMPT if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            return
        if not line.strip():
            return
        yield line


CHAT = Verb(
    chat,
    {
        "model": MODEL,
        "message": word(about="Say this, print the answer and end.", nargs="?"),
        "system": option("--system", about="What the model is told first."),
        "max_tokens": option("--max-tokens", about="Longest answer, in tokens.", kind=within(1)),
        "url": URL,
        "as_json": flag("--json", about="Print the messages as JSON when it is over."),
    },
)
