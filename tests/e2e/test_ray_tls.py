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


def first_bytes_of_gcs(certificate: Path | None) -> bytes:
    """Return what is answered to a client that has this certificate, or none, and asks for none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if certificate is not None:
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with context.wrap_socket(socket.create_connection(("127.0.0.1", 20000), timeout=60)) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        return connection.recv(100)


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
        assert first_bytes_of_gcs(kept), "with a certificate of the authority it speaks HTTP/2"
        assert first_bytes_of_gcs(None) == b"", "without one it says nothing and hangs up"
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept.iterdir()} == {0o600}
        assert machines.ask("head", "POST", "/api/nodes/certificate", {"secret": "x", "request": "y"}).status == 404

        rays = [child for child in node.children() if "raylet" in " ".join(child.cmdline()[:1])]
        assert rays
        assert machines.ask("head", "DELETE", "/api/nodes/desk").json == {"untold": "", "had_ray_token": True}
        until(lambda: not any(each.is_running() for each in rays))
        assert not kept.exists()
