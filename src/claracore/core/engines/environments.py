"""Which engines are Python packages, in which version, and how are their servers started?

Each gets an environment of its own: their dependencies (one torch each, and not the same) cannot live together, and
none of them belongs among ours. The version of the engine is pinned here, those of its dependencies when it is added,
in a file with hashes beside it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from claracore.core.config.edit import put, remove
from claracore.core.config.lines import read_plain
from claracore.core.engines.sources import System
from claracore.errors import BadRequest, Conflict

BACKEND: Final = "python"
"""What stands for the backend in the name of its folder."""
LOCK: Final = "requirements.lock"
PYTHONS: Final = ">=3.11,<3.14"
_VERSION: Final = re.compile(r"[0-9]+(\.[0-9]+)*((a|b|rc|\.post|\.dev)[0-9]+)*(\+[a-z0-9.]+)?")
"""As PEP 440 has it, normalized."""
TORCH: Final = "PyTorch and what it needs for graphics cards come with it: some GB"


@dataclass(frozen=True, slots=True)
class PythonEngine:
    """One engine: a package, and the words that start its server."""

    name: str
    packages: Mapping[System, str]
    """The package with its extras, by system; none where it does not run."""
    version: str
    macro: str
    """What the macro is called."""
    program: str
    """In the environment's folder of programs."""
    words: str
    """What follows the program in the macro."""
    trial: tuple[str, ...]
    """Words with which the program must end with exit code 0 before it counts as installed."""
    note: str = ""

    def requirement(self, system: System, version: str | None = None) -> str:
        """Return what is installed. Raises BadRequest where the system has none, and for what is no version."""
        if version is not None and _VERSION.fullmatch(version) is None:
            raise BadRequest(
                f"{version!r} is no version: write {self.version}, or another one like it", param="version"
            )
        package = self.packages.get(system)
        if package is None:
            raise BadRequest(f"{self.name} runs on {' and '.join(self.packages)} only", param="name")
        return f"{package}=={version or self.version}"

    def command(self, program: str) -> str:
        """Return the macro's text, for a program at this place."""
        return f"{shlex.quote(program)} {self.words}"


# Versions, extras and programs are those of PyPI on 2026-11-28; paths and flags are in the packages themselves.
ENVIRONMENTS: Final = {
    each.name: each
    for each in (
        PythonEngine(
            "vllm",
            {"linux": "vllm"},
            "0.33.0",
            "vllm",
            "vllm",
            "serve --host 127.0.0.1 --port ${PORT} --served-model-name ${MODEL_ID}",
            ("--version",),
            TORCH,
        ),
        PythonEngine(
            "sglang",
            {"linux": "sglang"},
            "0.5.23",
            "sglang",
            "python",
            "-m sglang.launch_server --host 127.0.0.1 --port ${PORT} --served-model-name ${MODEL_ID}",
            ("-c", "import sglang.launch_server"),
            TORCH,
        ),
        PythonEngine(
            "infinity",
            {"linux": "infinity-emb[torch,server]", "darwin": "infinity-emb[torch,server]"},
            "0.0.78",
            "infinity",
            "infinity_emb",
            "v2 --host 127.0.0.1 --port ${PORT} --url-prefix /v1 --served-model-name ${MODEL_ID}",
            ("--help",),
            TORCH,
        ),
        PythonEngine(
            "mlx-lm",
            {"darwin": "mlx-lm", "linux": "mlx-lm[cpu]"},
            "0.32.2",
            "mlx",
            "mlx_lm.server",
            "--host 127.0.0.1 --port ${PORT}",
            ("--help",),
        ),
    )
}
NO_PACKAGE: Final = {
    "tabbyapi": "TabbyAPI is not on PyPI: clone github.com/theroyallab/tabbyAPI; examples/tabbyapi.yaml starts it"
}


def environment_of(name: str) -> PythonEngine:
    """Return the engine of this name. Raises BadRequest, which says why not, or which there are."""
    if name in NO_PACKAGE:
        raise BadRequest(NO_PACKAGE[name], param="name")
    try:
        return ENVIRONMENTS[name]
    except KeyError:
        known = ", ".join(ENVIRONMENTS)
        raise BadRequest(f"{name[:40]!r} is no engine that can be added: it is one of {known}", param="name") from None


def with_macro(text: str, engine: PythonEngine, command: str, root: str) -> str:
    """Return a configuration with the engine's macro; one that is there is replaced if it starts something in `root`.

    Raises Conflict for another macro of that name, Unreadable, EditRefused.
    """
    present = _macros(text).get(engine.macro)
    if present is not None and root not in str(present):
        raise Conflict(f"macros.{engine.macro} is there already, and is not ours: {str(present)[:80]}")
    return text if present == command else put(text, ("macros", engine.macro), command)


def without_macro(text: str, engine: PythonEngine, root: str) -> str:
    """Return a configuration without the engine's macro, if there is one of ours.

    Raises Conflict when something uses it, Unreadable, EditRefused.
    """
    present = _macros(text)
    if root not in str(present.get(engine.macro, "")):
        return text
    if f"${{{engine.macro}}}" in text:
        raise Conflict(f"${{{engine.macro}}} is used in the configuration: change what uses it first")
    return remove(text, ("macros", engine.macro) if len(present) > 1 else ("macros",))


def _macros(text: str) -> Mapping[str, object]:
    plain = read_plain(text)
    macros = plain.get("macros") if isinstance(plain, dict) else None
    return macros if isinstance(macros, dict) else {}
