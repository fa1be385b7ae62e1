"""Which configuration is meant when nobody says, and where do models go?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.host import places
from claracore.host.places import config_file, models_folder, own_config, why_not_own

LOCAL = Path("config.yaml")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, with a configuration folder that could be made."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "config" / "claracore" / "config.yaml"


def test_the_order_is_named_then_here_then_the_users_own(own: Path, tmp_path: Path) -> None:
    assert config_file() == own_config() == own
    assert why_not_own() is None
    assert not (tmp_path / "config").exists(), "asking makes nothing"
    LOCAL.touch()
    assert config_file() == LOCAL
    assert config_file(Path("other.yaml")) == Path("other.yaml")


def test_models_go_to_the_users_data_only_beside_the_users_configuration(own: Path, tmp_path: Path) -> None:
    assert models_folder(own, own.parent) == tmp_path / "data" / "claracore" / "models"
    assert models_folder(LOCAL, tmp_path) == tmp_path / "downloads"
    assert models_folder(None, tmp_path) == tmp_path / "downloads"


def test_where_no_folder_can_be_made_the_working_folder_is_what_is_left(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").touch()
    assert config_file() == LOCAL
    assert str(why_not_own()) == f"{own.parent} cannot be written: {tmp_path / 'config'} is no folder"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "sealed"))
    (tmp_path / "sealed").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != tmp_path / "sealed")
    assert config_file() == LOCAL
    assert "may not write to" in str(why_not_own())


def test_one_that_is_there_is_used_though_nothing_may_be_written_beside_it(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.parent.mkdir(parents=True)
    own.touch()
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert config_file() == own
    assert why_not_own() is None


def test_a_home_is_never_made(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del own
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    assert config_file() == LOCAL
    assert str(why_not_own()).endswith(f"there is no {tmp_path / 'gone'}")


def test_a_user_without_a_home(own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(places, "user_folder", lambda _path_of: None)
    assert config_file() == LOCAL
    assert why_not_own() == "this user has no home folder"
    assert models_folder(own, tmp_path) == tmp_path / "downloads"
