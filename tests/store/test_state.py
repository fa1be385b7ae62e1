"""A user may have no home, a home that is not there, or a folder that cannot be written."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from claracore.errors import BadRequest
from claracore.host.sockets.ledger import Ledger, default_folder, living_instances
from claracore.host.sockets.ledger_in_memory import LedgerInMemory, ledger_in
from claracore.host.state import (
    default_state_dir,
    home_folder,
    make_private,
    needed_state_dir,
    state_path,
    state_problem,
)


@pytest.fixture(autouse=True)
def no_folders_of_the_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def nobody_by_that_number(_uid: int) -> pwd.struct_passwd:
    raise KeyError


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody_by_that_number)
    monkeypatch.chdir(tmp_path)
    assert (state_path(), default_state_dir(), home_folder()) == (None, None, Path("/"))
    assert "no home folder; set XDG_STATE_HOME to a folder" in state_problem()
    with pytest.raises(BadRequest, match="no home folder; set XDG_STATE_HOME"):
        needed_state_dir()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert needed_state_dir() == tmp_path / "state" / "claracore"
    assert not (tmp_path / "~").exists()


def test_a_home_that_is_not_there_is_not_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert (default_state_dir(), home_folder()) == (None, Path("/"))
    assert f"{tmp_path}/home/.local/state/claracore cannot be used (there is no {tmp_path}/home)" in state_problem()
    assert not (tmp_path / "home").exists()
    (tmp_path / "home").mkdir()
    assert default_state_dir() == tmp_path / "home" / ".local" / "state" / "claracore"
    assert state_problem() == ""


def test_a_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert default_state_dir() is None
    assert f"{tmp_path}/file/claracore cannot be used (Not a directory); set XDG_STATE_HOME" in state_problem()


def test_the_ledger_is_where_the_session_keeps_its_things_when_there_is_no_state_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert default_folder(None) == tmp_path / "run" / "claracore" / "ports"
    assert default_folder(tmp_path / "own") == tmp_path / "own" / "ports"
    ledger = ledger_in(default_folder(None))
    assert type(ledger) is Ledger
    ledger.set_url("http://here")
    assert [found.url for found in living_instances(default_folder(None))] == ["http://here"]
    ledger.close()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
    assert default_folder(None) is None


def test_a_ledger_in_memory_knows_its_own_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    for folder, warnings in ((None, 0), (tmp_path / "file" / "ports", 1)):
        ledger = ledger_in(folder)
        assert isinstance(ledger, LedgerInMemory)
        assert [record.levelname for record in caplog.records] == ["WARNING"] * warnings
        with ledger.locked():
            ledger.leases[8100] = "qwen"
            ledger.write()
        ledger.set_url("http://here")
        ledger.record_child(os.getpid(), "qwen")
        ledger.forget_child(os.getpid())
        assert (ledger.others(), ledger.sweep(), len(ledger.token)) == ([], (), 32)
        ledger.close()
    assert living_instances(tmp_path / "file" / "ports") == []


def test_a_folder_that_somebody_else_has_prepared_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path / "open", tmp_path / "link"):
        with pytest.raises(OSError, match="only this user may write to"):
            make_private(folder)
