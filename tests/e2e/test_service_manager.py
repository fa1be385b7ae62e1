"""What systemd hears of us: ready, reloading, stopping, alive; and that models hear nothing of systemd."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from e2e.instance import configured, fake, instance
from fakes.ports import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")

WATCHDOG = {"WATCHDOG_USEC": "200000"}


class Manager:
    """The socket that a service manager listens on."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(60)
        self.path = path

    def next(self, *, watchdog: bool = False) -> dict[str, str]:
        """Wait for the next message; signs of life are passed over unless they are asked for."""
        while True:
            said = dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())
            if ("WATCHDOG" in said) == watchdog:
                return said


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    with closing(manager.socket):
        yield manager


def test_it_hears_when_we_are_ready_reload_stop_and_that_we_are_alive(tmp_path: Path, manager: Manager) -> None:
    text = f"startPort: {free_port()}\nmodels:\n  m: {{cmd: '{fake()}'}}\n"
    config = configured(tmp_path, text)
    env = {**WATCHDOG, "NOTIFY_SOCKET": str(manager.path)}
    with instance(tmp_path, "--config", str(config), "--no-watch-config", env=env) as here:
        assert manager.next() == {"READY": "1", "STATUS": f"serves 1 model on {here.url}"}
        for _ in range(3):
            assert manager.next(watchdog=True) == {"WATCHDOG": "1"}

        assert here.chat("m").status == 200
        inherited = Path(f"/proc/{here.running()['m']['pid']}/environ").read_text()
        assert "NOTIFY_SOCKET" not in inherited
        assert "WATCHDOG" not in inherited

        config.write_text(text + f"  n: {{cmd: '{fake()}'}}\n")
        here.process.send_signal(signal.SIGHUP)
        reloading = manager.next()
        assert reloading["RELOADING"] == "1"
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert manager.next() == {"READY": "1", "STATUS": f"serves 2 models on {here.url}"}

        config.write_text("models: 3\n")
        here.process.send_signal(signal.SIGHUP)
        assert manager.next()["RELOADING"] == "1"
        assert manager.next()["STATUS"] == f"serves 2 models on {here.url}"

        here.process.send_signal(signal.SIGTERM)
        assert manager.next()["STOPPING"] == "1"
        assert here.process.wait(60) == 0


@pytest.mark.parametrize(
    "said",
    [
        {"NOTIFY_SOCKET": "/nowhere/notify"},
        {"NOTIFY_SOCKET": "@nobody", "WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1"},
    ],
    ids=["no socket there", "nonsense", "no socket named"],
)
def test_a_manager_that_cannot_be_told_changes_nothing(tmp_path: Path, said: dict[str, str]) -> None:
    config = configured(tmp_path, f"startPort: {free_port()}\nmodels:\n  m: {{cmd: '{fake()}'}}\n")
    with instance(tmp_path, "--config", str(config), env=said) as here:
        assert here.chat("m").status == 200
