"""How do the web interface and machine code get into the wheel?

The interface is built before the wheel is made (`tools/build_ui.py`, which brings its own Node.js where there is none).
Where that fails, offline say, the wheel is made without it: everything else works, and the page at `/` says what to
run. The busiest modules are compiled (`tools/compile.py`) on Linux with a C compiler and Python's headers; elsewhere,
and where that fails, the wheel is made without machine code and works the same. CLARACORE_COMPILE=1 in the environment
makes a failure an error, CLARACORE_COMPILE=0 leaves it out: for a wheel that runs everywhere, and where nothing can be
fetched (what compiling needs is a requirement of the build).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TOOLS = Path(__file__).with_name("tools")
ASKED = os.environ.get("CLARACORE_COMPILE", "")


def to_be_compiled() -> bool:
    """Whether to try: as asked, or if this machine looks as if it could."""
    if ASKED:
        return ASKED != "0"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    headers = Path(sysconfig.get_path("include"), "Python.h")
    usual = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
    return usual and sys.platform == "linux" and shutil.which(compiler) is not None and headers.is_file()


class BuildParts(BuildHookInterface):
    """Adds to a wheel what is not in git; an editable install uses what `make ui` has built, and no machine code."""

    _compiled: tempfile.TemporaryDirectory[str] | None = None

    def dependencies(self) -> list[str]:
        """Return what compiling needs: the compiler looks through the types of what the modules import."""
        if self.target_name != "wheel" or not to_be_compiled():
            return []
        return ["mypy>=2,<3", "types-psutil", "types-pyyaml", "setuptools", *self.metadata.core.dependencies]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build both unless they are there."""
        if self.target_name != "wheel" or version == "editable":
            return
        done = subprocess.run([sys.executable, str(TOOLS / "build_ui.py"), "--if-needed"], check=False)
        if done.returncode:
            self.app.display_warning("the web interface could not be built; the wheel is made without it")
        if to_be_compiled():
            self._compile(build_data)

    def _compile(self, build_data: dict[str, Any]) -> None:
        self._compiled = tempfile.TemporaryDirectory()
        command = [sys.executable, str(TOOLS / "compile.py"), self._compiled.name]
        done = subprocess.run(command, check=bool(ASKED), stdout=sys.stderr)
        if done.returncode:
            self.app.display_warning(
                "it could not be compiled; the wheel is made without machine code, and works the same"
            )
            return
        folder = Path(self._compiled.name)
        files = {str(path): str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        build_data["force_include"].update(files)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Throw away what is in the wheel now."""
        del version, build_data, artifact_path
        if self._compiled is not None:
            self._compiled.cleanup()
