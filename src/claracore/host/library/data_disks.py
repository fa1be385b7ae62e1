"""Are there models near the top of a data disk? A bounded look, by names only. Blocking.

Disks that are mounted somewhere else than the system and the home. On each, folders are opened in order of their
depth, down to three below the top, a few thousand at most. For each folder at the top the one is given that holds all
models in it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import psutil

from claracore.host.library import hub_cache, ollama

DISK: Final = "disk"
SYSTEM: Final = (
    *("/boot", "/snap", "/var", "/usr", "/etc", "/nix", "/proc", "/sys", "/dev", "/run", "/tmp", "/efi"),  # noqa: S108 - not used
    *("/System", "/private"),
)
MOUNTED_BELOW: Final = ("/run/media/", "/var/mnt/", "/var/media/")
"""What is nevertheless a person's: where desktops mount disks."""
MOST_DEPTH: Final = 3
MOST_FOLDERS: Final = 4_000
PASSED_OVER: Final = frozenset({"lost+found", "node_modules", "$recycle.bin", "system volume information", "windows"})


def data_disks(home: Path) -> Sequence[Path]:
    """Return where disks are mounted that hold neither the system nor the home. Network drives are none."""
    mounts = sorted({part.mountpoint for part in psutil.disk_partitions()})
    return [Path(mount) for mount in mounts if _may_have_data(mount, home)]


def _may_have_data(mount: str, home: Path) -> bool:
    if home.is_relative_to(mount) or not os.path.isdir(mount):  # noqa: PTH112 - never raises
        return False
    inside_system = any(mount == folder or mount.startswith(folder + "/") for folder in SYSTEM)
    return mount.startswith(MOUNTED_BELOW) or not inside_system


def model_folders(disk: Path, beat: Callable[[], None]) -> list[Path]:
    """Return the folders with models on a disk: one for each folder at its top; files at the very top by themselves."""
    by_top: dict[str, list[str]] = {}
    waiting = deque([(str(disk), 0)])
    opened = 0
    while waiting and opened < MOST_FOLDERS:
        folder, depth = waiting.popleft()
        opened += 1
        beat()
        names, inside = _open(folder)
        holds = any(name.lower().endswith(".gguf") for name in names)
        if depth == 0 and holds:
            files = [os.path.join(folder, name) for name in names if name.lower().endswith(".gguf")]  # noqa: PTH118 - hot
            by_top.update({path: [path] for path in files})
        elif holds or ollama.is_store(inside) or any(name.startswith(hub_cache.PREFIX) for name in inside):
            by_top.setdefault(_top(folder, disk), []).append(folder)
            continue
        if depth < MOST_DEPTH:
            waiting.extend((os.path.join(folder, name), depth + 1) for name in sorted(inside))  # noqa: PTH118 - hot
    return [Path(os.path.commonpath(found)) for found in by_top.values()]


def _open(folder: str) -> tuple[set[str], set[str]]:
    """Return the names of the files and of the folders in a folder; links are not followed."""
    names: set[str] = set()
    inside: set[str] = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    names.add(entry.name)
                elif not entry.name.startswith(".Trash") and entry.name.lower() not in PASSED_OVER:
                    inside.add(entry.name)
    except OSError:
        return set(), set()
    return names, inside


def _top(folder: str, disk: Path) -> str:
    return Path(folder).relative_to(disk).parts[0]
