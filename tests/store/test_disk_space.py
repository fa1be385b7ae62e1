from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.host.disk_space import device_at, free_at, nearest_folder


def test_what_is_not_there_yet_is_where_its_nearest_folder_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    missing = tmp_path / "state" / "claracore"
    assert nearest_folder(tmp_path) == tmp_path
    assert nearest_folder(missing) == tmp_path
    assert nearest_folder(tmp_path / "file" / "below") == tmp_path, "nothing can be made below a file"
    assert free_at(missing) > 0
    assert device_at(missing) == tmp_path.stat().st_dev


def test_a_relative_path_ends_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert nearest_folder(Path("models/qwen")) == Path(os.path.realpath(tmp_path))
