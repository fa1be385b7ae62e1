"""What doctor tells of engines: scripts stand in for llama-servers of several abilities."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from claracore.core.config.load import load
from claracore.core.engines.installed import EngineUse, InstalledEngine
from claracore.host.engines.find import find_engine
from claracore.host.engines.folder import engines_folder
from claracore.host.engines.installed import EngineFolders
from claracore.host.engines.newest import SEEN, SeenBuild, remember_newest, seen_builds
from claracore.host.setup.check import Check
from claracore.host.setup.engine_checks import OTHER, UPDATE, engine_checks


def program(path: Path, version: str, devices: str, *flags: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{flag} N   what it is\\n" for flag in ("--port", "-m", "--list-devices", *flags))
    path.write_text(
        f"""#!/bin/sh
case $1 in
  --version) echo "version: {version} (abc)" >&2;;
  --help) printf -- "{lines}";;
  --list-devices) printf "Available devices:\\n{devices}";;
  *) exit 3;;
esac
""",
        encoding="utf-8",
    )
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path


def installed(folders: EngineFolders, version: str, *flags: str) -> InstalledEngine:
    engine = InstalledEngine("llama.cpp", version, "vulkan", "llama-server", installed_at=time.time())
    program(
        folders.root / engine.id / "llama-server",
        version[1:],
        "  Vulkan0: NVIDIA a card (8192 MiB, 1 MiB free)\\n",
        *flags,
    )
    with folders.new_folder() as folder:
        (folders.root / engine.id / "llama-server").rename(folder / "llama-server")
        folders.put(folder, engine)
    return engine


def told(configured: str | None, text: str = "") -> list[Check]:
    return list(engine_checks(find_engine(configured), load(text, env={}).config if text else None))


def test_version_devices_and_flags_that_it_lacks(home: Path) -> None:
    old = program(home / "old" / "llama-server", "100", "")
    other = program(home / "other" / "llama-server", "200", "", "--jinja")
    checks = told(
        old,
        f"""\
models:
  a: {{cmd: 'llama-server --port ${{PORT}} -m x.gguf --jinja -ngl 99'}}
  b: {{cmd: '{other} --port ${{PORT}} --jinja'}}
  c: {{cmd: 'vllm serve --port ${{PORT}} --whatever'}}
  d: {{cmd: '/nowhere/llama-server --port ${{PORT}}'}}
""",
    )
    assert [(check.ok, check.message) for check in checks] == [
        (True, f"{old}: 100 (abc); for processors: it sees no graphics device"),
        (False, f"{old} does not know --jinja, -ngl, which model 'a' uses"),
        (True, f"{other}: 200 (abc); for processors: it sees no graphics device"),
        (False, "/nowhere/llama-server: No such file or directory"),
    ]
    assert checks[1].way_out == OTHER


@pytest.mark.usefixtures("home")
def test_installed_builds_and_a_newer_one_that_was_seen() -> None:
    folders = EngineFolders(engines_folder())
    engine = installed(folders, "b300")
    folders.keep_use(EngineUse().using(engine))
    known = f"{engine.id}: 300 (abc); for vulkan: it sees Vulkan0 NVIDIA a card"
    assert [check.message for check in told(None)] == [known]
    remember_newest(folders, "llama.cpp", SeenBuild(engine.id, "b300", time.time() + 1))
    assert [check.message for check in told(None)] == [known]
    remember_newest(folders, "llama.cpp", SeenBuild("llama.cpp-b301-vulkan", "b301", time.time() + 1))
    newer = told(None)[-1]
    assert newer.message.startswith(f"llama.cpp-b301-vulkan is newer than {engine.id} (seen on 20")
    assert (newer.ok, newer.way_out) == (True, UPDATE)


@pytest.mark.parametrize("text", ["[]", '{"llama.cpp": 3}', "[" * 100_000])
def test_what_was_seen_may_be_damaged(home: Path, text: str) -> None:
    folders = EngineFolders(home / "engines")
    remember_newest(folders, "llama.cpp", SeenBuild("x", "y", 1.0))  # without a folder nothing is written
    assert not folders.root.exists()
    folders.root.mkdir()
    (folders.root / SEEN).write_text(text, encoding="utf-8")
    assert seen_builds(folders) == {}
    remember_newest(folders, "llama.cpp", SeenBuild("x", "y", 1.0))
    assert seen_builds(folders)["llama.cpp"].version == "y"


@pytest.mark.usefixtures("home")
def test_the_embedded_one_has_a_table_of_its_flags() -> None:
    checks = told(None, "models: {a: {cmd: 'llama-server --port ${PORT} -m x.gguf --nonsense'}}")
    assert [check.message for check in checks] == ["the embedded engine does not know --nonsense, which model 'a' uses"]
