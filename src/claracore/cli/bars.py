"""How does a bar give way to the words beside it on a narrow terminal? Imports rich: only for who shows a bar."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

WIDEST, NARROWEST = 40, 8
"""Cells of a bar that is there."""
WORDS = 72
"""Cells that words get first: a name, what is done, how much of it and how long it takes."""
TOO_NARROW = 60
"""A terminal of fewer cells has words only."""


def bar_cells(console: Console) -> int:
    """Return how wide a bar is: what words leave of the terminal, within bounds; 0 where it has no room."""
    return 0 if console.width < TOO_NARROW else max(NARROWEST, min(WIDEST, console.width - WORDS))


def bar_column(console: Console) -> tuple[BarColumn, ...]:
    """Return a bar as wide as it may be, or nothing; rich alone would make it narrower until nothing of it is left."""
    cells = bar_cells(console)
    return (BarColumn(bar_width=cells, table_column=Column(width=cells, no_wrap=True)),) if cells else ()


def bytes_column() -> DownloadColumn:
    """Return how many bytes of how many, never in two lines."""
    return DownloadColumn(table_column=Column(no_wrap=True))


class Words(ProgressColumn):
    """A field of the task as words that give way: what there is no room for is cut off."""

    def __init__(self, field: str = "") -> None:
        """Take the name of a field; empty is the description."""
        super().__init__()
        self._field = field

    def render(self, task: Task) -> Text:
        """Return the words in one line."""
        text = task.fields[self._field] if self._field else task.description
        return Text(str(text), no_wrap=True, overflow="ellipsis")
