"""What is left of a bar, and of the words beside it, where the terminal is narrow?"""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from claracore.cli.bars import NARROWEST, WIDEST, Words, bar_column

WORDS = "loading qwen3-30b-a3b-instruct: reading weights 4.1 of 8.2 GiB"


def drawn(width: int, words: str = WORDS) -> list[str]:
    """Return the lines of a load that is half done."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=24, force_terminal=True, color_system=None)
    columns = (Words(), *bar_column(console), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, auto_refresh=False) as bar:
        bar.add_task(words, total=2, completed=1, left="about 12 s left")
        bar.refresh()
        out.truncate(0)
        out.seek(0)
        bar.refresh()
    return [line for line in out.getvalue().replace("\r", "\n").splitlines() if "left" in line]


@pytest.mark.parametrize(("width", "cells"), [(160, WIDEST), (100, 28), (80, NARROWEST), (60, NARROWEST), (40, 0)])
def test_a_bar_gives_way_to_words(width: int, cells: int) -> None:
    lines = drawn(width)
    assert lines, "it is drawn in one line"
    assert all(line.count("━") <= cells for line in lines), lines
    assert all((line.count("━") >= cells // 2) for line in lines), lines
    assert (WORDS in lines[0]) is (width == 160)


def test_how_a_load_stands_is_read_in_80_cells() -> None:
    assert (
        "loading smollm2: reading weights 17 of 94 MiB" in drawn(80, "loading smollm2: reading weights 17 of 94 MiB")[0]
    )


def test_the_least_terminal_keeps_what_is_done() -> None:
    words = "loading smollm2: reading"
    assert words[:22] in drawn(40, words)[0]
