"""Ray with certificates of the head's own: it works, and ends where its machine is forgotten. (`make test-cluster`)"""

from __future__ import annotations

import os
import socket
import ssl
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.instance import until
from e2e.joined import NONE, X
from e2e.test_ray import APART, RayMachines, ray_of

pytestmark = [pytest.mark.ray, pytest.mark.skipif(os.getuid() != 0, reason="only root has namespaces")]


def test_ray_with_certificates(tmp_path: Path) -> None:
    with ExitStack() as stack:
        machines = RayMachines(tmp_path, stack)
        machines.start("head", ray_of(0).replace("}", ", tls: true}") + NONE, run_by=APART)
        node = machines.start("node", ray_of(1) + X)
        machines.join_well("node", "desk")
        until(lambda: (machines.node() or {}).get("witness") == "there")

        for port in (20000, 20001, 20101):
            with pytest.raises(ssl.SSLCertVerificationError):
                ssl.create_default_context().wrap_socket(
                    socket.create_connection(("127.0.0.1" if port < 20100 else "127.0.0.2", port)),
                    server_hostname="127.0.0.1",
                )
        kept = machines.folder / "node/state/claracore/ray/tls-of-node"
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept.iterdir()} == {0o600}
        assert machines.ask("head", "POST", "/api/nodes/certificate", {"secret": "x", "request": "y"}).status == 404

        rays = [child for child in node.children() if "raylet" in " ".join(child.cmdline()[:1])]
        assert rays
        assert machines.ask("head", "DELETE", "/api/nodes/desk").json == {"untold": ""}
        until(lambda: not any(each.is_running() for each in rays))
        assert not kept.exists()
