"""Which container runtime is there and answers, and what does it know of images and of our containers?

Each question is one call of the runtime's own command, blocking, for at most some seconds. Containers are known by
their label, which names the instance that they belong to.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from claracore.core.config.container_command import LABEL, ContainerRuntime
from claracore.core.config.container_gpus import GpuKind
from claracore.errors import Explained

ASK_SECONDS: Final = 20.0
"""A daemon that is being started by its socket takes a few seconds for its first answer."""
REMOVE_SECONDS: Final = 30.0
"""A container is killed and its file system unmounted; the kernel may have much memory to free."""
CANDIDATES: Final = {"auto": ("docker", "podman"), "docker": ("docker",), "podman": ("podman",)}
INSTALL: Final = "Install Docker (https://docs.docker.com/engine/install) or Podman, or write `cmd` without a container"
INITS: Final = ("/usr/libexec/podman/catatonit", "/usr/local/libexec/podman/catatonit", "/usr/lib/podman/catatonit")
"""Where Podman looks for its first process besides PATH (containers.conf(5), helper_binaries_dir)."""
NVIDIA_FILES: Final = ("/dev/nvidiactl", "/dev/dxg")
AMD_FILE: Final = "/dev/kfd"
RENDER_NODES: Final = Path("/dev/dri")


class NoRuntime(Exception):
    """No container runtime can be used; `lines` is what was printed, `explained` what is known of it."""

    def __init__(self, reason: str, lines: Iterable[str], explained: Explained) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lines = tuple(lines)
        self.explained = explained


@dataclass(frozen=True, slots=True)
class RuntimeAnswer:
    """What a call of the runtime's command has given: its exit code (None: no answer in time), and its texts."""

    code: int | None
    out: str
    lines: tuple[str, ...]
    """What it printed about errors."""

    @property
    def well(self) -> bool:
        """Whether it did what it was asked."""
        return self.code == 0


def ask(program: str, *words: str, environ: Mapping[str, str], seconds: float = ASK_SECONDS) -> RuntimeAnswer:
    """Call the command of a runtime; raises nothing."""
    try:
        done = subprocess.run(
            [program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(environ),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return RuntimeAnswer(None, "", (f"{program} {words[0]} did not answer within {seconds:g} s",))
    except OSError as error:
        return RuntimeAnswer(None, "", (f"{program}: {error.strerror or error}",))
    lines = done.stderr.decode(errors="replace").splitlines()
    return RuntimeAnswer(
        done.returncode, done.stdout.decode(errors="replace"), tuple(line for line in lines if line.strip())
    )


def find_runtime(wanted: Literal["auto", "docker", "podman"], environ: Mapping[str, str]) -> ContainerRuntime:
    """Return the runtime to use: of those that are there the first that answers. Raises NoRuntime."""
    found: NoRuntime | None = None
    for name in CANDIDATES[wanted]:
        program = shutil.which(name, path=environ.get("PATH", os.defpath))
        if program is None:
            continue
        answer = ask(program, "version", "--format", "{{json .}}", environ=environ)
        if answer.well:
            return _runtime(name, program, answer.out, environ)
        found = found or NoRuntime(f"{name} does not answer", answer.lines, _explained(name, answer.lines))
    if found is not None:
        raise found
    names = " or ".join(CANDIDATES[wanted])
    raise NoRuntime(f"{names} is not on PATH", (), Explained("program", f"there is no {names} here", "", INSTALL))


def version_of(runtime: ContainerRuntime, environ: Mapping[str, str]) -> str:
    """Return the version of a runtime; empty where it does not say."""
    answer = ask(runtime.command, "version", "--format", "{{.Client.Version}}", environ=environ)
    return answer.out.strip().partition("\n")[0][:40] if answer.well else ""


def _runtime(name: str, program: str, version: str, environ: Mapping[str, str]) -> ContainerRuntime:
    # Podman may answer to docker's name (the package podman-docker); by its words it is Podman all the same.
    kind: Literal["docker", "podman"] = "podman" if name == "podman" or "podman" in version.lower() else "docker"
    has_init = kind == "docker" or _has_init(environ)
    home = environ.get("HOME") or str(Path.home())
    return ContainerRuntime(kind, program, has_init, gpu_here(), _groups(), home)


def _has_init(environ: Mapping[str, str]) -> bool:
    on_path = shutil.which("catatonit", path=environ.get("PATH", os.defpath)) is not None
    return on_path or any(Path(place).exists() for place in INITS)


def gpu_here() -> GpuKind:
    """Return the kind of graphics devices of this machine, by their device files."""
    if any(Path(file).exists() for file in NVIDIA_FILES):
        return "nvidia"
    if Path(AMD_FILE).exists():
        return "amd"
    return "dri" if _render_nodes() else "none"


def _render_nodes() -> list[Path]:
    return sorted(RENDER_NODES.glob("renderD*"))


def _groups() -> tuple[int, ...]:
    """Return the groups of the device files, without root's."""
    found: set[int] = set()
    for file in (*_render_nodes(), *sorted(RENDER_NODES.glob("card*")), Path(AMD_FILE)):
        try:
            found.add(file.stat().st_gid)
        except OSError:
            continue
    return tuple(sorted(found - {0}))


def _explained(name: str, lines: tuple[str, ...]) -> Explained:
    from claracore.core.loading.explain import explain  # noqa: PLC0415 - compiles a table of expressions

    evidence = lines[-1].strip() if lines else ""
    unknown = Explained("program", f"{name} does not answer", evidence, f"See what `{name} version` says")
    return explain(lines) or unknown


def has_image(program: str, image: str, environ: Mapping[str, str]) -> bool:
    """Whether an image is here."""
    return ask(program, "image", "inspect", "--format", "{{.Id}}", image, environ=environ).well


def publishes(program: str, name: str, port: int, environ: Mapping[str, str]) -> bool:
    """Whether the container of this name runs and is the one whose port is published on this port of 127.0.0.1."""
    answer = ask(
        program, "inspect", "--format", "{{.State.Running}} {{json .NetworkSettings.Ports}}", name, environ=environ
    )
    running, _, ports = answer.out.strip().partition(" ")
    if not answer.well or running != "true":
        return False
    try:
        published = json.loads(ports)
    except ValueError:
        return False
    places = [place for each in published.values() for place in each or ()] if isinstance(published, dict) else []
    return any(isinstance(place, dict) and str(place.get("HostPort")) == str(port) for place in places)


def remove(program: str, name: str, environ: Mapping[str, str]) -> RuntimeAnswer:
    """End and remove a container, whatever it is at; not being there is well."""
    answer = ask(program, "rm", "--force", name, environ=environ, seconds=REMOVE_SECONDS)
    if answer.code is not None and any("no such container" in line.lower() for line in answer.lines):
        return RuntimeAnswer(0, "", ())
    return answer


def remove_all_of(program: str, instance: str, environ: Mapping[str, str]) -> list[str]:
    """Remove the containers of an instance that is no more, and return their names."""
    words = ("ps", "--all", "--filter", f"label={LABEL}={instance}", "--format", "{{.Names}}")
    names = ask(program, *words, environ=environ).out.split()
    return [name for name in names if remove(program, name, environ).well]
