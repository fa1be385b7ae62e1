"""When is the build before the one in use taken again?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from claracore.core.config.model import ModelConfig
from claracore.core.engines.installed import EngineUse, InstalledEngine
from claracore.core.engines.rollback import FailedStart, Proof, is_fault_of_engine
from claracore.core.loading.failure_kinds import FailureKind
from claracore.errors import Conflict, Explained, ModelFailed
from claracore.host.engines.guard import EngineGuard
from claracore.host.engines.installed import EngineFolders

OLD = InstalledEngine("llama.cpp", "b1", "cpu", "llama-server", installed_at=1.0)
NEW = InstalledEngine("llama.cpp", "b2", "cpu", "llama-server", installed_at=2.0)
MODEL = ModelConfig(id="m", cmd="llama-server -m m.gguf --port ${PORT}")
FAILED = ModelFailed("m", "its server died: exit code 1")


@pytest.fixture
def folders(tmp_path: Path) -> EngineFolders:
    """Two builds, of which the second is in use and the first was."""
    folders = EngineFolders(tmp_path / "engines")
    for engine in (OLD, NEW):
        with folders.new_folder() as folder:
            (folder / "llama-server").write_text("")
            folders.put(folder, engine)
    folders.keep_use(EngineUse().using(OLD).using(NEW))
    return folders


def program(folders: EngineFolders, engine: InstalledEngine) -> str:
    return str(folders.program(engine))


@pytest.mark.parametrize(
    ("kind", "by_current", "by_previous", "expected"),
    [
        ("", [], ["m"], True),
        (FailureKind.FLAG, [], ["m"], True),
        (FailureKind.PROCESSOR, [], ["m"], True),
        (FailureKind.TIME, [], ["m"], True),
        ("", ["m"], ["m"], False),
        ("", [], [], False),
        ("", [], ["other"], False),
        (FailureKind.MEMORY, [], ["m"], False),
        (FailureKind.PORT, [], ["m"], False),
        (FailureKind.NO_FILE, [], ["m"], False),
    ],
)
def test_whose_fault_it_is(kind: str, by_current: list[str], by_previous: list[str], *, expected: bool) -> None:
    def proofs(names: list[str]) -> list[Proof]:
        return [Proof(name, "c") for name in names]

    assert is_fault_of_engine(FailedStart(Proof("m", "c"), kind), proofs(by_current), proofs(by_previous)) is expected


def test_it_goes_back_to_the_build_that_could(folders: EngineFolders, caplog: pytest.LogCaptureFixture) -> None:
    looked: list[EngineUse] = []
    guard = EngineGuard(folders.root, lambda: looked.append(folders.use()))
    guard.became_ready(MODEL, program(folders, OLD))
    guard.became_ready(MODEL, program(folders, OLD))
    assert guard.failed(MODEL, program(folders, NEW), FAILED)
    assert folders.in_use("llama.cpp") == OLD
    (use,) = looked
    assert use.current == {"llama.cpp": OLD.id}
    assert (use.rolled_back["llama.cpp"].given_up, use.rolled_back["llama.cpp"].model) == (NEW.id, "m")
    assert "ENGINE ROLLED BACK: llama.cpp-b2-cpu cannot load model m" in caplog.text
    assert not guard.failed(MODEL, program(folders, NEW), FAILED), "it is not in use any more"
    assert not guard.failed(MODEL, program(folders, OLD), FAILED), "there is nothing before it"
    folders.keep_use(folders.use().using(NEW))
    assert folders.use().rolled_back == {}


def test_it_stays(folders: EngineFolders) -> None:
    guard = EngineGuard(folders.root)
    assert not guard.failed(MODEL, program(folders, NEW), FAILED), "nobody knows that the one before could"
    guard.became_ready(MODEL, program(folders, OLD))
    assert not guard.failed(replace_cmd("llama-server -m m.gguf -c 99"), program(folders, NEW), FAILED)
    assert not guard.failed(MODEL, "/usr/bin/llama-server", FAILED)
    assert not guard.failed(MODEL, "", FAILED)
    memory = ModelFailed("m", "no memory", (), Explained(FailureKind.MEMORY, "memory", "", ""))
    assert not guard.failed(MODEL, program(folders, NEW), memory)
    guard.became_ready(MODEL, program(folders, NEW))
    assert not guard.failed(MODEL, program(folders, NEW), FAILED), "it has loaded it once"
    assert folders.in_use("llama.cpp") == NEW


def replace_cmd(cmd: str) -> ModelConfig:
    return MODEL.model_copy(update={"cmd": cmd}) if hasattr(MODEL, "model_copy") else replace(MODEL, cmd=cmd)


def test_proofs_outlive_a_restart(folders: EngineFolders) -> None:
    EngineGuard(folders.root).became_ready(MODEL, program(folders, OLD))
    assert EngineGuard(folders.root).failed(MODEL, program(folders, NEW), FAILED)


def test_a_folder_that_cannot_be_written_is_no_failure(folders: EngineFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = EngineGuard(folders.root)
    guard.became_ready(MODEL, program(folders, OLD))

    def refused(*_: object) -> None:
        raise Conflict("read-only")

    monkeypatch.setattr(EngineFolders, "keep_use", refused)
    assert not guard.failed(MODEL, program(folders, NEW), FAILED)


def test_the_build_before_must_still_be_there(folders: EngineFolders) -> None:
    guard = EngineGuard(folders.root)
    guard.became_ready(MODEL, program(folders, OLD))
    folders.remove(OLD)
    assert folders.use() == EngineUse({"llama.cpp": NEW.id})
    assert not guard.failed(MODEL, program(folders, NEW), FAILED)
    with pytest.raises(Conflict):
        folders.use().back("llama.cpp")
