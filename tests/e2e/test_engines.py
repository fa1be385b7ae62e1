"""Builds of an engine come, are used, and are given up again, while a server runs; against a stand-in of releases.

The builds are scripts around a fake model server; with CLARACORE_LLAMA_SERVER they are the real llama-server, with the
libraries that lie beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from e2e.instance import WAIT_SECONDS, Instance, configured, instance, until
from engines.releases import Stand, build, script, stand_in, tar_gz
from fakes import command

SERVER = os.environ.get("CLARACORE_LLAMA_SERVER", "")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the builds are for Linux")
pytestmark = LINUX

SERVES = "export CLARACORE_TEST_BUILD={}\nexec " + " ".join(f'"{word}"' for word in command()) + ' "$@"'
FAILS = "echo 'error: this build cannot load the model' >&2; exit 1"


@pytest.fixture
def stand() -> Iterator[Stand]:
    with stand_in() as running:
        yield running


@pytest.fixture
def env(stand: Stand, tmp_path: Path) -> dict[str, str]:
    """An empty home, no llama-server on PATH, and the stand-in."""
    return {
        "HOME": str(tmp_path / "home"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_RUNTIME_DIR": str(tmp_path / "state"),
        "CLARACORE_RELEASES_URL": stand.url,
        "NO_PROXY": "*",
    }


def engines(env: Mapping[str, str], *words: str, code: int = 0) -> str:
    """Run `claracore engines` as a person does; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "claracore", "engines", *words], env={**os.environ, **env}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=WAIT_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def listed(env: Mapping[str, str]) -> dict[str, Any]:
    return dict(json.loads(engines(env, "list", "--json")))


def job_of(served: Instance, action: str, **order: object) -> dict[str, Any]:
    """Have the server install or update; return the job when it has ended."""
    begun = served.ask("POST", f"/api/engines/{action}", order).json

    def look() -> dict[str, Any]:
        return dict(served.ask("GET", f"/api/engines/jobs/{begun['id']}").json)

    until(lambda: bool(look()["ended"]))
    return look()


def active_id(served: Instance) -> str | None:
    return str(served.ask("GET", "/api/engines").json["active_id"])


def number_of(served: Instance, model: str) -> str:
    """Return which build serves a model now."""
    pid = served.ask("GET", f"/api/models/{model}").json["pid"]
    return psutil.Process(pid).environ()["CLARACORE_TEST_BUILD"]


@pytest.fixture
def served(env: dict[str, str], stand: Stand, tmp_path: Path) -> Iterator[Instance]:
    for number in (1000, 1001):
        stand.add(f"b{number}", build(number, SERVES.format(number)))
    text = "models: {a: {cmd: 'llama-server --port ${PORT}'}, b: {cmd: 'llama-server --port ${PORT} --id b'}}\n"
    with instance(tmp_path, "--config", str(configured(tmp_path, text)), env=env) as running:
        yield running


def test_the_next_start_takes_what_is_in_use(served: Instance, env: dict[str, str]) -> None:
    printed = engines(env, "install", "--version", "b1000")
    assert "llama.cpp-b1000-cpu is in use, because no graphics device was found" in printed or "cpu" in printed
    assert f"the server at {served.url} takes it for the next start of a model" in printed
    assert served.chat("a").status == 200
    assert number_of(served, "a") == "1000"
    assert job_of(served, "install", version="b1001")["stage"] == "finished"
    assert active_id(served) == "llama.cpp-b1000-cpu", "a second one is there, and not in use"
    assert "llama.cpp-b1001-cpu is in use" in engines(env, "use", "b1001")
    assert number_of(served, "a") == "1000", "a model that runs stays"
    served.ask("POST", "/api/models/unload")
    assert served.chat("a").status == 200
    assert number_of(served, "a") == "1001"
    assert served.ask("DELETE", "/api/engines/b1001").status == 409
    assert served.ask("DELETE", "/api/engines/b1000").json == {"removed": "llama.cpp-b1000-cpu"}
    view = listed(env)
    assert [one["id"] for one in view["engines"]] == [view["active_id"]] == ["llama.cpp-b1001-cpu"]
    assert view["active"]["kind"] == "used"
    doctor = [
        check["message"] for check in served.ask("GET", "/api/doctor").json["checks"] if check["name"] == "engine"
    ]
    assert any(view["active"]["path"] in message for message in doctor)


def test_a_build_that_cannot_load_what_the_one_before_could_is_given_up(
    served: Instance, env: dict[str, str], stand: Stand
) -> None:
    job_of(served, "install", version="b1001")
    assert served.chat("a").status == 200
    stand.add("b1002", build(1002, FAILS))
    assert job_of(served, "update", version="b1002")["stage"] == "finished"
    # Nothing has loaded b yet: the failure is its own.
    assert served.chat("b").status == 502
    assert active_id(served) == "llama.cpp-b1002-cpu"
    served.ask("POST", "/api/models/unload")
    assert served.chat("a").status == 200, "the start was made once more"
    assert number_of(served, "a") == "1001"
    served.line("ENGINE ROLLED BACK: llama.cpp-b1002-cpu cannot load model a")
    assert active_id(served) == "llama.cpp-b1001-cpu"
    assert "llama.cpp-b1002-cpu was given up: it could not load 'a'" in engines(env, "list")
    stand.latest = "b1002"
    assert "was given up because it could not load 'a'" in job_of(served, "update")["error"]
    stand.add("b1003", build(1003, SERVES.format(1003)))
    assert job_of(served, "update", version="nightly")["engine"] == active_id(served) == "llama.cpp-b1003-cpu"
    assert served.ask("GET", "/api/engines").json["rolled_back"] == []


