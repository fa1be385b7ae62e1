"""What is given to those who install ClaraCore, and does it work?

`python tools/dist.py FOLDER` makes of this checkout an sdist; of the sdist a wheel that runs everywhere and, on Linux,
compiled ones for `manylinux`; looks into each and tries each in an environment of its own, with the versions of
requirements.lock. Compiled wheels come from cibuildwheel where Docker or Podman runs, for every Python that
pyproject.toml names there, else from the Pythons on PATH, for these. `--pure` leaves them out; `--check` only looks and
tries.

Same commit, same bytes: times in the archives are SOURCE_DATE_EPOCH, by default that of the commit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from email.parser import Parser
from pathlib import Path

from compile import MODULES

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = (3, 11)
NEEDED = ("claracore/py.typed", "claracore/_version.py", "claracore/http/web/static/index.html", "licenses/LICENSE")
"""Ends of names that every wheel must have."""
TOP = ("claracore", "claracore.libs")
"""What a wheel may put beside other packages: itself, and libraries that auditwheel copies; mypyc adds one module."""


class Broken(Exception):
    """What was built is not what it should be."""


def main() -> int:
    """Build, look into, and try; return 0, or raise Broken or CalledProcessError at the first that is wrong."""
    parser = argparse.ArgumentParser(description="Build and try what is released.")
    parser.add_argument("folder", type=Path, help="where the files go; it must not exist, or be empty")
    parser.add_argument("--pure", action="store_true", help="no compiled wheels")
    parser.add_argument("--check", action="store_true", help="build nothing: look into what the folder has, and try it")
    chosen = parser.parse_args()
    folder = chosen.folder.resolve()
    if not chosen.check:
        if folder.exists() and any(folder.iterdir()):
            raise Broken(f"{folder} is not empty: an earlier build; remove it")
        if "SOURCE_DATE_EPOCH" not in os.environ:
            os.environ["SOURCE_DATE_EPOCH"] = run("git", "log", "-1", "--format=%ct", capture=True).strip()
        build(folder, compiled=not chosen.pure and sys.platform == "linux")
    check(folder)
    for file in sorted(folder.iterdir()):
        print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}")
    return 0


def build(folder: Path, *, compiled: bool) -> None:
    """Build everything into `folder`, each wheel from the sdist."""
    run(sys.executable, "tools/build_ui.py", "--if-needed")
    uv_build(folder, "--sdist")
    sdist = next(folder.glob("*.tar.gz"))
    with tempfile.TemporaryDirectory() as empty:  # neither git nor node: an sdist has what they would make
        uv_build(folder, "--wheel", str(sdist), environ={"CLARACORE_COMPILE": "0", "PATH": empty})
    if not compiled:
        return
    if container := container_engine():
        command = ["cibuildwheel", "--platform", "linux", "--output-dir", str(folder), str(sdist)]
        run(sys.executable, "-m", *command, environ={"CIBW_CONTAINER_ENGINE": container})
        return
    for python in pythons():
        build_manylinux(folder, sdist, python)


def uv_build(
    folder: Path, *arguments: str, python: str = sys.executable, environ: dict[str, str] | None = None
) -> None:
    """Run `uv build`, which fetches what the build needs into an environment of its own."""
    options = ["--quiet", "--no-create-gitignore", "--python", python, "--out-dir", str(folder)]
    run("uv", "build", *options, *arguments, environ=environ)


def container_engine() -> str | None:
    """Return docker or podman, whichever runs here."""
    for name in ("docker", "podman"):
        if shutil.which(name) and not subprocess.run([name, "info"], capture_output=True, check=False).returncode:
            return name
    return None


def pythons() -> Iterator[str]:
    """Yield one CPython of each version from the oldest supported that has its headers."""
    command = ["uv", "python", "list", "--only-installed", "--output-format", "json"]
    seen: set[tuple[int, int]] = set()
    for one in json.loads(run(*command, capture=True)):
        minor = (one["version_parts"]["major"], one["version_parts"]["minor"])
        usual = one["implementation"] == "cpython" and one["variant"] == "default" and minor >= OLDEST_PYTHON
        if usual and minor not in seen and has_headers(one["path"]):
            seen.add(minor)
            yield one["path"]


def has_headers(python: str) -> bool:
    """Whether extension modules can be compiled for this Python."""
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    return Path(run(python, "-c", code, capture=True).strip(), "Python.h").is_file()


def build_manylinux(folder: Path, sdist: Path, python: str) -> None:
    """Build a compiled wheel for one Python; auditwheel names the oldest glibc on which it runs."""
    with tempfile.TemporaryDirectory() as between:
        uv_build(Path(between), "--wheel", str(sdist), python=python, environ={"CLARACORE_COMPILE": "1"})
        wheel = next(Path(between).glob("*.whl"))
        run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", str(folder), str(wheel))


def run(*command: str, capture: bool = False, environ: dict[str, str] | None = None) -> str:
    """Run a command in the root of the checkout, with the programs of this environment first on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    program = shutil.which(command[0], path=path) or command[0]
    wanted = os.environ | {"PATH": path} | (environ or {})
    output = subprocess.PIPE if capture else None
    return (
        subprocess.run([program, *command[1:]], cwd=ROOT, env=wanted, check=True, text=True, stdout=output).stdout or ""
    )


