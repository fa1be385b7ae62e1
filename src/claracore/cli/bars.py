"""How does a bar keep its place on a terminal that is narrow? Columns of rich's; imported by who shows a bar only."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

WIDEST, NARROWEST = 40, 8
"""Cells of a bar."""


def bar_cells(console: Console) -> int:
    """Return how wide a bar is: a third of the terminal, within bounds."""
    return max(NARROWEST, min(WIDEST, console.width // 3))


def bar_column(console: Console) -> BarColumn:
    """Return a bar that does not give way to words: rich makes it narrower until nothing of it is left."""
    cells = bar_cells(console)
    return BarColumn(bar_width=cells, table_column=Column(width=cells, no_wrap=True))


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
