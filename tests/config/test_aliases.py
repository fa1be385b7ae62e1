"""A model gets another name in a text, and loses one; the rest of the text stays."""

from __future__ import annotations

import pytest

from claracore.core.config.aliases import with_aliases, without_alias
from claracore.core.config.tags import other_spelling, resolved, tagged
from claracore.errors import ModelNotFound

TEXT = """\
models:
  # the first
  one:
    cmd: x  # as it is
    aliases: [a]
  two:
    cmd: y
"""


def test_names_come_and_go() -> None:
    more = with_aliases(TEXT, "one", ["b:1", "a"])
    assert more == TEXT.replace("[a]", "[a, b:1]")
    assert without_alias(more, "one", "b:1") == TEXT
    assert "aliases" not in without_alias(TEXT, "one", "a")
    assert without_alias(with_aliases(TEXT, "two", ["c"]), "two", "c") == TEXT
    assert with_aliases(TEXT, "one", ["a"]) == TEXT
    for text in (TEXT, "", "models: []"):
        with pytest.raises(ModelNotFound):
            with_aliases(text, "three", ["c"])


@pytest.mark.parametrize(
    ("name", "listed", "other"),
    [
        ("x", "x:latest", "x:latest"),
        ("x:latest", "x:latest", "x"),
        ("x:1b", "x:1b", ""),
        ("host:5000/x", "host:5000/x:latest", "host:5000/x:latest"),
        ("hf.co/a/b:Q4_K_M", "hf.co/a/b:Q4_K_M", ""),
    ],
)
def test_tags(name: str, listed: str, other: str) -> None:
    assert (tagged(name), other_spelling(name)) == (listed, other)


def test_what_is_spelled_otherwise() -> None:
    known = {"x": "one", "y:latest": "two"}
    assert [resolved(name, known.get) for name in ("x:latest", "y", "x", "z", ":latest")] == [
        "one",
        "two",
        "one",
        None,
        None,
    ]
