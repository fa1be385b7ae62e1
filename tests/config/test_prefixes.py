from __future__ import annotations

import pytest

from claracore.core.config.command import split
from claracore.core.config.prefixes import last_command, name_of, programs_in, script_at, script_of


@pytest.mark.parametrize(
    ("cmd", "program"),
    [
        ("server --port 1", "server"),
        ("/usr/bin/sudo -u ann /opt/server.exe --x", "server"),
        ("env A=b C=d nice -n 5 timeout 10m server start", "server"),
        ("taskset 0xf numactl --cpunodebind=0 server", "server"),
        ("sudo -- server", "server"),
        ("sudo", "sudo"),
    ],
)
def test_the_last_place_where_the_program_may_stand_is_its_own(cmd: str, program: str) -> None:
    argv = split(cmd)
    assert name_of(argv[[*programs_in(argv)][-1]]) == program


def test_no_words_run_no_program() -> None:
    assert list(programs_in([])) == []
    assert script_of([]) is None


@pytest.mark.parametrize(
    ("cmd", "at", "script"),
    [
        ("sh -c 'a; b'", 2, "a; b"),
        ("sudo -n /bin/bash -lc 'a' x", 4, "a"),
        ("docker run img sh -c 'a && b'", 5, None),
        ("bash script.sh -c x", None, None),
        ("sh -c", None, None),
    ],
)
def test_a_script_is_found_and_whether_it_is_the_commands_own(cmd: str, at: int | None, script: str | None) -> None:
    assert script_at(split(cmd)) == at
    assert script_of(split(cmd)) == script


def test_a_script_waits_for_its_last_command() -> None:
    assert last_command("cd /x && A=b exec server --port 1;") == ["A=b", "exec", "server", "--port", "1"]
    assert last_command("one\ntwo 'a b'") == ["two", "a b"]
    with pytest.raises(ValueError, match="not closed"):
        last_command("server 'x")
