"""`claracore logs [MODEL]`: what was printed, and what is being printed."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from claracore.cli.client import JSON, URL, Server, complete_model, path_of, show_json
from claracore.cli.terminal import say
from claracore.cli.verb import Verb, flag, option, within, word

PROXY = "proxy"


def logs(*, model: str, follow: bool, lines: int, url: str | None, as_json: bool) -> None:
    """Print the last lines of ClaraCore's log or of a model's server."""
    server = Server(url)
    past = server.ask("GET", f"/api/logs?{urlencode({'source': model, 'lines': lines})}")
    if as_json:
        show_json(past)
        return
    for line in past["lines"]:
        say(_line(line))
    if follow:
        with (
            suppress(KeyboardInterrupt),
            server.open("GET", f"/logs/stream/{path_of(past['source'])}?no-history") as answer,
        ):
            for text in server.lines(answer):
                say(text)


def _line(line: dict[str, Any]) -> str:
    if line["at"] is None:
        return str(line["text"])
    at = datetime.fromtimestamp(line["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{at} {line['level'].upper():<5} {line['text']}"


LOGS = Verb(
    logs,
    {
        "model": word(
            about="Id or alias; ClaraCore's own log if none is named.",
            complete=complete_model,
            nargs="?",
            default=PROXY,
        ),
        "follow": flag("--follow", "-f", about="Go on as more comes."),
        "lines": option("--lines", "-n", about="Lines of the past.", kind=within(1, 2000), default=200),
        "url": URL,
        "as_json": JSON,
    },
)
