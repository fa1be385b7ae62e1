"""A real systemd of a user runs ClaraCore: installed, asked, reloaded, started again under requests, hung, removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from e2e.instance import fake, until
from fakes.ports import free_port

SYSTEMD = Path("/usr/lib/systemd/systemd")
PRELUDE = """
set -e
ip link set lo up
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
"$0" --user --log-target=console; exit $?
"""
"""A machine of its own as far as systemd looks: it believes that it was booted with it. Nothing of it is left."""
ASK = """
import json, sys, urllib.request
answer = urllib.request.urlopen(sys.argv[1], timeout=60)
print(json.load(answer)["data"][0]["id"])
"""


class UserSystemd:
    """systemd as a user has it, in namespaces of its own, with an empty home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_RUNTIME_DIR": "/run/user/test",
            "XDG_CONFIG_HOME": str(home / ".config"),
        }
        self.log = (home / "systemd.log").open("w")
        self.process = subprocess.Popen(
            ["unshare", "-m", "-n", "-p", "-f", "--kill-child", "--mount-proc", "bash", "-c", PRELUDE, SYSTEMD],
            env=self.environ, stdout=self.log, stderr=self.log,
        )  # fmt: skip

    def is_up(self) -> bool:
        """Wait until it takes orders; return whether it does."""
        for _ in range(1000):
            if self.process.poll() is not None:
                return False
            inside = self.inside()
            if inside is not None and self.run("systemctl", "--user", "show").returncode == 0:
                return True
        return False

    def inside(self) -> int | None:
        """Return the id of the first process of the namespaces, as it is outside of them."""
        return next((child.pid for child in psutil.Process(self.process.pid).children()), None)

    def run(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program where systemd is."""
        return subprocess.run(
            ["nsenter", "-t", str(self.inside()), "-m", "-n", "-p", *argv],
            env=self.environ, cwd=self.home, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def claracore(self, *words: str) -> str:
        """Run `claracore service` there; return what it prints."""
        done = self.run(sys.executable, "-m", "claracore", "service", *words)
        assert done.returncode == 0, done.stderr + (self.home / "systemd.log").read_text()
        return done.stdout

    def shown(self, name: str) -> str:
        """Return a property of the service."""
        return self.run("systemctl", "--user", "show", "claracore.service", "--value", "-p", name).stdout.strip()

    def close(self) -> None:
        """End it, and with it everything in its namespaces."""
        self.process.kill()  # --kill-child: everything in there with it
        self.process.wait()
        self.log.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[UserSystemd]:
    if os.geteuid() or not SYSTEMD.exists() or not shutil.which("unshare"):
        pytest.skip("needs systemd, and root to give it namespaces")
    found = UserSystemd(tmp_path)
    try:
        if not found.is_up():
            pytest.skip(f"systemd does not run here: {(tmp_path / 'systemd.log').read_text()}")
        yield found
    finally:
        found.close()


def test_a_service_from_its_installation_to_its_end(systemd: UserSystemd) -> None:
    port = free_port()
    config = systemd.home / "config.yaml"
    config.write_text(f"startPort: {free_port()}\nmodels:\n  m: {{cmd: '{fake()}'}}\n")
    url = f"http://127.0.0.1:{port}"
    assert url in systemd.claracore("install", "--config", str(config), "--listen", f"127.0.0.1:{port}")
    assert systemd.shown("ActiveState") == "active"
    assert systemd.shown("StatusText") == f"serves 1 model on {url}"

    def asked() -> subprocess.CompletedProcess[str]:
        return systemd.run(sys.executable, "-c", ASK, f"{url}/v1/models")

    assert asked().stdout == "m\n"

    config.write_text(config.read_text() + f"  n: {{cmd: '{fake()}'}}\n")
    assert systemd.run("systemctl", "--user", "reload", "claracore.service").returncode == 0
    until(lambda: systemd.shown("StatusText") == f"serves 2 models on {url}")

    # Another process takes over: the manager has the first one, and hears the other.
    main = systemd.shown("MainPID")
    upgrade = systemd.run(sys.executable, "-m", "claracore", "upgrade", "--url", url, "--json")
    assert upgrade.returncode == 0, upgrade.stderr + (systemd.home / "systemd.log").read_text()
    assert (systemd.shown("MainPID"), systemd.shown("ActiveState")) == (main, "active")
    config.write_text(config.read_text() + f"  o: {{cmd: '{fake()}'}}\n")
    assert systemd.run("systemctl", "--user", "reload", "claracore.service").returncode == 0
    until(lambda: systemd.shown("StatusText") == f"serves 3 models on {url}")
    assert asked().stdout == "m\n"

    # Started again: whoever comes meanwhile waits for the new one.
    first = systemd.shown("MainPID")
    assert systemd.run("systemctl", "--user", "--no-block", "restart", "claracore.service").returncode == 0
    answers = [asked() for _ in range(8)]
    assert [(answer.returncode, answer.stdout) for answer in answers] == [(0, "m\n")] * 8, answers
    assert systemd.shown("MainPID") != first

    # Hung: systemd ends it, starts it again, and a request waits that long.
    unit = systemd.home / ".config" / "systemd" / "user" / "claracore.service.d" / "soon.conf"
    unit.parent.mkdir()
    unit.write_text("[Service]\nWatchdogSec=3\nTimeoutAbortSec=1\n")
    systemd.run("systemctl", "--user", "daemon-reload")
    assert systemd.run("systemctl", "--user", "restart", "claracore.service").returncode == 0
    hung = systemd.shown("MainPID")
    systemd.run("kill", "-STOP", hung)
    assert asked().stdout == "m\n"
    assert systemd.shown("NRestarts") == "1"
    assert systemd.shown("MainPID") != hung

    assert "claracore.service" in systemd.claracore("uninstall")
    assert systemd.shown("LoadState") == "not-found" or systemd.shown("ActiveState") == "inactive"
    assert asked().returncode != 0
