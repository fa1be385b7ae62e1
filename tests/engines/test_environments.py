"""Engines that are Python packages: real uv makes a real environment of a small wheel that is made here."""

from __future__ import annotations

import importlib.util
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from claracore.core.engines.environments import (
    ENVIRONMENTS,
    LOCK,
    PythonEngine,
    environment_of,
    with_macro,
    without_macro,
)
from claracore.errors import BadRequest, Conflict
from claracore.host.engines.environments import EnvironmentFailed, Environments, NoUv, find_uv
from claracore.host.engines.installed import EngineFolders

MINI = PythonEngine(
    "mini-engine",
    {"linux": "mini_engine", "darwin": "mini_engine"},
    "1.0",
    "mini",
    "mini",
    "--port ${PORT}",
    ("--help",),
)
ROOT = "/data/engines"
OURS = f"{ROOT}/mini-engine-1.0-python/bin/mini --port ${{PORT}}"


def wheel(folder: Path, version: str, *, code: str) -> None:
    """Put a wheel into a folder whose program prints what it is, and ends with a code."""
    name, info = f"mini_engine-{version}", f"mini_engine-{version}.dist-info"
    files = {
        "mini_engine.py": f"import sys\ndef main():\n    print('mini', sys.argv[1:])\n    {code}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: mini_engine\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nmini = mini_engine:main\n",
    }
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineFolders:
    """Return an empty folder of engines; uv knows two versions of a wheel, of which the second does not run."""
    (wheels := tmp_path / "wheels").mkdir()
    wheel(wheels, "1.0", code="return 0")
    wheel(wheels, "2.0", code="sys.exit('it lacks a card')")
    (tmp_path / "uv.toml").write_text(f'[pip]\nno-index = true\nfind-links = ["{wheels}"]\n', encoding="utf-8")
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return EngineFolders(tmp_path / "engines")


def left(folders: EngineFolders) -> list[str]:
    return sorted(path.name for path in folders.root.iterdir() if not path.name.endswith(".lock"))


def test_an_environment_is_made_tried_and_runs_where_it_is(folders: EngineFolders) -> None:
    heard: list[str] = []
    environments = Environments(folders, heard.append)
    made = environments.add(MINI)
    assert (made.id, made.source, made.says) == ("mini-engine-1.0-python", "PyPI", "mini_engine==1.0")
    assert [each.id for each in folders.engines()] == [made.id]
    program = environments.program(MINI)
    assert program == folders.program(made)
    said = subprocess.run([program, "x"], capture_output=True, text=True, check=True).stdout
    assert said == "mini ['x']\n"
    assert "--hash=sha256:" in (folders.root / made.id / LOCK).read_text(encoding="utf-8")
    assert heard[0] == "making an environment for mini_engine==1.0"

    assert environments.add(MINI) == made
    assert len(heard) == 4  # the second time nothing was done
    assert left(folders) == [made.id]


def test_what_cannot_be_installed_or_does_not_run_leaves_nothing(folders: EngineFolders) -> None:
    environments = Environments(folders, lambda _: None)
    with pytest.raises(EnvironmentFailed, match="ended with 1: it lacks a card"):
        environments.add(MINI, "2.0")
    with pytest.raises(EnvironmentFailed, match=r"mini[-_]engine==3\.0"):
        environments.add(MINI, "3.0")
    with pytest.raises(BadRequest, match="is no version"):
        environments.add(MINI, "../1.0")
    with pytest.raises(EnvironmentFailed, match="could not be run"):
        Environments(folders, lambda _: None, uv="/nowhere/uv").add(MINI)
    assert left(folders) == []


def test_without_uv_it_is_said_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoUv, match="-m pip install uv"):
        find_uv()


def test_who_is_known() -> None:
    assert environment_of("vllm").requirement("linux") == "vllm==0.33.0"
    assert environment_of("mlx-lm").requirement("linux", "0.31") == "mlx-lm[cpu]==0.31"
    for wrong, why in (("nope", "it is one of vllm, sglang"), ("tabbyapi", "not on PyPI")):
        with pytest.raises(BadRequest, match=why):
            environment_of(wrong)
    with pytest.raises(BadRequest, match="vllm runs on linux only"):
        environment_of("vllm").requirement("darwin")
    for text in ("nonsense", "0.33 --extra-index-url http://x", ">=1", ""):
        with pytest.raises(BadRequest, match="is no version"):
            environment_of("vllm").requirement("linux", text)
    assert environment_of("vllm").requirement("linux", "0.33.1rc1").endswith("==0.33.1rc1")
    assert all("${PORT}" in engine.words for engine in ENVIRONMENTS.values())
    assert replace(MINI, words="x").command("/a b/mini") == "'/a b/mini' x"


def test_the_macro_comes_and_goes_and_nothing_else() -> None:
    text = "# mine\nmodels:\n  a: {cmd: x --port ${PORT}} # kept\n"
    changed = with_macro(text, MINI, OURS, ROOT)
    assert changed == f"{text}macros:\n  mini: {OURS}\n"
    assert with_macro(changed, MINI, OURS, ROOT) == changed
    assert with_macro(changed, MINI, OURS.replace("1.0", "1.1"), ROOT) == changed.replace("1.0", "1.1")
    assert without_macro(changed, MINI, ROOT) == text
    assert without_macro(text, MINI, ROOT) == text

    two = "macros:\n  other: x # kept\n"
    assert without_macro(with_macro(two, MINI, OURS, ROOT), MINI, ROOT) == two

    with pytest.raises(Conflict, match=r"\$\{mini\} is used"):
        without_macro(changed + "x: ${mini}\n", MINI, ROOT)
    theirs = "macros: {mini: /opt/mini}\n"
    with pytest.raises(Conflict, match="is not ours: /opt/mini"):
        with_macro(theirs, MINI, OURS, ROOT)
    assert without_macro(theirs, MINI, ROOT) == theirs
