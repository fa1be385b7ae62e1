"""`claracore engines`, without a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claracore.errors import ClaraCoreError
from cli.runner import invoke
from engines.releases import Stand, build, stand_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the builds are for Linux")


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """Releases, and an empty home."""
    with stand_in() as running:
        for name in ("XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(name, str(tmp_path / name))
        monkeypatch.setenv("CLARACORE_RELEASES_URL", running.url)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.delenv("CLARACORE_URL", raising=False)
        running.add("b1000", build(1000))
        yield running


def said(*words: str) -> str:
    result = invoke(["engines", *words])
    assert result.exit_code == 0, result.exception
    return result.output


def refused(*words: str) -> str:
    result = invoke(["engines", *words])
    assert result.exit_code == 1
    assert isinstance(result.exception, ClaraCoreError), result.exception
    return result.exception.message


def test_from_nothing_to_two_builds(stand: Stand) -> None:
    assert "no engine is installed: `claracore engines install` fetches one" in said("list")
    planned = said("install", "--dry-run", "--backend", "cpu")
    assert "llama.cpp-b1000-cpu, because cpu was asked for" in planned
    assert "no engine is installed" in said("list")
    installed = said("install", "--backend", "cpu")
    assert "llama.cpp-b1000-cpu is in use, because cpu was asked for" in installed
    assert "llama.cpp-b1000-cpu was there already; it is in use" in said("install", "--backend", "cpu")
    stand.add("b1001", build(1001))
    done = json.loads(said("update", "--version", "nightly", "--json"))
    assert (done["engine"], done["in_use"], done["servers"]) == ("llama.cpp-b1001-cpu", "llama.cpp-b1001-cpu", [])
    listed = said("list")
    assert "2. the installed build in use (`claracore engines use`): this one is meant: " in listed
    assert [line.split()[:2] for line in listed.splitlines() if "1000 (" in line] == [["before", "llama.cpp"]]
    checked = said("check")
    assert "llama.cpp-b1000-cpu: runs (1000 (abc1000))" in checked
    assert "the newest for this machine is llama.cpp-b1001-cpu" in checked
    assert json.loads(said("list", "--json"))["active_id"] == "llama.cpp-b1001-cpu"


def test_a_build_that_does_not_run_any_more_is_told(stand: Stand, tmp_path: Path) -> None:
    said("install", "--backend", "cpu")
    program = tmp_path / "XDG_DATA_HOME" / "claracore" / "engines" / "llama.cpp-b1000-cpu" / "llama-server"
    program.write_text("#!/bin/sh\nkill -ILL $$\n")
    checked = invoke(["engines", "check"])
    assert checked.exit_code == 1
    assert "instructions that this one does not have" in checked.output
    assert "does not run: it was built for a CPU" in said("list")
    stand.limited_until = 4e9
    unknown = invoke(["engines", "check"])
    assert "the newest is not known: 127.0.0.1" in unknown.output
    assert unknown.exit_code == 1


def test_what_cannot_be(stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "no backend is called 'gpu'" in refused("install", "--backend", "gpu")
    assert "no engine is called 'x'" in refused("install", "--name", "x")
    assert "`claracore engines install` installs one" in refused("update")
    assert "no installed engine is called 'x'; there is none" in refused("use", "x")
    said("install", "--backend", "cpu")
    assert "is in use: `claracore engines use` another one first, or none" in refused("remove", "b1000")
    assert "no installed build is in use" in said("use", "none")
    assert "the installed build in use (`claracore engines use`): none" in said("list")
    assert "is gone" in said("remove", "b1000")
    said("install", "--backend", "cpu")
    stand.limited_until = 4e9
    assert "wants no more requests until" in refused("install")
    monkeypatch.setenv("CLARACORE_RELEASES_URL", "http://127.0.0.1:1")
    assert "127.0.0.1:1 cannot be reached" in refused("install")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    assert "cannot be written" in refused("install")
