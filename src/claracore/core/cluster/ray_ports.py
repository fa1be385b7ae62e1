"""Which ports are Ray's on this machine, and what is each of them for?

Pure. All are fixed, so that a firewall can have its line, and no model is given one of them where Ray runs, or is to.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from claracore.core.cluster.joined import Remembered
from claracore.core.config.program import ClusterConfig

NODE_PURPOSES: Final = ("its node manager (raylet)", "its object manager", "its runtime environments", "its agent")
"""Of the four ports from `nodePorts` on, in their order."""
GCS_PURPOSE: Final = "its list of nodes (GCS)"
WORKER_PURPOSE: Final = "one of its processes, such as the Link"
WORKER_PORTS: Final = 50


class RayRole(StrEnum):
    """As whose Ray runs on a machine, or is to run."""

    NONE = "none"
    HEAD = "head"
    NODE = "node"


def ray_role(known: Remembered, now: float) -> RayRole:
    """Return what Ray is to be here by what is remembered; `now` is in unix seconds."""
    if known.head is not None:
        return RayRole.NODE if known.head.gcs else RayRole.NONE
    return RayRole.HEAD if known.expects(now) else RayRole.NONE


def ray_ports(cluster: ClusterConfig | None, role: RayRole = RayRole.NONE) -> dict[int, str]:
    """Return Ray's ports with their purposes; none where it is not to run and the file says nothing of it."""
    if (cluster is None and role is RayRole.NONE) or (cluster is not None and not cluster.ray):
        return {}
    chosen = cluster or ClusterConfig()
    found = dict.fromkeys(range(chosen.worker_ports, chosen.worker_ports + WORKER_PORTS), WORKER_PURPOSE)
    return found | needed_ports(chosen, role)


def needed_ports(cluster: ClusterConfig, role: RayRole) -> dict[int, str]:
    """Return the ports without which Ray does not start, with their purposes. Only a head has the list of nodes."""
    found = dict(enumerate(NODE_PURPOSES, cluster.node_ports))
    return found if role is RayRole.NODE else {cluster.gcs_port: GCS_PURPOSE, **found}


def firewall_ports(cluster: ClusterConfig) -> str:
    """Return the ports that the other machines must reach, as nft writes them."""
    first, workers = cluster.node_ports, cluster.worker_ports
    return f"{cluster.gcs_port}, {first}-{first + len(NODE_PURPOSES) - 1}, {workers}-{workers + WORKER_PORTS - 1}"


def waiting_words(holders: Mapping[int, str], needed: Mapping[int, str]) -> str:
    """Say for which ports Ray waits, and who has them; nothing where nobody does. `holders` are by port."""
    waits = [f"port {port} ({needed[port]}): {holders[port]} has it" for port in sorted(holders) if port in needed]
    return f"Ray waits for {'; '.join(waits)}" if waits else ""
