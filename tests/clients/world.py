"""Where does a client run? In folders of its own, with nothing of this machine's settings, and as its recipe says."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claracore.http.api.recipe import SHELLS, Filling, Recipe, filled_code, part_for
from claracore.http.api.recipe_shelf import recipes
from clients.install import PLACE

MODEL = "scripted"
CONTEXT = 65536
WAIT_SECONDS = 180
QUIET = {
    "DO_NOT_TRACK": "1", "CI": "1", "NO_COLOR": "1", "TERM": "dumb", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1",
    "DISABLE_TELEMETRY": "1", "DISABLE_AUTOUPDATER": "1", "CONTINUE_TELEMETRY_ENABLED": "0",
    "LITELLM_TELEMETRY": "False",
    "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "CLINE_TELEMETRY_DISABLED": "1", "SCARF_NO_ANALYTICS": "true", "ANONYMIZED_TELEMETRY": "false",
}  # fmt: skip
"""Nothing is told to anybody; and what is tried all the same ends at loopback, where `make test-clients` can have it
so.
"""


class Failed(Exception):
    """A client did not do what it should; the text says what it did."""


@dataclass(frozen=True)
class World:
    """One client's surroundings."""

    address: str
    folder: Path
    """Where the client works; `note.txt` has the word in it."""
    home: Path
    log: Path
    """What the engine was asked, a line of JSON each."""
    packages: Path
    """Where the client is installed."""
    key: str = "none"

    @property
    def filling(self) -> Filling:
        """What goes into the places of recipes."""
        return Filling(self.address, MODEL, self.key, CONTEXT)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the client's environment."""
        places = (self.packages / "node_modules" / ".bin", self.packages / "bin", PLACE / "node" / "bin")
        path = os.pathsep.join([*map(str, places), "/usr/local/bin", "/usr/bin", "/bin"])
        return {"HOME": str(self.home), "PATH": path, **QUIET, **more}

    def run(self, *argv: str, **more: str) -> str:
        """Run a command; return what it printed. Raises Failed when it fails or takes too long."""
        try:
            done = subprocess.run(
                argv,
                cwd=self.folder,
                env=self.environment(**more),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=WAIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            so_far = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout
            raise Failed(f"it ran for {WAIT_SECONDS} s: {tail(so_far or '')}") from error
        if done.returncode:
            raise Failed(f"exit {done.returncode}: {tail(done.stdout)}")
        return done.stdout

    def paste(self, name: str, number: int, last: str, **more: str) -> str:
        """Do what a recipe says with its files and its `number`th block for a shell, with another last line."""
        self.write_files(name)
        block = [block for block in self.blocks(name) if block[0] in SHELLS][number]
        lines = block[2].strip().splitlines()[:-1]
        return self.run("bash", "-ec", "\n".join([*lines, last]), **more)

    def write_files(self, name: str) -> None:
        """Write the files that a recipe shows."""
        for _language, file, code in self.blocks(name):
            if file:
                path = self.home / file[2:] if file.startswith("~/") else self.folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(code, encoding="utf-8")

    def script(self, name: str, language: str, number: int = 0) -> str:
        """Return a recipe's `number`th block of a language."""
        return [code for lang, _file, code in self.blocks(name) if lang == language][number]

    def blocks(self, name: str) -> list[tuple[str, str, str]]:
        """Return a recipe's blocks as (language, file, code), with everything in its place."""
        recipe = next(recipe for recipe in recipes() if recipe.name == name)
        whole = Recipe(**{**fields(recipe), "text": part_for(recipe.text, None)})
        return [
            (block.language, block.file, filled_code(block.language, block.code, self.filling))
            for block in whole.blocks()
        ]

    def python(self, code: str, **more: str) -> str:
        """Run Python code with the client's packages."""
        return self.run(str(self.packages / "bin" / "python"), "-c", code, **more)

    def javascript(self, code: str) -> str:
        """Run a module of JavaScript with the client's packages."""
        path = self.packages / f"case-{self.folder.name}.mjs"
        path.write_text(code, encoding="utf-8")
        try:
            return self.run("node", str(path))
        finally:
            path.unlink()

    def asked(self) -> list[dict[str, Any]]:
        """Return what the engine was asked."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


def fields(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as a mapping."""
    return {name: getattr(recipe, name) for name in recipe.__slots__}


def tail(text: str) -> str:
    """Return the end of what a client printed, on one line."""
    return " | ".join(line.strip() for line in text.strip().splitlines()[-12:] if line.strip())[-1500:]
