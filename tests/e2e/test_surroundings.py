"""ClaraCore serves where it may keep nothing: no home, no passwd entry, a state folder that cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_port

ADMIN = {"name": "me", "scopes": ["admin", "inference"]}


def nowhere(folder: Path) -> dict[str, str]:
    """Return an environment in which nothing can be kept, not even by root."""
    (folder / "file").touch()
    file = str(folder / "file")
    return {"XDG_STATE_HOME": file, "XDG_DATA_HOME": file, "XDG_RUNTIME_DIR": file, "HOME": f"{folder}/no-home"}


def verb(env: Mapping[str, str], folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "claracore", *argv]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **env},
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_everything_is_kept_in_memory_and_one_warning_says_so(tmp_path: Path) -> None:
    config = configured(tmp_path, f"startPort: {free_port()}\nmodels:\n  a: {{cmd: '{fake()}'}}\n")
    with instance(tmp_path, "--config", str(config), env=nowhere(tmp_path)) as served:
        assert served.chat("a").status == 200
        assert [row["model"] for row in served.ask("GET", "/api/activity").json["data"]] == ["a"]
        assert served.ask("POST", "/api/settings/system", {"backend": "cpu"}).status == 200
        assert served.ask("GET", "/api/settings/system").json["settings"]["backend"] == "cpu"
        assert served.ask("POST", "/api/settings/hf-api-key", {"apiKey": "hf_x"}).status == 200
        assert served.ask("GET", "/api/setup/browse").json["path"] == "/"
        assert served.ask("PATCH", "/api/config/models/a", {"ttl": 5}).status == 200
        found = [its for its in served.ask("GET", "/api/doctor").json["checks"] if its["name"] == "state"]
        assert [(its["ok"], "XDG_STATE_HOME" in its["way_out"]) for its in found] == [(False, True)]
        key = served.ask("POST", "/api/keys", ADMIN).json["key"]
        assert served.ask("GET", "/api/keys").status == 401
        bearer = {"Authorization": f"Bearer {key}"}
        assert [its["name"] for its in served.ask("GET", "/api/keys", headers=bearer).json["keys"]] == ["me"]
        assert served.ask("DELETE", "/api/keys/me", headers=bearer).status == 200
        assert served.end() == 0
    warnings = [line for line in served.lines if "WARNING" in line or "ERROR" in line]
    assert len(warnings) == 1, warnings
    assert f"{tmp_path}/file/claracore cannot be used (Not a directory); set XDG_STATE_HOME" in warnings[0]
    assert sorted(path.name for path in tmp_path.iterdir() if ".backup." not in path.name) == ["config.yaml", "file"]


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("config", "check", "config.yaml"), 0, "fine"),
        (("ports",), 0, "8100"),
        (("ps", "--url", "http://127.0.0.1:9"), 3, "no server answers"),
        (("ps",), 3, "no server answers"),
        (("keys", "list"), 0, "no named keys"),
        (("keys", "add", "x"), 1, "set XDG_STATE_HOME"),
        (("doctor",), 1, "set XDG_STATE_HOME"),
        (("setup", "models", "--config", "new.yaml"), 1, "nothing was written"),
        (("fit", "models/none.gguf"), 1, "No such file"),
    ],
    ids=lambda its: " ".join(its) if isinstance(its, tuple) else "",
)
def test_every_verb_answers(tmp_path: Path, argv: tuple[str, ...], code: int, said: str) -> None:
    configured(tmp_path, f"models:\n  a: {{cmd: '{fake()}'}}\n")
    (tmp_path / "models").mkdir()
    nobody = {"CLARACORE_URL": f"http://127.0.0.1:{free_port()}"}  # a test of `--listen auto` may have 5800 meanwhile
    done = verb(nowhere(tmp_path) | nobody, tmp_path, *argv)
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == code


class Stranger(Instance):
    """A ClaraCore of a uid that has no passwd entry; it may read everything, as the interpreter may lie anywhere."""

    environment: tuple[str, ...] = ("env", "-i", f"PATH={os.defpath}")

    def command(self) -> list[str]:
        rights = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        return [
            "setpriv",
            *rights,
            "--reuid=54321",
            "--regid=54321",
            "--clear-groups",
            *self.environment,
            sys.executable,
        ]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody without a name")
@pytest.mark.parametrize("home", [(), ("HOME=/",), ("HOME=/nonexistent",), ("HOME=/root",)], ids=" ".join)
def test_a_user_without_a_name_is_served(home: tuple[str, ...]) -> None:
    class At(Stranger):
        environment = (*Stranger.environment, *home)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        config = configured(folder, f"startPort: {free_port()}\nmodels:\n  a: {{cmd: '{fake()}'}}\n")
        with instance(folder, "--config", str(config), kind=At) as stranger:
            assert stranger.chat("a").status == 200
            assert stranger.end() == 0
    warnings = [line for line in stranger.lines if "WARNING" in line or "ERROR" in line]
    assert len(warnings) == 1, warnings
    assert "set XDG_STATE_HOME to a folder that this user (uid 54321) may write to" in warnings[0]
