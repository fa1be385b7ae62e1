"""How does a verb end that could not do what it was asked to: what is said, to people and to programs?

To people in a line on stderr; with `--json` the same as JSON, on stderr as well: stdout has answers only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, NoReturn

from claracore.cli.terminal import say

USAGE: Final = 2
"""Exit code for words that cannot be understood."""


class _Ending:
    as_json = False


def hear(words: Sequence[str]) -> None:
    """Take in by its words whether a person or a program has asked."""
    _Ending.as_json = "--json" in words


def end(message: str, exit_code: int, code: str, *, lead: str = "") -> NoReturn:
    """Say why it could not be done (`code`: in a word, for programs; `lead`: who says so, for people), and end."""
    shown = json.dumps({"error": {"message": message, "code": code}}, ensure_ascii=False)
    say(shown if _Ending.as_json else f"{lead}{message}", err=True)
    raise SystemExit(exit_code)
