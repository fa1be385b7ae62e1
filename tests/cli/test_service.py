"""`claracore service` with a systemctl that writes down what it is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SYSTEMCTL = """#!/bin/sh
echo "$(basename "$0") $*" >> "$TOLD"
[ -z "$REFUSES" ] || { echo "Failed to connect to bus" >&2; exit 1; }
"""


@dataclass
class Home:
    """An empty home, with programs that write down how they were called."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def claracore(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **self.environ, **more}
        return subprocess.run(
            [sys.executable, "-m", "claracore", "service", *words],
            cwd=self.folder, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip

    @property
    def units(self) -> Mapping[str, str]:
        folder = self.folder / ".config" / "systemd" / "user"
        return {path.name: path.read_text() for path in folder.glob("*")}

    @property
    def told(self) -> list[str]:
        told = self.folder / "told"
        return told.read_text().splitlines() if told.exists() else []


@pytest.fixture
def home(tmp_path: Path) -> Home:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("systemctl", "journalctl"):
        (programs / name).write_text(SYSTEMCTL)
        (programs / name).chmod(0o755)
    environ = {
        "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config"), "TOLD": str(tmp_path / "told"),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    return Home(tmp_path, environ)


USER = ("--manager", "systemd")


def test_it_is_installed_seen_and_removed(home: Home) -> None:
    (home.folder / "config.yaml").write_text("models: {}\n")
    done = home.claracore("install", *USER, "--listen", "127.0.0.1:5899")
    assert done.returncode == 0, done.stderr
    assert "http://127.0.0.1:5899" in done.stdout
    assert "enable-linger" in done.stdout
    units = home.units
    assert set(units) == {"claracore.service", "claracore.socket"}
    assert f'"--config" "{home.folder}/config.yaml"' in units["claracore.service"]
    assert f"WorkingDirectory={home.folder}\n" in units["claracore.service"]
    assert "ListenStream=127.0.0.1:5899\n" in units["claracore.socket"]
    started = [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now claracore.socket claracore.service",
    ]
    assert home.told == started

    assert home.claracore("status", *USER).returncode == 0
    assert home.claracore("logs", *USER, "--follow").returncode == 0
    assert home.told[2:] == [
        "systemctl --user status --no-pager claracore.socket claracore.service",
        "journalctl --user-unit claracore.service --lines 200 --follow",
    ]

    stopped = "systemctl --user disable --now claracore.socket claracore.service"
    assert home.claracore("install", *USER, "--listen", "127.0.0.1:5900").returncode == 0
    assert "ListenStream=127.0.0.1:5900\n" in home.units["claracore.socket"]
    assert home.told[4:] == [stopped, *started]

    assert home.claracore("uninstall", *USER).returncode == 0
    assert home.units == {}
    assert home.told[7:] == [stopped, "systemctl --user daemon-reload"]
    assert (home.folder / "config.yaml").exists()
    again = home.claracore("uninstall", *USER)
    assert again.returncode == 1
    assert "no service is installed" in again.stderr


def test_a_dry_run_writes_and_starts_nothing(home: Home) -> None:
    done = home.claracore("install", *USER, "--dry-run", "--models-folder", "models")
    assert done.returncode == 0, done.stderr
    assert f'"--models-folder" "{home.folder}/models"' in done.stdout
    assert "systemctl --user enable --now claracore.socket claracore.service" in done.stdout
    assert home.claracore("uninstall", *USER, "--dry-run").returncode == 0
    assert (home.units, home.told) == ({}, [])


def test_a_unit_of_somebody_else_is_left_as_it_is(home: Home) -> None:
    unit = home.folder / ".config" / "systemd" / "user" / "claracore.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=mine\n")
    for verb in ("install", "uninstall"):
        done = home.claracore(verb, *USER)
        assert done.returncode == 1
        assert str(unit) in done.stderr
    assert unit.read_text() == "[Service]\nExecStart=mine\n"
    assert home.told == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("install", *USER, "--listen", "auto"), "one port, on addresses"),
        (("install", *USER, "--listen", "desk:5800"), "one port, on addresses"),
        (("install", *USER, "--config", "nowhere.yaml"), "there is no nowhere.yaml"),
        (("install", "--manager", "systemd", "--system", "--user"), "either"),
        (("install", "--manager", "systemd", "--system"), "--account NAME"),
        (("install", "--manager", "openrc"), "--system"),
        (("install", "--manager", "upstart"), "none of systemd, launchd, openrc"),
    ],
)
def test_what_cannot_be_is_said(home: Home, words: tuple[str, ...], message: str) -> None:
    done = home.claracore(*words, SUDO_USER="")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert (home.units, home.told) == ({}, [])


def test_a_manager_that_refuses_is_quoted(home: Home) -> None:
    done = home.claracore("install", *USER, REFUSES="yes")
    assert done.returncode == 1
    assert "systemctl --user daemon-reload: Failed to connect to bus" in done.stderr
