"""How are texts and numbers written as YAML, so that every reader gets them back?

Only what a generated configuration needs: double-quoted scalars (JSON's are valid YAML), block literals, comments.
"""

from __future__ import annotations

import json
import re
import textwrap
import unicodedata

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./()-]+)*")
WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
COMMENT_WIDTH = 110
AS_JSON = json.JSONEncoder(ensure_ascii=False).encode


def scalar(value: str | float | bool) -> str:  # noqa: FBT001 - a value, not a switch
    """Write a scalar: plain where that is unmistakable, else double-quoted."""
    if isinstance(value, str):
        plain = PLAIN.fullmatch(value) and value.lower() not in WORDS
        return value if plain else AS_JSON(value).replace("\x7f", "\\u007f")
    return json.dumps(value)


def flow(values: tuple[str, ...]) -> str:
    """Write a list of texts on one line."""
    return "[" + ", ".join(AS_JSON(value) for value in values) + "]"


def literal(text: str, indent: int) -> list[str]:
    """Write the lines of a block literal, without its `|`."""
    return [" " * indent + line for line in text.rstrip("\n").split("\n")]


def comment(text: str, indent: int) -> list[str]:
    """Write a comment, wrapped."""
    head = " " * indent + "# "
    if 0 < len(text) <= COMMENT_WIDTH - len(head) and text == " ".join(text.split()):
        return [head + text]  # as most are; wrapping would take longer to find that out
    return textwrap.wrap(text, COMMENT_WIDTH, initial_indent=head, subsequent_indent=head)


def unwritable(text: str) -> str | None:
    """Say why a text cannot stand in a command of a configuration; None when it can."""
    if any(unicodedata.category(char) in UNPRINTABLE or char == "\ufeff" for char in text):
        return "has a character in its path that cannot be written (control character, or not UTF-8)"
    if "${" in text:
        return "has ${ in its path, which the configuration reads as a macro"
    return None
