"""A disk without room: whatever had to be kept is answered 507, and everything else goes on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from e2e.instance import Answer, Instance, configured, fake, instance
from fakes.ports import free_run

pytestmark = pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="mounts a small disk")

TEXT = f"startPort: {free_run(8).start}\nmodels:\n  a:\n    cmd: '{fake()}'\n    ttl: 1\n  b:\n    cmd: '{fake()}'\n"


class OnSmallDisk(Instance):
    """A ClaraCore whose configuration and state are on a disk of 1 MB, which no other process sees mounted."""

    def command(self) -> list[str]:
        small = self.folder / "small"
        mount = f"mount -t tmpfs -o size=1m tmpfs '{small}' && cp '{self.folder}/config.yaml' '{small}'"
        return ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable]

    @property
    def disk(self) -> Path:
        return Path(f"/proc/{self.process.pid}/root{self.folder}/small")

    def fill(self) -> None:
        with (self.disk / "fill").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        assert os.statvfs(self.disk).f_bavail == 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[OnSmallDisk]:
    configured(tmp_path, TEXT)
    (tmp_path / "small").mkdir()
    (tmp_path / "models").mkdir()
    env = {"XDG_STATE_HOME": f"{tmp_path}/small/state"}
    with instance(tmp_path, "--config", "small/config.yaml", env=env, kind=OnSmallDisk) as running:
        assert isinstance(running, OnSmallDisk)
        yield running


def keeping(served: OnSmallDisk) -> dict[str, Answer]:
    """Ask for everything that has to be kept."""
    ask = partial(served.ask)
    yaml = f"{TEXT}# more\n"
    return {
        "put": ask("PUT", "/api/config", {"yaml": yaml}, {"If-Match": "*"}),
        "patch": ask("PATCH", "/api/config/models/a", {"ttl": 2}),
        "delete": ask("DELETE", "/api/config/models/b"),
        "setup": ask("POST", "/api/setup/apply", {"folders": [str(served.folder / "models")]}),
        "settings": ask("POST", "/api/settings/system", {"backend": "cpu"}),
        "token": ask("POST", "/api/settings/hf-api-key", {"apiKey": "hf_x"}),
        "key": ask("POST", "/api/keys", {"name": "me", "scopes": ["admin"]}),
    }


def test_a_full_disk_is_507_and_the_server_goes_on(served: OnSmallDisk) -> None:
    assert served.chat("a").status == 200
    served.fill()
    for what, answer in keeping(served).items():
        assert answer.status == 507, (what, answer.body)
        error = answer.json["error"]
        assert (error["type"], error["code"]) == ("server_error", "disk_full"), what
        assert "No space left on device; make room" in error["message"], what
    assert (served.disk / "config.yaml").read_text() == TEXT
    left = {path.name for path in served.disk.rglob("*") if path.name.endswith(".tmp") or ".backup." in path.name}
    assert left == set()
    assert served.chat("b").status == 200
    assert served.ask("GET", "/api/activity").status == 200
    assert served.ask("GET", "/api/models").status == 200
    (served.disk / "fill").unlink()
    for what, answer in keeping(served).items():
        assert answer.status == 200, (what, answer.body)
    assert not [line for line in served.lines if "Traceback" in line]


def test_what_is_kept_is_for_its_user_only(served: OnSmallDisk) -> None:
    assert served.chat("a").status == 200
    assert {answer.status for answer in keeping(served).values()} == {200}
    state = served.disk / "state" / "claracore"
    found = {path: path.stat().st_mode & 0o777 for path in (state, *state.rglob("*")) if "ports" not in path.parts}
    kept = {path.relative_to(state).parts[0] for path in found if path != state}
    assert {"activity", "keys.json", "settings.json", "hub-token", "ports.json"} <= kept
    assert {path.name: oct(mode) for path, mode in found.items() if mode & 0o077} == {}
