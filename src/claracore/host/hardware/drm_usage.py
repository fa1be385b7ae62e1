"""How much memory of an AMD or Intel device has a process? (fdinfo of DRM files; KFD)

Each open DRM file of a process tells in /proc/PID/fdinfo what its client has (kernel.org, gpu/drm-usage-stats.rst):
amdgpu `drm-memory-vram`, newer drivers `drm-resident-vram0`. A file that was inherited or opened twice tells the same
client again. ROCm's own counter by process, of memory that it has allocated, is in sysfs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from claracore.host.hardware.drm import KFD, kfd_nodes
from claracore.host.hardware.tree import Tree

PROCESSES = "/sys/class/kfd/kfd/proc"
REGION = re.compile(r"drm-(memory|resident|total)-([a-z]+)\d*")
KINDS = ("resident", "memory", "total")
"""Which of the counters is taken where a driver has several: what really lies on the device."""
UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2}


def drm_bytes(tree: Tree, pids: Iterable[int], address: str, *, shared: bool) -> dict[int, int]:
    """Return the bytes that each process has on the device at a PCI address; with `shared` those in RAM (GTT) too."""
    regions = {"vram", "local", *(("gtt", "system") if shared else ())}
    number = _kfd_number(tree, address)
    found = {}
    for pid in pids:
        clients = _clients(tree, pid, address, regions)
        by_rocm = tree.number(f"{PROCESSES}/{pid}/vram_{number}") or 0 if number is not None else 0
        if size := max(sum(clients.values()), by_rocm):
            found[pid] = size
    return found


def _clients(tree: Tree, pid: int, address: str, regions: set[str]) -> dict[str, int]:
    clients: dict[str, int] = {}
    for name in tree.names(f"/proc/{pid}/fdinfo"):
        text = tree.text(f"/proc/{pid}/fdinfo/{name}") or ""
        if "drm-pdev" not in text:
            continue
        table = {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
        if table.get("drm-pdev", "").lower() == address:
            client = table.get("drm-client-id", name)
            clients[client] = max(clients.get(client, 0), _of_client(table, regions))
    return clients


def _of_client(table: dict[str, str], regions: set[str]) -> int:
    counters: dict[str, int] = {}
    for key, value in table.items():
        match = REGION.fullmatch(key)
        if match is not None and match[2] in regions:
            counters[match[1]] = counters.get(match[1], 0) + _bytes(value)
    return next((counters[kind] for kind in KINDS if kind in counters), 0)


def _bytes(text: str) -> int:
    number, _, unit = text.partition(" ")
    return int(number) * UNITS.get(unit.strip(), 1) if number.isdecimal() else 0


def _kfd_number(tree: Tree, address: str) -> int | None:
    """Return by which number KFD's counters know the device."""
    node = kfd_nodes(tree).get(address)
    return tree.number(f"{KFD}/{node[0]}/gpu_id") if node is not None else None
