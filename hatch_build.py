"""How does the web interface get into the wheel?

It is built before the wheel is made (`tools/build_ui.py`, which brings its own Node.js where there is none). Where that
fails, offline say, the wheel is made without it: everything else works, and the page at `/` says what to run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILDER = Path(__file__).with_name("tools") / "build_ui.py"


class BuildInterface(BuildHookInterface):
    """Builds `src/claracore/web/static` for a wheel; an editable install uses what `make ui` has built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run the build unless it is fresh."""
        del build_data
        if self.target_name != "wheel" or version == "editable":
            return
        done = subprocess.run([sys.executable, str(BUILDER), "--if-needed"], check=False)
        if done.returncode:
            self.app.display_warning("the web interface could not be built; the wheel is made without it")
