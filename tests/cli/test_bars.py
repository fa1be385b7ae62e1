"""What is left of a bar where the terminal is narrow?"""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from claracore.cli.bars import NARROWEST, WIDEST, Words, bar_column

WORDS = "loading qwen3-30b-a3b-instruct: reading weights 4.1 of 8.2 GiB"


def drawn(width: int) -> list[str]:
    """Return the lines of a load that is half done."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=24, force_terminal=True, color_system=None)
    columns = (Words(), bar_column(console), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, auto_refresh=False) as bar:
        bar.add_task(WORDS, total=2, completed=1, left="about 12 s left")
        bar.refresh()
        out.truncate(0)
        out.seek(0)
        bar.refresh()
    return [line for line in out.getvalue().replace("\r", "\n").splitlines() if "left" in line]


@pytest.mark.parametrize(("width", "least"), [(160, WIDEST // 2), (80, 13), (60, 10), (40, 6), (30, NARROWEST // 2)])
def test_a_bar_stays_and_words_give_way(width: int, least: int) -> None:
    lines = drawn(width)
    assert lines, "it is drawn in one line"
    assert all(line.count("━") >= least for line in lines), lines
    assert all(line.lstrip("\x1b[2K1A").startswith("load") for line in lines) or width < 40, lines
    assert (WORDS in lines[0]) is (width == 160)
