"""With which command line and environment is Ray started, on the head and on a node?

Pure. Ray carries membership and nothing else: no task of it computes anything, so it gets no processors, no graphics
devices, and the least memory for objects. Every port is fixed, so that a firewall can have its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from claracore.core.cluster.ray_ports import WORKER_PORTS
from claracore.core.config.program import ClusterConfig

LABEL: Final = "claracore"
"""The label of Ray's nodes that has our name of the machine."""
RANK: Final = "claracore_rank"
"""Ray's resource of which each machine has one: who has reserved it runs a rank of a model there."""
SOCKET: Final = "CLARACORE_LINK"
"""In the environment of all that comes of Ray on a node: where its ClaraCore answers the Link."""
NAMESPACE: Final = "claracore"
OBJECTS_BYTES: Final = 80_000_000
"""The least that Ray takes is 75 MB; nothing is ever put there."""
HEALTH: Final = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
AUTHORITY: Final = "ca.pem"
CERTIFICATE: Final = "cert.pem"
KEY: Final = "key.pem"
"""Files of the folder with certificates."""
RECONNECT_SECONDS: Final = 86_400
"""For so long nodes wait for a head that is away; Ray's own 60 s would end every raylet then."""


@dataclass(frozen=True, slots=True)
class RayPlace:
    """Where Ray runs on this machine."""

    address: str
    """Our own, which the other machines reach."""
    folder: PurePath
    """For what it keeps while it runs; short, for there are Unix sockets in it."""
    token: PurePath
    """The file with the secret of the whole cluster."""
    ports: ClusterConfig
    tls: PurePath | None = None
    """The folder with this machine's certificate; None where Ray does not encrypt."""


def head_words(place: RayPlace) -> list[str]:
    """Return the arguments of `ray` on the head."""
    return ["start", "--head", "--port", str(place.ports.gcs_port), "--include-dashboard", "false", *_words(place, "")]


def node_words(place: RayPlace, gcs: str, name: str) -> list[str]:
    """Return the arguments of `ray` on a node of this name, whose head has its GCS there (`host:port`)."""
    return ["start", "--address", gcs, *_words(place, name)]


def _words(place: RayPlace, name: str) -> list[str]:
    first, workers = place.ports.node_ports, place.ports.worker_ports
    return [
        *("--disable-usage-stats", "--include-log-monitor", "false", "--no-monitor"),
        *("--node-ip-address", place.address, "--temp-dir", str(place.folder)),
        *("--node-manager-port", str(first), "--object-manager-port", str(first + 1)),
        *("--runtime-env-agent-port", str(first + 2), "--dashboard-agent-grpc-port", str(first + 3)),
        *("--min-worker-port", str(workers), "--max-worker-port", str(workers + WORKER_PORTS - 1)),
        *("--num-cpus", "0", "--num-gpus", "0", "--object-store-memory", str(OBJECTS_BYTES)),
        *("--resources", f'{{"{RANK}": 1}}'),
        *(("--labels", f"{LABEL}={name}") if name else ()),
    ]


def ray_environment(place: RayPlace, storage: PurePath | None, socket: PurePath | None) -> Mapping[str, str]:
    """Return what Ray finds in its environment besides ours; `storage` is where a head's GCS remembers its nodes."""
    made = {
        **HEALTH,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(place.token),
        "RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL": "minor",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_gcs_rpc_server_reconnect_timeout_s": str(RECONNECT_SECONDS),
    }
    if place.tls is not None:
        made |= {
            "RAY_USE_TLS": "1",
            "RAY_TLS_SERVER_CERT": str(place.tls / CERTIFICATE),
            "RAY_TLS_SERVER_KEY": str(place.tls / KEY),
            "RAY_TLS_CA_CERT": str(place.tls / AUTHORITY),
        }
    if storage is not None:
        made |= {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(storage)}
    if socket is not None:
        made[SOCKET] = str(socket)
    return made
