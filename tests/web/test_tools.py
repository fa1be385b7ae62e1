"""What builds the interface, and the types that it shares with the control plane."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tool import tool


def test_the_types_of_the_interface_are_those_of_the_control_plane() -> None:
    ui_types = tool("ui_types")
    assert ui_types.is_current(ui_types.openapi()), "run `python tools/ui_types.py`"


def test_prose_may_change_without_new_types() -> None:
    without_prose = tool("ui_types").without_prose
    first = {"a": {"description": "x", "properties": {"description": {"type": "string", "title": "D"}}}}
    assert without_prose(first) == {"a": {"properties": {"description": {"type": "string"}}}}


def test_a_build_is_fresh_until_a_source_is_newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = tool("build_ui")
    monkeypatch.setattr(build, "UI", tmp_path / "ui")
    monkeypatch.setattr(build, "STATIC", tmp_path / "static")
    source, built = tmp_path / "ui" / "src" / "main.ts", tmp_path / "static" / "index.html"
    for path in (source, built):
        path.parent.mkdir(parents=True)
    source.write_text("")
    assert not build.is_fresh()
    built.write_text("")
    os.utime(source, (1000, 1000))
    os.utime(built, (1000, 1000))
    assert build.is_fresh()
    os.utime(source, (1001, 1001))
    assert not build.is_fresh()


def test_versions_of_node_are_read(tmp_path: Path) -> None:
    node_version = tool("build_ui").node_version
    node = tmp_path / "node"
    node.write_text(f"#!{sys.executable}\nprint('v20.19.4')\n")
    node.chmod(0o755)
    assert node_version(str(node)) == (20, 19)
    assert node_version(str(tmp_path / "missing")) is None
    assert node_version(None) is None


def test_the_interface_of_an_sdist_is_that_of_its_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = tool("build_ui")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "UI", tmp_path / "ui")
    monkeypatch.setattr(build, "STATIC", tmp_path / "static")
    for path in (tmp_path / "PKG-INFO", tmp_path / "ui" / "src" / "main.ts", tmp_path / "static" / "index.html"):
        assert not build.is_fresh()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.utime(tmp_path / "static" / "index.html", (1000, 1000))
    assert build.is_fresh()
    (tmp_path / "PKG-INFO").unlink()
    assert not build.is_fresh()
