"""What a wheel must have, and what it must not."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from compile import MODULES
from dist import Broken, look_into, python_for, version_in

INFO = "claracore-0.2.0.dist-info"
PURE = [
    "claracore/__init__.py",
    "claracore/_version.py",
    "claracore/py.typed",
    "claracore/http/web/static/index.html",
    f"{INFO}/METADATA",
    f"{INFO}/licenses/LICENSE",
]
TAG = "cpython-311-x86_64-linux-gnu.so"
MACHINE = [f"{name.removeprefix('src/').removesuffix('.py')}.{TAG}" for name in MODULES]
COMPILED = [*PURE, *MACHINE, f"claracore__mypyc.{TAG}"]


def test_wheels_that_have_all() -> None:
    look_into(PURE, compiled=False)
    look_into(COMPILED, compiled=True)
    look_into([name.replace(TAG, "cp311-win_amd64.pyd") for name in COMPILED], compiled=True)


@pytest.mark.parametrize("name", [name for name in PURE if not name.endswith(("__init__.py", "METADATA"))])
def test_a_wheel_that_lacks_something(name: str) -> None:
    with pytest.raises(Broken, match="lacks"):
        look_into([other for other in PURE if other != name], compiled=False)


@pytest.mark.parametrize(
    "name", ["tests/api/test_server.py", "tools/dist.py", "claracore/http/tests/x.py", "claracore/x.js.map", "x.so"]
)
def test_a_wheel_that_has_too_much(name: str) -> None:
    with pytest.raises(Broken, match=r"and has|machine code"):
        look_into([*PURE, name], compiled=False)


def test_machine_code_is_in_the_compiled_wheel_alone_and_complete() -> None:
    with pytest.raises(Broken, match="runs everywhere"):
        look_into(COMPILED, compiled=False)
    with pytest.raises(Broken, match=MODULES[3].removeprefix("src/").removesuffix(".py")):
        look_into([name for name in COMPILED if name != MACHINE[3]], compiled=True)


def wheel(folder: Path, name: str, version: str) -> None:
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(f"{INFO}/METADATA", f"Metadata-Version: 2.4\nName: claracore\nVersion: {version}\n\nText.\n")


def test_all_files_have_one_version(tmp_path: Path) -> None:
    wheel(tmp_path, "claracore-0.2.0-py3-none-any.whl", "0.2.0")
    with pytest.raises(Broken, match="not one sdist"):
        version_in(tmp_path)
    (tmp_path / "claracore-0.2.0.tar.gz").touch()
    assert version_in(tmp_path) == "0.2.0"
    wheel(tmp_path, "claracore-0.2.0-cp311-cp311-manylinux2014_x86_64.whl", "0.2.1.dev0")
    with pytest.raises(Broken, match="of one version"):
        version_in(tmp_path)


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("claracore-0.2.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", "3.11"),
        ("claracore-0.2.0-cp314-cp314-macosx_11_0_arm64.whl", "3.14"),
        ("claracore-0.2.0-py3-none-any.whl", sys.executable),
        ("claracore-0.2.0.tar.gz", sys.executable),
    ],
)
def test_each_file_is_tried_with_the_python_that_it_is_for(name: str, python: str) -> None:
    assert python_for(Path(name)) == python
