from __future__ import annotations

import pytest

from claracore.core.config.migrate import migrate

OLD = """\
# written by hand
healthCheckTimeout: 60

startPort: 5800   # first port of models
models:
  a: # comment
    cmd: "llama-server --port ${PORT}"
"""


def test_a_start_port_that_is_our_own_moves_and_all_else_stays() -> None:
    migrated = migrate(OLD, listen_port=5800)
    assert migrated.text == OLD.replace("startPort: 5800", "startPort: 8100")
    assert migrated.changes == ("startPort 5800 -> 8100: port 5800 is ClaraCore's own",)


@pytest.mark.parametrize("start", ["5800", "'5800'", "0x16A8"])
def test_however_the_number_is_written(start: str) -> None:
    assert migrate(f"startPort: {start} # c\n", listen_port=5800).text == "startPort: 8100 # c\n"


def test_a_second_run_changes_nothing() -> None:
    once = migrate(OLD, listen_port=5800)
    assert migrate(once.text, listen_port=5800).changes == ()


@pytest.mark.parametrize(
    "text",
    [
        "startPort: 5800\n",
        "startPort: 9000\n",
        "models: {}\n",
        "startPort: ${p}\nmacros: {p: 8080}\n",
        "",
        "[",
        "a: *b",
    ],
)
def test_without_a_conflict_nothing_changes(text: str) -> None:
    assert migrate(text, listen_port=8080).text == text


def test_listening_on_8100_moves_models_beyond_it() -> None:
    assert migrate("startPort: 8100\n", listen_port=8100).text == "startPort: 8101\n"
