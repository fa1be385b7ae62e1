"""`claracore serve`, and `claracore` without a verb."""

from __future__ import annotations

from typing import Any

from claracore.cli.serve_options import TAKES, ServeOptions
from claracore.cli.verb import Verb


def serve_until_asked(**chosen: Any) -> None:  # noqa: ANN401 - the fields of ServeOptions
    """Serve until asked to end; without a verb the same."""
    from claracore.cli.serve import serve  # noqa: PLC0415 - takes seconds to import, and --help needs none of it

    serve(ServeOptions(**chosen))


SERVE = Verb(serve_until_asked, TAKES)
