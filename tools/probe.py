"""Does the ClaraCore that is installed beside this Python work?

    SOME_ENVIRONMENT/bin/python tools/probe.py --version 0.2.0 [--compiled]

It tells its version, checks an example, serves it on a free port, shows the web interface, answers a call of its API
and ends when it is asked to. Needs the standard library alone, for environments that have nothing but ClaraCore.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "groups.yaml"
ADDRESS = re.compile(r"https?://[\w.:\[\]]+:\d+")
SECONDS = 60
"""How long each step may take on a slow machine."""


class Broken(Exception):
    """Something that must hold does not."""


def expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - as `assert`, which -O leaves out
    """Raise Broken with the sentence unless it holds."""
    if not holds:
        raise Broken(otherwise)


def main() -> int:
    """Try all of it; Broken says what did not hold."""
    parser = argparse.ArgumentParser(description="Try the installed ClaraCore.")
    parser.add_argument("--version", help="the version that it must tell; without it any")
    parser.add_argument("--compiled", action="store_true", help="it must have machine code, else it must have none")
    chosen = parser.parse_args()
    program = shutil.which("claracore", path=sysconfig.get_path("scripts"))
    if program is None:
        raise Broken(f"no claracore in {sysconfig.get_path('scripts')}")
    version = check_version(program, chosen.version, compiled=chosen.compiled)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        run(program, "config", "check", str(EXAMPLE))
        check_serving(program, version, Path(home))
    print(f"claracore {version} works on {sys.platform}, Python {sys.version.split()[0]}")
    return 0


def run(*command: str) -> str:
    """Return what a command prints; raise CalledProcessError if it fails."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS).stdout


def check_version(program: str, wanted: str | None, *, compiled: bool) -> str:
    """Return the version that the program tells, e.g. 0.2.0, from `claracore 0.2.0 (compiled)`."""
    printed = run(program, "--version").strip()
    version = printed.split()[1]
    expect(wanted in {None, version}, f"{printed}: not {wanted}")
    expect(
        printed == f"claracore {version}" + (" (compiled)" if compiled else ""), f"{printed}: not as it was to be built"
    )
    return version


def check_serving(program: str, version: str, home: Path) -> None:
    """Serve a copy of the example with `home` for everything that is kept, ask for two pages, and end it."""
    config = home / "config.yaml"
    shutil.copy(EXAMPLE, config)
    environ = os.environ | {"HOME": str(home), "XDG_STATE_HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    command = [program, "--config", str(config), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=home, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        guard = threading.Timer(SECONDS, server.kill)
        guard.start()
        try:
            address = address_of(server)
            page = fetch(address + "/")
            expect('id="app"' in page, f"not the web interface: {page[:300]}")
            expect(json.loads(fetch(address + "/api/identity"))["version"] == version, "/api/identity: another version")
        finally:
            server.terminate()
            server.communicate()
            guard.cancel()
    expect(sys.platform == "win32" or server.returncode == 0, f"it ended with {server.returncode}")


def address_of(server: subprocess.Popen[bytes]) -> str:
    """Return the address that the server prints when it listens."""
    said: list[str] = []
    for line in server.stdout or ():
        said.append(line.decode(errors="replace"))
        if found := ADDRESS.search(said[-1]):
            return found[0]
    raise Broken(f"it ended before it listened: {''.join(said)}")


def fetch(address: str) -> str:
    """Return the body of a 200; no proxy of the environment is asked."""
    request = Request(address, headers={"Accept": "text/html, */*"})  # noqa: S310 - ADDRESS is http
    with build_opener(ProxyHandler({})).open(request, timeout=SECONDS) as answer:
        body: bytes = answer.read()
    return body.decode()


if __name__ == "__main__":
    sys.exit(main())
