"""Does a real Podman run containers here, and how is it told apart from a person's own?

Its storage and its settings are in a folder of the test. Where the kernel has both kinds of control groups, or root may
not raise limits (as in some virtual machines), it takes runc and the limits that there are.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

IMAGE = "localhost/claracore-test:latest"
LIMITED = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
"""
STORAGE = """
[storage]
driver = "vfs"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""


@dataclass(frozen=True)
class RealPodman:
    """A Podman that was seen to run a container, with an image in which there is nothing but empty folders."""

    env: Mapping[str, str]

    def ask(self, *words: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["podman", *words], env=dict(self.env), input=stdin, capture_output=True, timeout=60, check=False
        )

    def names(self) -> list[str]:
        return self.ask("ps", "--all", "--format", "{{.Names}}").stdout.decode().split()


def find_podman(folder: Path, folders: Sequence[str]) -> RealPodman | str:
    """Return a Podman whose image has `folders` to mount things on, or why there is none."""
    if shutil.which("podman") is None:
        return "podman is not installed"
    (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
    (folder / "limited.conf").write_text(LIMITED)
    said = ""
    for conf in ("/dev/null", str(folder / "limited.conf")):
        storage = str(folder / "storage.conf")
        podman = RealPodman({**os.environ, "CONTAINERS_CONF": conf, "CONTAINERS_STORAGE_CONF": storage})
        made = podman.ask("import", "-", IMAGE, stdin=image_of(folders))
        mounts = [word for place in ("/usr", "/lib", "/lib64") for word in ("--volume", f"{place}:{place}:ro")]
        tried = podman.ask("run", "--rm", *mounts, "-p", "127.0.0.1::80", "--entrypoint", "/usr/bin/true", IMAGE)
        if made.returncode == 0 and tried.returncode == 0:
            return podman
        said = (made.stderr + tried.stderr).decode(errors="replace").strip()
    return f"podman runs no container here: {said[-200:]}"


def image_of(folders: Sequence[str]) -> bytes:
    """Return an image as a tar file: folders, and nothing in them."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name in sorted({str(parent) for place in folders for parent in (Path(place), *Path(place).parents)}):
            if name != "/":
                entry = tarfile.TarInfo(name.lstrip("/"))
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
    return written.getvalue()
