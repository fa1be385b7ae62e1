"""`claracore replay` with the debug logs of real servers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from claracore.core.scheduler.replay import NoPolicy
from claracore.errors import BadRequest
from cli.runner import Result, invoke
from e2e.instance import configured, fake, instance
from fakes.ports import free_run

CONFIG = f"startPort: {free_run(8).start}\nmodels:\n  one:\n    cmd: '{fake()}'\n  two:\n    cmd: '{fake()}'\n"


def say(*words: object, exit_code: int = 0) -> Result:
    result = invoke(["replay", *words])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result


def record_a_swap(folder: Path, form: str, times: int) -> Path:
    """Let so many servers, one after another, swap two models; return their log."""
    log = folder / "claracore.log"
    configured(folder, CONFIG)
    for _ in range(times):
        with instance(folder, "--log-level", "debug", "--log-format", form, "--log-file", str(log)) as running:
            for model in ("one", "one", "two"):
                assert running.chat(model).status == 200
    return log


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_a_swap(tmp_path_factory.mktemp("replay"), "text", 2)


def test_a_log_of_two_servers_is_decided_again_as_it_was(swapped: Path) -> None:
    told = say(swapped).stdout
    assert re.search(r"\n\d+ events in 2 runs: all decided as recorded\n$", told)
    assert told.count(": one, two\n") == 2
    assert told.count("stop one: evicted\n") == 2
    assert told.count("two: request 3 waits: models that must go first are being stopped (one)\n") == 2
    assert told.count("one: stopping -> stopped\n") == 2
    assert say("--differences", swapped).stdout.count("\n") == 3


def test_a_log_in_json_too(tmp_path: Path) -> None:
    assert "1 run: all decided as recorded" in say(record_a_swap(tmp_path, "json", 1)).stdout


def test_what_differs_is_told_and_exits_1(swapped: Path, tmp_path: Path) -> None:
    log = tmp_path / "other.log"
    log.write_text(swapped.read_text().replace("[Stop(model='one', reason=<StopReason.EVICTED: 'evicted'>)]", "[]"))
    told = say("--differences", log, exit_code=1).stdout
    assert re.search(
        r"LookedAhead\(model='two', .*\n +stop one: evicted\n(?: .*\n)* +DIFFERS: line \d+ of the log has: nothing",
        told,
    )
    assert "2 decided differently" in told


def test_the_record_becomes_a_test_and_replaces_no_file(swapped: Path, tmp_path: Path) -> None:
    test = tmp_path / "test_recorded.py"
    say(swapped, "--write-test", test)
    names: dict[str, object] = {}
    exec(compile(test.read_text(), str(test), "exec"), names)  # noqa: S102 - what a person does with the file
    for run in (names["test_run_1"], names["test_run_2"]):
        assert callable(run)
        run()
    assert isinstance(say(swapped, "--write-test", test, exit_code=1).exception, FileExistsError)


def test_without_its_beginning_a_log_needs_the_configuration(swapped: Path, tmp_path: Path) -> None:
    log = tmp_path / "rest.log"
    log.write_text("".join(its for its in swapped.read_text().splitlines(keepends=True) if "begins with" not in its))
    assert isinstance(say(log, exit_code=1).exception, NoPolicy)
    told = say(log, "--config", swapped.with_name("config.yaml"), exit_code=1).stdout
    assert "run 1: one, two" in told  # nothing says that a second server begins: it cannot be told from the first
    (tmp_path / "bad.yaml").write_text("startPort: x\n")
    assert "bad.yaml:1:12" in str(say(log, "--config", tmp_path / "bad.yaml", exit_code=1).exception)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", r"no event in it; claracore --log-level debug"),
        ("2026-11-28 00:00:00,123 DEBUG 1.5 Arrived(request=1, mod", r"hostile.log: line 1: .*cut off"),
        ("2026-11-28 00:00:00,123 DEBUG 1.5 exec('raise SystemExit') -> []\n", r"line 1: 'exec' is no event"),
        ("\0\xff{[" * 1000, "no event"),
    ],
)
def test_a_log_that_is_none_says_so(tmp_path: Path, text: str, why: str) -> None:
    log = tmp_path / "hostile.log"
    log.write_bytes(text.encode("latin-1"))
    error = say(log, exit_code=1).exception
    assert isinstance(error, BadRequest)
    assert re.search(why, error.message)


def test_a_name_in_a_log_does_not_reach_the_terminal_as_a_command(swapped: Path, tmp_path: Path) -> None:
    log = tmp_path / "escapes.log"
    log.write_text(swapped.read_text().replace("'one'", r"'\x1b[2J\u202eone'"))
    told = say(log).stdout
    assert r"start \x1b[2J\u202eone" in told
    assert "\x1b[2J" not in told