def test_the_api_installs_and_tells(served: Instance, stand: Stand) -> None:
    plan = served.ask("POST", "/api/engines/plan", {"version": "nightly", "backend": "cpu"}).json
    assert (plan["id"], plan["installed"]) == ("llama.cpp-b1001-cpu", False)
    assert plan["total_bytes"] == len(next(iter(stand.releases[0].files.values())))
    done = job_of(served, "install", version="nightly", backend="cpu")
    assert (done["stage"], done["engine"], done["error"]) == ("finished", "llama.cpp-b1001-cpu", None)
    view = served.ask("GET", "/api/engines").json
    assert view["active_id"] == "llama.cpp-b1001-cpu"
    assert [one["stage"] for one in view["jobs"]] == ["finished"]
    assert served.chat("a").status == 200
    assert number_of(served, "a") == "1001"
    check = served.ask("POST", "/api/engines/check", {}).json
    assert [(one["id"], one["problem"]) for one in check["checks"]] == [("llama.cpp-b1001-cpu", "")]
    assert check["newest_problem"] == ""


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/engines/plan", {"backend": "gpu"}, 400),
        ("POST", "/api/engines/plan", {"version": "../../x"}, 400),
        ("POST", "/api/engines/plan", {"version": "b7"}, 404),
        ("POST", "/api/engines/plan", {"name": "nothing"}, 400),
        ("POST", "/api/engines/plan", {"name": 5}, 422),
        ("POST", "/api/engines/plan", {"backend": "metal", "version": "nightly"}, 404),
        ("POST", "/api/engines/use", {"id": "nothing"}, 404),
        ("POST", "/api/engines/use", {"id": "../../etc"}, 404),
        ("POST", "/api/engines/use", {}, 422),
        ("DELETE", "/api/engines/nothing", None, 404),
        ("DELETE", "/api/engines/jobs/nothing", None, 404),
        ("GET", "/api/engines/jobs/nothing", None, 404),
    ],
)
def test_the_api_refuses(method: str, path: str, body: object, status: int, refusing: Instance) -> None:
    answer = refusing.ask(method, path, body)
    assert answer.status in {status, 400} if status == 422 else answer.status == status, answer.body
    assert answer.message


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("run")
    with stand_in() as stand:
        stand.add("b1000", build(1000))
        env = {"XDG_DATA_HOME": str(folder / "data"), "CLARACORE_RELEASES_URL": stand.url, "NO_PROXY": "*"}
        text = "models: {}\n"
        with instance(folder, "--config", str(configured(folder, text)), env=env) as running:
            yield running


@pytest.mark.skipif(not SERVER, reason="CLARACORE_LLAMA_SERVER names no llama-server")
def test_a_real_llama_server_from_an_archive(env: dict[str, str], stand: Stand, tmp_path: Path, smollm2: Path) -> None:
    """Installed into an empty home, it serves a real model; a later build that cannot is given up."""
    for number in (11434, 11435):
        stand.add(f"b{number}", {f"llama-b{number}-bin-ubuntu-x64.tar.gz": real(number)})
    stand.latest = "b11434"
    printed = engines(env, "install", "--backend", "cpu")
    assert "llama.cpp-b11434-cpu is in use" in printed
    config = configured(tmp_path, f"models: {{m: {{cmd: 'llama-server -m {smollm2} --port ${{PORT}} -c 256'}}}}\n")
    with instance(tmp_path, "--config", str(config), env=env) as served:
        assert served.chat("m", max_tokens=4).status == 200
        assert executable(served) == Path(listed(env)["active"]["path"])
        engines(env, "install", "--version", "b11435", "--backend", "cpu")
        engines(env, "use", "b11435")
        served.ask("POST", "/api/models/unload")
        assert served.chat("m", max_tokens=4).status == 200
        assert "llama.cpp-b11435-cpu" in str(executable(served))
        broken = tar_gz({"llama-server": script(11436, FAILS)})
        stand.add("b11436", {"llama-b11436-bin-ubuntu-x64.tar.gz": broken})
        engines(env, "update", "--version", "nightly")
        served.ask("POST", "/api/models/unload")
        assert served.chat("m", max_tokens=4).status == 200
        assert "llama.cpp-b11435-cpu" in str(executable(served))
        served.line("ENGINE ROLLED BACK")


def executable(served: Instance) -> Path:
    return Path(psutil.Process(served.ask("GET", "/api/models/m").json["pid"]).exe())


def real(number: int) -> bytes:
    """Return an archive as the project makes them, of the llama-server that the environment names.

    The project builds with `$ORIGIN` as the place of libraries; a build of one's own names its folder, which is
    written over here.
    """
    folder = Path(SERVER).resolve().parent
    files: dict[str, bytes | str] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("lib") or path.name in {"llama-server", "llama-fit-params"}:
            raw: bytes | str = str(path.readlink()) if path.is_symlink() else path.read_bytes()
            if isinstance(raw, bytes):
                for place in (f"{folder}:".encode(), str(folder).encode()):
                    raw = raw.replace(place + b"\0", b"$ORIGIN".ljust(len(place), b"\0") + b"\0")
            files[path.name] = raw
    return tar_gz(files, top=f"llama-b{number}")