def check(folder: Path) -> None:
    """Look into each file, compare their versions, and try each in an environment of its own."""
    version = version_in(folder)
    wheels = sorted(folder.glob("*.whl"))
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            look_into(archive.namelist(), compiled=is_compiled(wheel))
    for file in [*wheels, *folder.glob("*.tar.gz")]:
        try_out(file, version)


def version_in(folder: Path) -> str:
    """Return the version of everything in the folder; raise Broken if there are two, or no sdist or wheel."""
    versions = {file.name: file.name.removesuffix(".tar.gz").split("-")[1] for file in folder.iterdir()}
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            versions[f"{wheel.name}: METADATA"] = Parser().parsestr(archive.read(metadata).decode())["Version"]
    kinds = {Path(name).suffix for name in versions}
    if len(set(versions.values())) != 1 or not {".gz", ".whl"} <= kinds:
        raise Broken(f"not one sdist and wheels of one version: {versions}")
    return next(iter(versions.values()))


def is_compiled(wheel: Path) -> bool:
    """Whether the name of a wheel says that it is for one Python and platform."""
    return not wheel.name.endswith("-py3-none-any.whl")


def look_into(names: Iterable[str], *, compiled: bool) -> None:
    """Raise Broken unless a wheel with these files has all that it must, and nothing else."""
    names = set(names)
    missing = [end for end in NEEDED if not any(name.endswith(end) for name in names)]
    machine = {name.split(".")[0] for name in names if name.endswith((".so", ".pyd"))}
    sources = {module.removeprefix("src/").removesuffix(".py") for module in MODULES}
    if compiled:
        missing += sorted(sources - machine)
    elif machine:
        raise Broken(f"machine code in a wheel that runs everywhere: {sorted(machine)}")
    others = {name.split("/")[0] for name in names} - set(TOP)
    strange = sorted(name for name in others if not name.endswith(".dist-info") and "__mypyc." not in name)
    strange += sorted(name for name in names if "/tests/" in name or "__pycache__" in name or name.endswith(".map"))
    if missing or strange:
        raise Broken(f"a wheel lacks {missing} and has {strange}")


def try_out(file: Path, version: str) -> None:
    """Install an sdist or a wheel where nothing else is, with versions and hashes of requirements.lock; probe it."""
    with tempfile.TemporaryDirectory() as place:
        programs = Path(place) / ("Scripts" if sys.platform == "win32" else "bin")
        run("uv", "venv", "--quiet", "--clear", "--python", python_for(file), place)
        wanted = Path(place, "wanted.txt")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        wanted.write_text(f"claracore @ {file.as_uri()} --hash=sha256:{digest}\n", encoding="utf-8")
        install = ["uv", "pip", "install", "--quiet", "--python", place, "--require-hashes"]
        install += ["--constraints", "requirements.lock", "--requirements", str(wanted)]
        run(*install, environ={"CLARACORE_COMPILE": "0"})
        kind = ["--compiled"] if file.suffix == ".whl" and is_compiled(file) else []
        run(str(programs / "python"), "tools/probe.py", "--version", version, *kind)


def python_for(file: Path) -> str:
    """Return which Python a file is for, as uv takes it: 3.12 for a wheel with cp312, else the one that runs this."""
    if file.suffix == ".whl" and is_compiled(file):
        tag = file.name.split("-")[2].removeprefix("cp")
        return f"{tag[0]}.{tag[1:]}"
    return sys.executable


if __name__ == "__main__":
    sys.exit(main())
