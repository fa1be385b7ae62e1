"""What does an unquoted YAML scalar mean?

YAML 1.2's core schema, as llama-swap's parser reads it: `true` is a boolean, `yes` and `on` are text (an option that
wants a boolean accepts them all the same), `0x1F` is a number.
"""

from __future__ import annotations

import re

from claracore.core.config.tree import ScalarNode

Scalar = str | int | float | bool | None

INTEGER = re.compile(r"[-+]?[0-9][0-9_]{0,30}")
OTHER_BASE = re.compile(r"0[xX][0-9a-fA-F]{1,16}|0o[0-7]{1,22}|0b[01]{1,64}")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
NUMBER_STARTS = frozenset("0123456789+-.")
WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
NOT_FINITE = {
    **{f"{sign}.{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")},
    **{f".{word}": float("nan") for word in ("nan", "NaN", "NAN")},
}


def plain_value(text: str) -> Scalar:
    """Return what `text` means without quotes."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in NUMBER_STARTS:
        return text
    if INTEGER.fullmatch(text):
        return int(text.replace("_", "").removeprefix("+"))
    if OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if FLOAT.fullmatch(text):
        return float(text)
    return NOT_FINITE.get(text, text)


def value_of(node: ScalarNode, text: str) -> Scalar:
    """Return the value of `text` as `leaf` is written: by its tag, as text when quoted, by its look otherwise."""
    if node.tag is None or node.tag == "!":
        return plain_value(text) if node.plain else text
    return text if node.tag.endswith((":str", ":binary")) else plain_value(text)


def as_text(value: Scalar) -> str:
    """Write a value inside a text, as YAML spells it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
