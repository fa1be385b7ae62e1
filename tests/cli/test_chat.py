"""Talking to a model: at a terminal, and in a pipe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from claracore.cli.client import ServerSaid
from claracore.errors import BadRequest
from cli.runner import invoke
from cli.typed import typed
from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run

CONFIG = f"""\
startPort: {free_run(8).start}
models:
  one: {{cmd: '{fake()}'}}
  slow: {{cmd: '{fake("--ready-after", "2")}'}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("chat")
    configured(folder, CONFIG)
    with instance(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CLARACORE_API_KEY", raising=False)
    monkeypatch.delenv("CLARACORE_URL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_an_unknown_model_ends_it_before_the_prompt(server: Instance) -> None:
    with typed("chat", "nope", "--url", server.url) as terminal:
        assert terminal.ended() == 1
        assert "'nope' is not known" in terminal.seen
        assert "> " not in terminal.seen


@pytest.mark.parametrize("words", [["one", ""], ["one"]])
def test_nothing_said_is_a_failure(server: Instance, words: list[str]) -> None:
    result = invoke(["chat", *words, "--url", server.url])
    assert result.exit_code == 1
    assert isinstance(result.exception, BadRequest)
    assert "nothing was said" in str(result.exception)


def test_lines_of_a_pipe_are_said_whatever_they_begin_with(server: Instance) -> None:
    result = invoke(["chat", "one", "--json", "--url", server.url], typed="/help\n")
    assert json.loads(result.stdout)[0] == {"role": "user", "content": "/help"}


def test_commands_at_a_terminal(server: Instance, tmp_path: Path) -> None:
    with typed("chat", "one", "--url", server.url) as terminal:
        for line, answer in (
            ("/help", "/save"),
            ("/sytem x", "did you mean '/system'"),
            ("/system be kind", "told that first"),
            ("/model", "slow"),
            ("/model nope", "'nope' is not known"),
            ("/save", "name a file"),
            ("/save nowhere/talk.md", "No such file"),
            ("/clear", "begun anew"),
            ("/model slow", "slow answers from here on"),
            ("/model one", "one answers from here on"),
        ):
            terminal.expect("> ")
            terminal.type(line)
            terminal.expect(answer)
        terminal.expect("> ")
        terminal.type("//hello")
        terminal.expect("> ")
        for name in ("talk.json", "talk.md", "talk.md"):
            terminal.type(f"/save {name}")
            terminal.expect("> ")
        assert "File exists" in terminal.seen
        terminal.type("/exit")
        assert terminal.ended() == 0
    saved = json.loads((tmp_path / "talk.json").read_text())
    assert [one["role"] for one in saved] == ["system", "user", "assistant"]
    assert saved[1]["content"] == "/hello"
    assert (tmp_path / "talk.md").read_text().startswith("## System\n\nbe kind\n\n## You\n\n/hello\n\n## one\n\n")


def test_a_load_is_seen_while_the_answer_is_waited_for(server: Instance) -> None:
    invoke(["unload", "--url", server.url])
    with typed("chat", "slow", "hello", "--url", server.url) as terminal:
        terminal.expect("loading slow")
        assert terminal.ended() == 0
    assert "\x1b[2K" in terminal.raw  # the bar is taken away before the answer


def test_in_a_pipe_a_load_is_a_line(server: Instance) -> None:
    invoke(["unload", "--url", server.url])
    result = invoke(["chat", "slow", "hello", "--url", server.url])
    assert result.stderr.startswith("loading slow")
    assert "loading" not in result.stdout


def test_a_failed_answer_does_not_end_a_conversation(tmp_path: Path) -> None:
    configured(tmp_path, CONFIG.replace("  slow:", "  broken: {cmd: 'false --port ${PORT}'}\n  slow:"))
    with instance(tmp_path) as other, typed("chat", "broken", "--url", other.url) as terminal:
        terminal.expect("> ")
        terminal.type("hello")
        terminal.expect("broken")
        terminal.expect("> ")
        terminal.type("")
        assert terminal.ended() == 0


def test_what_is_said_of_an_answer_that_breaks_off_begins_a_line(tmp_path: Path) -> None:
    cut = f"  cut: {{cmd: '{fake()}', filters: {{setParams: {{fake: {{cut_after: 2}}}}}}}}"
    configured(tmp_path, CONFIG.replace("  slow:", f"{cut}\n  slow:"))
    with instance(tmp_path) as other:
        result = invoke(["chat", "cut", "hello", "--url", other.url])
        assert isinstance(result.exception, ServerSaid)
        assert result.stdout.strip()
        assert result.stdout.endswith("\n")
