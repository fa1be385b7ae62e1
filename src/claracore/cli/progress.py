"""How far is the reading of model files? A bar on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from claracore.cli.terminal import moves
from claracore.host.library.scan import Progress as OnProgress


@contextmanager
def progress(*, quiet: bool) -> Iterator[OnProgress | None]:
    """Show a bar on a terminal while headers are read."""
    if quiet or not moves(sys.stderr):
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - see console.py
    from rich.progress import MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    from claracore.cli.bars import Words, bar_column  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    columns = (TextColumn("reading models"), *bar_column(console), MofNCompleteColumn(), Words("name"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("scan", total=None, name="")

        def on_progress(done: int, total: int, path: Path) -> None:
            bar.update(task, completed=done, total=total, name=path.name)

        yield on_progress
