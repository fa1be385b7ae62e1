from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from claracore.errors import BadRequest
from claracore.host.library.destinations import Destinations


def destinations(file: Path, download_dir: str = "", *followed: Path) -> Destinations:
    configuration: Any = SimpleNamespace(
        sources=SimpleNamespace(file=file, folder=None),
        now=SimpleNamespace(config=SimpleNamespace(download_dir=download_dir)),
    )
    return Destinations(configuration, followed)


def test_the_usual_folder_is_the_first_of_three(tmp_path: Path) -> None:
    file, models = tmp_path / "config.yaml", tmp_path / "models"
    assert destinations(file, "../elsewhere", models).usual() == tmp_path.parent / "elsewhere"
    assert destinations(file, "", models).usual() == models
    assert destinations(file).usual() == tmp_path / "downloads"


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_who_names_none_gets_the_usual_one(nothing: str | None, tmp_path: Path) -> None:
    assert destinations(tmp_path / "c.yaml").chosen(nothing) == tmp_path / "downloads"


def test_a_folder_is_named_in_full(tmp_path: Path) -> None:
    chosen = destinations(tmp_path / "c.yaml").chosen
    assert chosen(f" {tmp_path}/a/../b ") == tmp_path / "b"
    assert chosen("~/x") == Path.home() / "x"
    for wrong in ("models", "/a\0b", "~nobody-of-that-name/x"):
        with pytest.raises(BadRequest):
            chosen(wrong)
