"""How do words get to the person: in which colour, and in none where nobody sees it?"""

from __future__ import annotations

import codecs
import os
import re
import shutil
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TextIO

from claracore.cli.fitted import NARROWEST, fitted, wrapped

CODES = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "bold": "1"}
"""Select Graphic Rendition (ECMA-48, 8.3.117)."""

ESCAPES = re.compile(r"\x1b\[[;?0-9]*[a-zA-Z]")
"""Control sequences (ECMA-48, 5.4), as engines that colour their output print them."""


def accept_any_text() -> None:
    """Let stdout and stderr take every character: what their encoding lacks is escaped, and ASCII becomes UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            errors = "backslashreplace" if stream.errors == "strict" else stream.errors
            stream.reconfigure(encoding="utf-8" if ascii_only else None, errors=errors)


def say(text: object = "", *, style: str = "", err: bool = False, end: str = "\n") -> None:
    """Print to stdout, or with `err` to stderr, at once; `style` is one or more of CODES.

    Only terminals get it, and the control sequences that the text has. Where whoever started us has closed that
    (`>&-`), nothing is printed.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is None:
        return
    shown = styled(str(text), style) if stream.isatty() and not is_plain() else ESCAPES.sub("", str(text))
    print(shown, file=stream, end=end, flush=True)


def styled(text: str, style: str) -> str:
    """Return the text with its style, or as it is where the terminal is to have none."""
    if not style or is_plain():
        return text
    return f"\x1b[{';'.join(CODES[name] for name in style.split())}m{text}\x1b[0m"


def is_plain() -> bool:
    """Whether control sequences are not wanted (NO_COLOR, no-color.org), or not understood (TERM=dumb)."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def moves(stream: TextIO | None) -> bool:
    """Whether a bar may move on a stream: it is a terminal, and control sequences may go there."""
    return stream is not None and stream.isatty() and not is_plain()


def columns() -> int | None:
    """Return how wide the terminal is that stdout is; None where it is none: a pipe gets all of each line."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines under a head, as wide as stdout. (rich takes 80 ms to import; a verb has 150.)"""
    return fitted(head, rows, columns())


def beside(lead: str, text: str, *, before: int = 0) -> str:
    """Return a lead and the text beside it, which on a terminal goes on below itself; `before` stands on the left."""
    width = columns()
    if width is None or before + len(lead) + len(text) <= width:
        return lead + text
    indent = before + len(lead)
    lines = wrapped(text, max(NARROWEST, width - indent))
    return lead + f"\n{' ' * indent}".join(lines)
