"""`claracore logs [MODEL]`: what was printed, and what is being printed."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from claracore.cli.client import JsonOption, Server, UrlOption, complete_model, path_of, show_json

PROXY = "proxy"


def logs(
    model: Annotated[
        str, typer.Argument(help="Id or alias; ClaraCore's own log if none is named.", autocompletion=complete_model)
    ] = PROXY,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more comes.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=2000, help="Lines of the past.")] = 200,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the last lines of ClaraCore's log or of a model's server."""
    server = Server(url)
    past = server.ask("GET", f"/api/logs?{urlencode({'source': model, 'lines': lines})}")
    if as_json:
        show_json(past)
        return
    for line in past["lines"]:
        typer.echo(_line(line))
    if follow:
        with (
            suppress(KeyboardInterrupt),
            server.open("GET", f"/logs/stream/{path_of(past['source'])}?no-history") as answer,
        ):
            for text in server.lines(answer):
                typer.echo(text)


def _line(line: dict[str, Any]) -> str:
    if line["at"] is None:
        return str(line["text"])
    at = datetime.fromtimestamp(line["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{at} {line['level'].upper():<5} {line['text']}"
