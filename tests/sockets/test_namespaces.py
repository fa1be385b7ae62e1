"""Port spaces are per network namespace: what is taken in one is free in the other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.ports import free_run
from sockets.helpers import readline, start
from sockets.test_ports import keeper, plan_for
from sockets.test_two_instances import MODELS, script_arguments


@pytest.fixture
def namespace() -> Iterator[str]:
    """Make a network namespace with a loopback interface; skipped where this user may not."""
    ip = shutil.which("ip")
    if ip is None:
        pytest.skip("the ip command is not installed")
    name = f"claracore-test-{os.getpid()}"
    made = subprocess.run([ip, "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"network namespaces may not be created here: {made.stderr.strip()}")
    try:
        subprocess.run([ip, "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run([ip, "netns", "del", name], check=True)


def test_instances_in_two_namespaces_get_the_same_ports_from_one_ledger(namespace: str, tmp_path: Path) -> None:
    ports = free_run(MODELS + 2)
    names = [f"m{number}" for number in range(MODELS)]
    folder = tmp_path / "ledger"
    with keeper(plan_for(ports, *names), tmp_path) as ours:
        assert ours.hold_all() == ()
        inside = start(["ip", "netns", "exec", namespace, *script_arguments(folder, ports, MODELS, 1)])
        assert readline(inside) == "ready"
        assert len(list(folder.glob("*/*.lock"))) == 2
        assert len(list(folder.iterdir())) == 3  # a folder for each namespace, and the lock for both
        with ours.ledger.locked():
            assert ours.ledger.others() == []
        out, _ = inside.communicate("go\nbye\n")
        assert '"moved": 0' in out
        assert '"failed": 0' in out


LINK_LOCAL = """
import socket
from claracore.core.ports.listen import parse_listen
from claracore.host.sockets.front import open_listeners, opened

wanted = parse_listen("[fe80::1%lo]:0")
listeners = open_listeners(wanted, environ={})
found = opened(wanted, listeners)
socket.create_connection((found.host, found.port))
print(found.host)
"""


def test_a_link_local_address_keeps_its_zone(namespace: str) -> None:
    subprocess.run(["ip", "-n", namespace, "address", "add", "fe80::1/64", "dev", "lo"], check=True)
    inside = ["ip", "netns", "exec", namespace, sys.executable, "-c", LINK_LOCAL]
    assert subprocess.run(inside, check=True, capture_output=True, text=True).stdout == "fe80::1%lo\n"
