"""Every verb that prints a table: on terminals of any width, in a pipe, without colours."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claracore.cli.root import dispatch
from claracore.cli.terminal import ESCAPES
from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run

MODELS = Path(__file__).resolve().parents[2] / ".models"
SMOLLM2 = MODELS / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
LONG = "a-model-with-a-name-that-is-as-long-as-those-of-the-hub-are-30b-a3b-instruct-q4_k_m"
CONFIG = f"""\
startPort: {free_run(8).start}
models:
  {LONG}: {{cmd: '{fake()}', ttl: 3600}}
  other: {{cmd: '{fake("--crash", "start")}'}}
"""
VERBS = [
    ("ps", "--all", "--verbose"),
    ("status",),
    ("top",),
    ("requests",),
    ("ports",),
    ("ports", "why", "8123"),
    ("keys", "list"),
    ("conversations", "list"),
    ("hardware",),
    ("doctor",),
    ("fit", str(SMOLLM2)),
    ("setup", "--dry-run", str(MODELS / "smollm2")),
]


class Stream(io.StringIO):
    """A terminal, or what is none."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("widths")
    configured(folder, CONFIG)
    with instance(folder) as running:
        running.ask("POST", "/api/models/load/other")
        running.ask("POST", f"/api/models/load/{LONG}")
        yield running


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CLARACORE_API_KEY", "CLARACORE_URL", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(tmp_path)


def printed(words: tuple[str, ...], server: Instance, monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> str:
    """Return what a verb prints, on stdout and stderr."""
    out = Stream(terminal=terminal)
    if words == ("top",) and terminal:
        monkeypatch.setenv("TERM", "dumb")  # else it stays until Ctrl-C
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("CLARACORE_URL", server.url)
    code: object = 0
    try:
        dispatch(words)
    except SystemExit as end:
        code = end.code
    assert code in {None, 0, 1}, out.getvalue()
    return out.getvalue()


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_in_a_pipe_there_are_no_control_sequences_and_no_limits(
    words: tuple[str, ...], server: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = printed(words, server, monkeypatch, terminal=False)
    assert "\x1b" not in text
    assert "\r" not in text
    assert "…" not in text, "nothing is cropped"
    if words[0] in {"ps", "top", "ports"} and "why" not in words:
        assert LONG in text


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_on_a_terminal_tables_are_as_wide_as_it_is(
    words: tuple[str, ...], width: int, server: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = ESCAPES.sub("", printed(words, server, monkeypatch, terminal=True))
    assert text.strip()
    rows = [line for line in text.splitlines() if "  " in line.strip()]  # lines of a table have gaps
    assert [line for line in rows if len(line) > width] == []


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_where_it_is_asked_for_a_terminal_gets_no_control_sequences(
    words: tuple[str, ...], name: str, value: str, server: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv(name, value)
    assert "\x1b" not in printed(words, server, monkeypatch, terminal=True)
