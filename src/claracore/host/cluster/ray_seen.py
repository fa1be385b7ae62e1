"""Which processes are our Ray's, who has the ports that it needs, and is it to run here?"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil

from claracore.core.cluster.ray_ports import RayRole, ray_role
from claracore.host.cluster.nodes_file import NodesFile
from claracore.host.cluster.versions import ray_version
from claracore.host.sockets.hold import ANY
from claracore.host.sockets.orphans import carriers
from claracore.host.sockets.owner import owner_of
from claracore.host.store.files import FileUnusable

FOLDER: Final = "ray"
"""Of the state folder; what Ray keeps, and by which mark its processes are known."""
MARKS: Final = ("ray.mark", "helper.mark")


def expected_role(state_dir: Path | None) -> RayRole:
    """Return as whose Ray is to run here by what is remembered; none where it is not installed."""
    if not ray_version():
        return RayRole.NONE
    try:
        return ray_role(NodesFile(state_dir).load(), time.time())
    except FileUnusable:
        return RayRole.NONE


def ray_pids(state_dir: Path | None) -> frozenset[int]:
    """Return the processes of the Ray that a ClaraCore with this state folder has started. Looks at all (~20 ms).

    Some of them write their title over their environment, and with it over the mark: these are known by whose child
    they are.
    """
    found: set[int] = set()
    if state_dir is None:
        return frozenset()
    for name in MARKS:
        try:
            mark = (state_dir / FOLDER / name).read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
        found.update(carriers(mark) if mark else ())
    for pid in tuple(found):
        with suppress(psutil.Error):
            found.update(child.pid for child in psutil.Process(pid).children(recursive=True))
    return frozenset(found)


def holders(ports: Iterable[int]) -> dict[int, str]:
    """Return who has these ports, in words that stay the same, by port; nothing of free ones. Blocking."""
    owners = {port: owner_of(port, host=ANY) for port in ports}
    return {port: replace(owner, since=None).describe(0) for port, owner in owners.items() if owner is not None}
