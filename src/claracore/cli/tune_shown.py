"""How long will tuning still take? A bar on a terminal, which goes away while a line is printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from claracore.cli.terminal import moves
from claracore.core.units import lasting

Aside = Callable[[], AbstractContextManager[None]]


@contextmanager
def time_bar(seconds: float, *, quiet: bool) -> Iterator[Aside]:
    """Show how much of so many seconds is over; gives what makes room for a line, for the length of a block."""
    if quiet or not moves(sys.stderr):
        yield nullcontext
        return
    from rich.console import Console  # noqa: PLC0415 - see console.py
    from rich.progress import Progress, ProgressColumn, Task  # noqa: PLC0415 - as above
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    from claracore.cli.bars import bar_cells  # noqa: PLC0415 - as above

    console = Console(stderr=True)

    class SpentBar(ProgressColumn):
        """The part of the time that is over."""

        def render(self, task: Task) -> ProgressBar:
            return ProgressBar(total=seconds, completed=min(task.elapsed or 0.0, seconds), width=bar_cells(console))

    class TimeLeft(ProgressColumn):
        """The time that is left."""

        def render(self, task: Task) -> Text:
            left = seconds - (task.elapsed or 0.0)
            return Text(f"{lasting(left)} left" if left > 0 else "ending")

    columns = (SpentBar(), TimeLeft()) if bar_cells(console) else (TimeLeft(),)
    bar = Progress("trying settings", *columns, console=console, transient=True)
    bar.add_task("")

    @contextmanager
    def aside() -> Iterator[None]:
        bar.stop()
        yield
        bar.start()

    with bar:
        yield aside
