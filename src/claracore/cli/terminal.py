"""How do words get to the person: in which colour, and in none where nobody sees it?"""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Sequence
from io import TextIOWrapper

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
    print(styled(str(text), style) if stream.isatty() else ESCAPES.sub("", str(text)), file=stream, end=end, flush=True)


def styled(text: str, style: str) -> str:
    """Return the text with its style, or as it is where NO_COLOR asks for that (no-color.org)."""
    if not style or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{';'.join(CODES[name] for name in style.split())}m{text}\x1b[0m"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines under a head. (rich takes 80 ms to import; a verb has 150.)"""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *rows)
    ]
