from __future__ import annotations

from pathlib import Path

import pytest

from claracore.errors import BadRequest, NotFound
from claracore.host.setup.browse import browse


def test_folders_are_shown_with_the_models_in_them(tmp_path: Path) -> None:
    for name in ("b", "A", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "A" / "x.gguf").touch()
    (tmp_path / "A" / "readme.md").touch()
    found = browse(str(tmp_path))
    assert [(folder.name, folder.models) for folder in found.folders] == [("A", 1), ("b", 0)]
    assert (found.path, found.parent) == (str(tmp_path.resolve()), str(tmp_path.resolve().parent))
    assert found.roots
    assert browse("/").parent is None


@pytest.mark.parametrize("wrong", ["{}/none", "{}/file", "~nobody-of-that-name", "{}/a\0b"])
def test_what_is_no_folder_is_not_found(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotFound):
        browse(wrong.format(tmp_path))


@pytest.mark.parametrize("relative", ["models", "./models", "../models", "."])
def test_where_the_server_was_started_decides_nothing(relative: str) -> None:
    with pytest.raises(BadRequest, match="no whole path"):
        browse(relative)
