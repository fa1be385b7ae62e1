"""What is said of what could not be done: to people in a line, to programs as JSON, and the nearest verb everywhere."""

from __future__ import annotations

import json

import pytest

from claracore.cli import root
from cli.runner import invoke

NOBODY = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("words", "nearest", "whole"),
    [
        (["prt"], "ports", "claracore help"),
        (["nodes", "fnd"], "find", "claracore nodes --help"),
        (["engines", "instal"], "install", "claracore engines --help"),
        (["config", "chek"], "check", "claracore config --help"),
        (["keys", "ad"], "add", "claracore keys --help"),
    ],
)
def test_a_word_that_is_no_verb_is_answered_with_the_nearest(words: list[str], nearest: str, whole: str) -> None:
    result = invoke(words)
    assert result.exit_code == 2
    assert f"there is no verb {words[-1]!r}; did you mean {nearest!r}? ({whole} has them all)" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (["ps", "--json", "--url", NOBODY], 3, "no_server"),
        (["nodes", "--json", "--url", NOBODY], 3, "no_server"),
        (["load", "--json"], 2, "usage"),
        (["nodes", "bogus", "--json"], 2, "usage"),
        (["ps", "--json", "--url", "http://"], 1, "bad_request"),
        (["engines", "use", "no-such-engine", "--json"], 1, "no_such_engine"),
        (["ports", "--json", "--config", "/no/such/file.yaml"], 2, ""),
    ],
)
def test_a_program_is_told_in_json_on_stderr(
    words: list[str], exit_code: int, code: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLARACORE_URL", raising=False)
    with pytest.raises(SystemExit) as ended:
        root.run(words)
    told = capsys.readouterr()
    assert ended.value.code == exit_code
    assert told.out == ""
    error = json.loads(told.err)["error"]
    assert error["message"]
    assert not error["message"].startswith("claracore")
    assert error["code"] == code or not code
    with pytest.raises(SystemExit):
        root.run([word for word in words if word != "--json"])
    assert error["message"] in capsys.readouterr().err
