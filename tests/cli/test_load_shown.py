"""A load on a terminal, and in a pipe."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from claracore.cli.load_shown import load_meter, stage
from claracore.cli.terminal import ESCAPES


def model(state: str = "starting", **more: Any) -> dict[str, Any]:
    plain = {"progress": None, "progress_message": None, "expected_seconds": None, "waits_for": None}
    return {"id": "qwen", "state": state, **plain, "read_bytes": None, "weight_bytes": None, **more}


def waits(cause: str, *models: str) -> dict[str, Any]:
    return model("stopped", waits_for={"cause": cause, "models": list(models)})


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (model(), "loading qwen"),
        (model(progress_message="Loading model"), "loading qwen"),
        (model(progress_message="making the context"), "loading qwen: making the context"),
        (model(waits_for={"cause": "loading", "models": []}), "loading qwen"),
        (waits("answers", "phi", "gemma"), "qwen waits for phi and gemma to have answered"),
        (waits("loads", "phi"), "qwen waits for phi to be loaded"),
        (waits("unloading", "phi"), "qwen waits for phi to be unloaded"),
        (waits("turn", "phi"), "qwen waits for phi, asked for earlier"),
        (waits("returning"), "qwen waits for its server to end"),
        (waits("memory"), "qwen waits for memory to come back"),
    ],
)
def test_what_happens_in_words(shown: dict[str, Any], words: str) -> None:
    assert stage(shown) == words


def test_in_a_pipe_a_line_whenever_something_else_happens(capsys: pytest.CaptureFixture[str]) -> None:
    with load_meter() as show:
        show({**waits("answers", "phi"), "expected_seconds": 8.2})
        for left in (8.2, 7.9, 3.0):
            show(model(progress=0.5, expected_seconds=left))
        show(model(progress=0.9, progress_message="making the context", expected_seconds=1.0))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "qwen waits for phi to have answered, then about 8 s",
        "loading qwen, about 8 s",
        "loading qwen: making the context",
    ]


def test_in_a_pipe_bytes_are_said_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with load_meter() as show:
        for read in range(100):
            words = f"reading weights {read} of 100 MiB"
            show(model(progress_message=words, read_bytes=read, weight_bytes=100))
        show(model(progress_message="copying weights 1 of 100 MiB", read_bytes=1, weight_bytes=100))
    assert capsys.readouterr().err.splitlines() == [
        "loading qwen: reading weights 0 of 100 MiB",
        "loading qwen: reading weights 25 of 100 MiB",
        "loading qwen: reading weights 50 of 100 MiB",
        "loading qwen: reading weights 75 of 100 MiB",
        "loading qwen: copying weights 1 of 100 MiB",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_that_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with load_meter() as show:
        show(model())
        show(model(progress=0.42, expected_seconds=8.2))
    written = terminal.getvalue()
    text = ESCAPES.sub("", written)
    assert "loading qwen" in text
    assert " 42% about 8 s" in text
    assert written.rstrip().endswith("\x1b[2K")


def test_for_a_model_that_is_ready_at_once_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with load_meter():
        pass
    assert terminal.getvalue() == ""
