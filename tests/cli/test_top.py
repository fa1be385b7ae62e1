"""The view that stays, at a terminal, and one look in a pipe."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.runner import invoke
from cli.typed import typed
from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run

CONFIG = f"""\
startPort: {free_run(8).start}
models:
  one: {{cmd: '{fake()}', ttl: 1800}}
  two: {{cmd: '{fake()}'}}
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    monkeypatch.delenv("CLARACORE_API_KEY", raising=False)
    monkeypatch.delenv("CLARACORE_URL", raising=False)
    configured(tmp_path, CONFIG)
    with instance(tmp_path) as running:
        yield running


def test_in_a_pipe_one_look(server: Instance) -> None:
    assert "no model runs" in invoke(["top", "--url", server.url]).stdout
    server.chat("one")
    text = invoke(["top", "--url", server.url]).stdout
    assert "1 of 2 models, 0 requests, 0 waiting" in text
    row = next(line for line in text.splitlines() if line.startswith("one "))
    assert row.split()[1] == "ready"
    assert row.endswith("30 min left")
    assert "\x1b" not in text


def test_at_a_terminal_it_follows_until_ctrl_c(server: Instance) -> None:
    with typed("top", "--every", "0.2", "--url", server.url) as terminal:
        terminal.expect("no model runs")
        server.chat("two")
        terminal.expect("1 of 2 models")
        server.end()
        terminal.expect("no answer from")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ended() == 0
    assert terminal.raw.endswith("\x1b[?25h\x1b[?1049l")  # the cursor and what stood there before are back


def test_no_server_is_said() -> None:
    result = invoke(["top", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 3
    assert "no server answers" in result.stderr
