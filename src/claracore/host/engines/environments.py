"""How does an engine that is a Python package get an environment of its own?

By uv, which is here as a package or on PATH: it makes environments that may be moved, so that one is made beside the
others, tried, and gets its name by one rename, as a build does (`installed.py`). uv is no dependency of ours: 38 MB for
what few need.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from claracore.core.engines.environments import BACKEND, LOCK, PYTHONS, PythonEngine
from claracore.core.engines.installed import InstalledEngine, engine_id
from claracore.core.engines.sources import System
from claracore.errors import ClaraCoreError
from claracore.host.engines.installed import INSTALL_LOCK, EngineFolders
from claracore.host.locks import locked

PROGRAMS: Final = "Scripts" if os.name == "nt" else "bin"
TRIAL_SECONDS: Final = 300.0
"""The first import of torch compiles and reads some GB."""
LAST_SIGNS: Final = 2000
SYSTEMS: Final[dict[str, System]] = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
_BLANKS: Final = re.compile(r"\s*\n\s*")


class NoUv(ClaraCoreError):
    """There is no uv to make an environment with; 409."""

    status = 409
    type = "invalid_request_error"
    code = "uv_missing"
    cause = "Environments for engines are made by uv, which is not here."
    way_out = "Install it: `pip install uv`."


class EnvironmentFailed(ClaraCoreError):
    """An environment could not be made, or what is in it does not run; 422 with what was said. Nothing is kept."""

    status = 422
    type = "invalid_request_error"
    code = "environment_failed"
    cause = "An engine that is a Python package could not be installed, or does not run here."
    way_out = "The message has the end of what was said; `--version` takes another version."


def this_system() -> System:
    """Return which system this is."""
    return SYSTEMS.get(sys.platform, "linux")


def find_uv() -> str:
    """Return the path of uv: of the package in our own environment, else the one on PATH. Raises NoUv."""
    if importlib.util.find_spec("uv") is not None:
        import uv  # noqa: PLC0415 - only if it is there

        try:
            return str(uv.find_uv_bin())
        except FileNotFoundError:
            pass
    found = shutil.which("uv")
    if found is None:
        raise NoUv(f"environments are made by uv, which is not here: `{sys.executable} -m pip install uv`")
    return found


class Environments:
    """Makes environments in the folder of engines. Blocking."""

    def __init__(self, folders: EngineFolders, say: Callable[[str], None], *, uv: str | None = None) -> None:
        """`say` is told what is being done."""
        self._folders = folders
        self._say = say
        self._uv = uv

    def id_of(self, engine: PythonEngine, version: str | None = None) -> str:
        """Return what the environment's folder is called."""
        return engine_id(engine.name, version or engine.version, BACKEND)

    def program(self, engine: PythonEngine, version: str | None = None) -> Path:
        """Return the program to start, whether it is there or not."""
        return self._folders.root / self.id_of(engine, version) / PROGRAMS / engine.program

    def add(self, engine: PythonEngine, version: str | None = None) -> InstalledEngine:
        """Make the environment, if it is not there, and return it. Raises NoUv, EnvironmentFailed, BadRequest."""
        requirement = engine.requirement(this_system(), version)
        wanted = self.id_of(engine, version)
        uv = self._uv or find_uv()
        self._folders.root.mkdir(parents=True, exist_ok=True)
        with locked(self._folders.root / INSTALL_LOCK):  # others who install wait for us, and we for them
            self._folders.sweep()
            present = next((each for each in self._folders.engines() if each.id == wanted), None)
            if present is not None:
                return present
            with self._folders.new_folder() as folder:
                self._fill(folder, uv, requirement)
                self._say("trying it")
                try_environment(folder / PROGRAMS / engine.program, engine)
                made = InstalledEngine(
                    engine.name,
                    version or engine.version,
                    BACKEND,
                    f"{PROGRAMS}/{engine.program}",
                    says=requirement,
                    source="PyPI",
                    size_bytes=self._folders.size(folder),
                    installed_at=time.time(),
                )
                self._folders.put(folder, made)
        return made

    def _fill(self, folder: Path, uv: str, requirement: str) -> None:
        python = folder / PROGRAMS / "python"
        self._say(f"making an environment for {requirement}")
        _run([uv, "venv", "--quiet", "--relocatable", "--python", PYTHONS, str(folder)])
        wanted, lock = folder / "requirements.txt", folder / LOCK
        wanted.write_text(f"{requirement}\n", encoding="utf-8")
        self._say("choosing versions")
        compiling = [uv, "pip", "compile", "--quiet", "--generate-hashes", "--python", str(python)]
        _run([*compiling, "--output-file", str(lock), str(wanted)], cwd=folder)
        self._say("fetching and installing")
        _run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock)], cwd=folder)


def try_environment(program: Path, engine: PythonEngine) -> None:
    """Run an engine's program as it must be able to run. Blocking, seconds. Raises EnvironmentFailed."""
    _run([str(program), *engine.trial], timeout_seconds=TRIAL_SECONDS)


def _run(words: Sequence[str], *, cwd: Path | None = None, timeout_seconds: float | None = None) -> None:
    """Run a program to its end. Raises EnvironmentFailed with the end of what it said."""
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFailed(f"{Path(words[0]).name} did not end within {timeout_seconds:g} s") from error
    except OSError as error:
        raise EnvironmentFailed(f"{words[0]} could not be run: {error.strerror or error}") from error
    if done.returncode != 0:
        text = _BLANKS.sub("; ", (done.stderr or done.stdout).strip())[-LAST_SIGNS:]
        raise EnvironmentFailed(f"{Path(words[0]).name} ended with {done.returncode}: {text}")
