"""Which of several patterns fits a name best?

Pure. A pattern is an alias with a `*` in it, which stands for any characters, also none: `claude-*`. The one with the
most other characters is the most specific.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

ANY: Final = "*"


def is_pattern(name: str) -> bool:
    """Whether a name stands for many.

    >>> is_pattern("claude-*"), is_pattern("claude")
    (True, False)
    """
    return ANY in name


def best_first(patterns: Iterable[str]) -> list[str]:
    """Return patterns in the order in which they are to be tried.

    >>> best_first(["*", "claude-*", "*-haiku-*", "claude-*haiku"])
    ['claude-*haiku', 'claude-*', '*-haiku-*', '*']
    """
    return sorted(patterns, key=lambda pattern: (-len(pattern.replace(ANY, "")), pattern.count(ANY), pattern))


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern as a regular expression for a whole name.

    >>> bool(compiled("gpt-4*").fullmatch("gpt-4o")), bool(compiled("a.*").fullmatch("abc"))
    (True, False)
    """
    first, *others = map(re.escape, re.split(r"\*+", pattern))
    # Without a way back into them: with two or more, a long name would else be tried in all combinations.
    inner = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(first + inner + "".join(f".*{part}" for part in others[-1:]), re.DOTALL)
