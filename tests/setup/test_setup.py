"""From a folder with real models to a configuration that loads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.core.config.command import split
from claracore.core.config.load import load
from claracore.core.config.model import Config
from claracore.errors import ClaraCoreError
from claracore.host.engines.find import find_engine
from claracore.host.setup.request import SetupOptions, SetupRequest
from claracore.host.setup.write import write_setup
from setup.engine import EMBEDDED, LLAMA_SERVER

MODELS = Path(__file__).parents[2] / ".models"
SMOLLM2 = MODELS / "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GEMMA = MODELS / "gemma/gemma-3-270m-q4_k_m.gguf"


def loaded(text: str) -> Config:
    result = load(text, env={})
    assert result.findings == (), [str(finding) for finding in result.findings]
    assert result.config is not None
    return result.config


def test_two_real_models(tmp_path: Path) -> None:
    report = write_setup(
        SetupRequest([MODELS], tmp_path / "config.yaml", SetupOptions(), EMBEDDED, schema_dir=tmp_path / "data")
    )
    assert report.written
    config = loaded((tmp_path / "config.yaml").read_text())
    assert set(config.models) == {"gemma-3-270m-q4_k_m", "smollm2-135m-instruct-q4_1"}
    smollm2 = config.models["smollm2-135m-instruct-q4_1"]
    words = split(smollm2.cmd)
    assert words[:4] == ["/usr/bin/python3", "-m", "claracore", "engine"]
    assert words[words.index("--model") + 1] == str(SMOLLM2)
    assert words[words.index("--ctx-size") + 1] == "8192"
    assert words[words.index("--port") + 1] == "${PORT}"
    assert config.start_port == 8100
    groups = {name: (group.start_port, list(group.members)) for name, group in config.groups.items() if group.members}
    assert groups == {"small-models": (8300, ["gemma-3-270m-q4_k_m", "smollm2-135m-instruct-q4_1"])}
    assert smollm2.capabilities.context == 8192


def test_a_folder_without_models_makes_a_file_that_loads(tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("not a model at all")
    (tmp_path / "unfinished.gguf").write_bytes(SMOLLM2.read_bytes()[:5000])
    report = write_setup(
        SetupRequest([tmp_path], tmp_path / "config.yaml", SetupOptions(), EMBEDDED, schema_dir=tmp_path / "data")
    )
    assert report.catalog.chosen == ()
    assert [left.path.name for left in report.left_out] == ["notes.gguf", "unfinished.gguf"]
    assert "like an unfinished download" in report.left_out[1].reason
    assert loaded(report.text).models == {}


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    report = write_setup(
        SetupRequest(
            [MODELS], tmp_path / "config.yaml", SetupOptions(), EMBEDDED, schema_dir=tmp_path / "data", dry_run=True
        )
    )
    assert not report.written
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ClaraCoreError, match="nowhere"):
        write_setup(
            SetupRequest(
                [tmp_path / "nowhere"],
                tmp_path / "config.yaml",
                SetupOptions(),
                EMBEDDED,
                schema_dir=tmp_path / "data",
            )
        )
    with pytest.raises(ClaraCoreError, match="at least one"):
        write_setup(SetupRequest([], tmp_path / "config.yaml", SetupOptions(), EMBEDDED, schema_dir=tmp_path / "data"))
    with pytest.raises(ClaraCoreError, match="unknown backend 'opengl': it is one of auto, cpu, cuda"):
        write_setup(
            SetupRequest(
                [MODELS],
                tmp_path / "config.yaml",
                SetupOptions(backend="opengl"),
                EMBEDDED,
                schema_dir=tmp_path / "data",
            )
        )


@pytest.mark.parametrize(
    "name",
    [
        "with space.gguf",
        'it\'s "quoted" $HOME.gguf',
        "$(x) `y` \\$z > ~ && *.gguf",
        "back\\slash.gguf",
        "ünïcödé 模型 🦙.gguf",
        "# hash.gguf",
        "-dash.gguf",
        "a\u3000b\u00a0c.gguf",
        "per%cent & semi;colon {a} [b] * ? ! ~.gguf",
    ],
)
def test_any_path_survives_the_way_to_the_command_line(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "my models"
    folder.mkdir()
    (folder / name).symlink_to(SMOLLM2)
    report = write_setup(
        SetupRequest([folder], tmp_path / "config.yaml", SetupOptions(), LLAMA_SERVER, schema_dir=tmp_path / "data")
    )
    (model,) = loaded(report.text).models.values()
    words = split(model.cmd)
    assert words[0] == "/opt/llama cpp/llama-server"
    assert words[words.index("--model") + 1] == str(folder / name)


@pytest.mark.parametrize("name", [b"new\nline.gguf", b"bell\x07.gguf", b"latin1-\xe9.gguf", b"macro-${x}.gguf"])
def test_a_path_that_cannot_be_written_is_left_out_with_the_reason(tmp_path: Path, name: bytes) -> None:
    os.symlink(os.fsencode(SMOLLM2), os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH118, PTH211 - bytes
    report = write_setup(
        SetupRequest([tmp_path], tmp_path / "config.yaml", SetupOptions(), EMBEDDED, schema_dir=tmp_path / "data")
    )
    assert loaded(report.text).models == {}
    assert "in its path" in report.left_out[0].reason


def test_again_merges_and_keeps_a_backup(tmp_path: Path) -> None:
    folder, config = tmp_path / "models", tmp_path / "config.yaml"
    folder.mkdir()
    (folder / SMOLLM2.name).symlink_to(SMOLLM2)
    first = write_setup(SetupRequest([folder], config, SetupOptions(), EMBEDDED, schema_dir=tmp_path / "data"))
    mine = first.text.replace("    aliases:", "    ttl: 7\n    aliases:", 1)
    config.write_text(mine)
    (folder / GEMMA.name).symlink_to(GEMMA)
    second = write_setup(SetupRequest([folder], config, SetupOptions(), EMBEDDED, schema_dir=tmp_path / "data"))
    assert second.merged is not None
    assert second.merged.added == ["gemma-3-270m-q4_k_m"]
    assert second.backup is not None
    assert second.backup.read_text() == mine
    assert "+  gemma-3-270m-q4_k_m:\n" in second.diff
    assert loaded(config.read_text()).models["smollm2-135m-instruct-q4_1"].ttl_seconds == 7
    third = write_setup(SetupRequest([folder], config, SetupOptions(), EMBEDDED, schema_dir=tmp_path / "data"))
    assert (third.written, third.diff, third.backup) == (False, "", None)
    (folder / SMOLLM2.name).unlink()
    fourth = write_setup(SetupRequest([folder], config, SetupOptions(), EMBEDDED, schema_dir=tmp_path / "data"))
    assert fourth.merged is not None
    assert fourth.merged.vanished == ["smollm2-135m-instruct-q4_1"]
    assert loaded(config.read_text()).models["smollm2-135m-instruct-q4_1"].unlisted


def test_a_broken_file_is_not_touched(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("models: [1, 2\n")
    with pytest.raises(ClaraCoreError, match=r"config\.yaml:"):
        write_setup(SetupRequest([MODELS], config, SetupOptions(), EMBEDDED, schema_dir=tmp_path / "data"))
    assert config.read_text() == "models: [1, 2\n"


def test_the_engine_we_bring_understands_what_we_write(tmp_path: Path) -> None:
    engine = find_engine(None)
    options = SetupOptions(auto_draft=True, parallel=2)
    report = write_setup(
        SetupRequest([MODELS], tmp_path / "config.yaml", options, engine, schema_dir=tmp_path / "data")
    )
    for model in loaded(report.text).models.values():
        flags = [word for word in split(model.cmd) if word.startswith("--")]
        assert set(flags) <= engine.abilities.flags
    assert (tmp_path / "data/config.schema.json").exists()


def test_a_model_that_a_person_configured_by_another_path_is_not_added_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "smol.gguf").symlink_to(SMOLLM2)
    config = tmp_path / "config.yaml"
    config.write_text("models:\n  mine:\n    cmd: llama-server --port ${PORT} -m models/smol.gguf\n")
    report = write_setup(SetupRequest([tmp_path], config, SetupOptions(), EMBEDDED, schema_dir=tmp_path / "data"))
    assert report.merged is not None
    assert report.merged.added == []
    assert set(loaded(config.read_text()).models) == {"mine"}
