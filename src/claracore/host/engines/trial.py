"""Does a build that was just unpacked run here, and if not, what is missing?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from claracore.core.engines.sources import EngineSource
from claracore.errors import ClaraCoreError
from claracore.host.engines import abilities
from claracore.host.engines.find import ASK_SECONDS, Unusable, ask
from claracore.host.hardware.engine import list_devices, parse_devices

_MISSING: Final = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
_TOO_OLD: Final = re.compile(r"version `(\S+)' not found")


class DoesNotRun(ClaraCoreError):
    """A build does not run on this machine; 422 with what is missing. It is not kept."""

    status = 422
    type = "invalid_request_error"
    code = "engine_does_not_run"
    cause = "The build of an engine does not run on this machine: a library or a driver is missing."
    way_out = "Install what the message names, or take another backend: `claracore engines install --backend cpu`."


@dataclass(frozen=True, slots=True)
class BuildTrial:
    """What a build said: its version, and the graphics devices that it sees (None: it does not tell)."""

    says: str
    devices: tuple[str, ...] | None = None


def program_in(folder: Path, source: EngineSource) -> Path:
    """Return the engine's program below a folder, the nearest to it. Raises DoesNotRun where there is none."""
    name = f"{source.binary}.exe" if os.name == "nt" else source.binary
    found = sorted((path for path in folder.rglob(name) if path.is_file()), key=lambda path: len(path.parts))
    if not found:
        raise DoesNotRun(f"the archive has no {name}")
    if not os.access(found[0], os.X_OK):
        found[0].chmod(0o755)  # archives of zip know no such bit
    return found[0]


def try_out(program: Path, source: EngineSource) -> BuildTrial:
    """Run a build with each of its trial flags. Blocking, seconds. Raises DoesNotRun."""
    texts = []
    for flag in source.trials:
        answer = ask(str(program), flag)
        if isinstance(answer, Unusable):
            raise DoesNotRun(f"it does not run here: {why_not(program, answer)}")
        texts.append(answer)
    return BuildTrial(abilities.version(texts[0]) if texts else "", _devices(program, texts))


def why_not(program: Path, found: Unusable) -> str:
    """Return why a program does not run, with all libraries that it lacks where that is the reason."""
    lacking = missing_libraries(program)
    return f"it needs {', '.join(lacking)}, which this system lacks" if lacking else found.reason


def missing_libraries(program: Path) -> list[str]:
    """Return what the system's loader does not find of what a program needs; Linux with glibc only.

    The loader lists what it finds when this variable is set, and runs nothing (ld.so(8)); a program without a loader
    would run, and prints its version.
    """
    if sys.platform != "linux":
        return []
    command, environment = [str(program), "--version"], {**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    text = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")
    return list(dict.fromkeys((*_MISSING.findall(text), *_TOO_OLD.findall(text))))


def _devices(program: Path, texts: Sequence[str]) -> tuple[str, ...] | None:
    if not any("--list-devices" in text for text in texts):
        return None
    listed = list_devices([str(program)])
    devices = parse_devices(listed) if listed is not None else None
    return tuple(f"{gpu.device} {gpu.name}" for gpu in devices) if devices is not None else None
