"""Which verb is meant by a word that is none, and is the help as wide as the terminal?"""

from __future__ import annotations

import pytest

from claracore.cli import terminal
from claracore.cli.index import VERBS, parser, unknown_verb, verb
from claracore.cli.serve_options import TAKES
from claracore.cli.verb import VerbGroup


@pytest.mark.parametrize(
    ("word", "verb"),
    [
        ("serv", "serve"),
        ("lod", "load"),
        ("hlep", "help"),
        ("stp", "unload"),
        ("models", "ps --all"),
        ("mdoels", "ps --all"),
        ("version", "--version"),
        ("stores", "import"),
    ],
)
def test_the_nearest_verb_is_named(capsys: pytest.CaptureFixture[str], word: str, verb: str) -> None:
    with pytest.raises(SystemExit):
        unknown_verb(word)
    assert f"; did you mean {verb!r}?" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["nonsense", "xyzzy", "-"])
def test_nothing_is_named_that_is_not_near(capsys: pytest.CaptureFixture[str], word: str) -> None:
    with pytest.raises(SystemExit):
        unknown_verb(word)
    shown = capsys.readouterr().err
    assert word in shown
    assert "did you mean" not in shown


@pytest.mark.parametrize("width", [60, 80, 120])
def test_help_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(terminal, "columns", lambda: width)
    groups = [found.parser(name) for name in VERBS if isinstance(found := verb(name), VerbGroup)]
    for shown in (parser(TAKES).description, *(group.description for group in groups)):
        lines = (shown or "").splitlines()
        verbs = [line for line in lines if line.startswith("  ")]
        assert verbs
        assert max(map(len, verbs)) <= width, max(verbs, key=len)
