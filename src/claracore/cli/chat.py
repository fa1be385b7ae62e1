"""`claracore chat MODEL`: talk to a model in the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from claracore.cli.client import MODEL, URL, Server, ServerSaid, show_json
from claracore.cli.failure_shown import failures_explained
from claracore.cli.interrupts import interrupt_once
from claracore.cli.talk import Talk, look
from claracore.cli.terminal import say
from claracore.cli.verb import Verb, flag, option, within, word
from claracore.cli.waiting import waiting_shown
from claracore.errors import BadRequest

PROMPT = "> "


def chat(
    *, model: str, message: str | None, system: str | None, max_tokens: int | None, url: str | None, as_json: bool
) -> None:
    """Talk to a model; an empty line or Ctrl-D ends, /help says what else there is."""
    talk = Talk(Server(url), model, system or "")
    look(talk.server, model)
    options: dict[str, Any] = {"max_tokens": max_tokens} if max_tokens else {}
    asks = message is None and sys.stdin.isatty()
    for line in [message] if message else _lines(talk) if asks else _piped(message):
        try:
            _answer(talk, line, options, quiet=as_json)
        except ServerSaid as error:
            if not asks:
                raise
            talk.turns.pop()
            say(error.message, err=True, style="red")
    if as_json:
        show_json(talk.messages)
    if not asks and not talk.turns:
        raise BadRequest("nothing was said: give the message as a word, or on standard input")


def _answer(talk: Talk, line: str, options: dict[str, Any], *, quiet: bool) -> None:
    """Say a line, and print the answer as it comes; Ctrl-C ends that answer. Raises ServerSaid."""
    talk.add("user", line)
    answer = ""
    try:
        with failures_explained(talk.server, talk.model), waiting_shown(talk.server, talk.model) as begun:
            for piece in pieces(
                talk.server, {"model": talk.model, "messages": talk.messages, "stream": True, **options}
            ):
                if not answer:
                    begun()
                answer += piece
                if not quiet:
                    say(piece, end="")
    except KeyboardInterrupt:
        interrupt_once()  # enough of this answer
    except ServerSaid:
        if answer and not quiet:
            say()  # what is said of it begins on a line of its own
        raise
    if not quiet:
        say()
    talk.add("assistant", answer)


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


def _piped(message: str | None) -> Iterator[str]:
    """Give the lines of standard input up to an empty one; none where an empty message was given."""
    if message is None:
        for line in sys.stdin:
            if not line.strip():
                return
            yield line.rstrip("\n")


def _lines(talk: Talk) -> Iterator[str]:
    """Give what a person types, until an empty line; lines with a slash are done here."""
    with suppress(ImportError):
        import readline  # noqa: F401, PLC0415 - lets `input` edit lines, where Python has it
    while True:
        try:
            line = input(PROMPT).strip()
        except (EOFError, KeyboardInterrupt):
            say()
            return
        if not line:
            return
        if not line.startswith("/") or line.startswith("//"):
            yield line[1:] if line.startswith("//") else line
        elif (words := talk.command(line)) is not None:
            say(words)
        else:
            return


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
