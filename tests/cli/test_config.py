from __future__ import annotations

import json
from pathlib import Path

import pytest

from claracore.core.config.schema import json_schema, reference_page
from cli.runner import invoke

GOOD = "models:\n  a: {cmd: 'llama-server --port ${PORT}', ttl: 5m}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_says_fine_and_exits_0(folder: Path) -> None:
    (folder / "config.yaml").write_text(GOOD)
    result = invoke(["config", "check"])
    assert (result.exit_code, result.stdout) == (0, "config.yaml: fine\n")


def test_check_counts_warnings_and_exits_0(folder: Path) -> None:
    (folder / "config.yaml").write_text("models: {a: {cmd: '/nowhere/server --port ${PORT}'}}\n")
    result = invoke(["config", "check"])
    assert (result.exit_code, result.stdout) == (0, "config.yaml: usable, with 1 warning\n")


def test_check_tells_all_errors_and_exits_1(folder: Path) -> None:
    (folder / "bad.yaml").write_text("startPort: x\nmodles: {}\n")
    result = invoke(["config", "check", "bad.yaml"])
    assert result.exit_code == 1
    assert "bad.yaml:1:12: error: startPort: found 'x'" in result.stderr
    assert "bad.yaml:2:1: error: modles: unknown key 'modles' (did you mean 'models'?)" in result.stderr
    assert result.stdout == "bad.yaml: 2 problems\n"


def test_check_as_json(folder: Path) -> None:
    (folder / "bad.yaml").write_text("startPort: x\n")
    result = invoke(["config", "check", "--json", "bad.yaml"])
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert told["ok"] is False
    assert told["findings"][0] == {
        "severity": "error",
        "message": "found 'x'",
        "path": "startPort",
        "way_out": "expected a whole number",
        "file": "bad.yaml",
        "line": 1,
        "column": 12,
    }


def test_strict_lets_warnings_fail(folder: Path) -> None:
    (folder / "config.yaml").write_text(GOOD + "logLevel: LOUD\n")
    assert invoke(["config", "check"]).exit_code == 0
    assert invoke(["config", "check", "--strict"]).exit_code == 1


def test_a_folder_is_checked_as_one(folder: Path) -> None:
    (folder / "a.yaml").write_text(GOOD)
    (folder / "b.yml").write_text("globalTTL: 5\n")
    assert invoke(["config", "check", str(folder)]).exit_code == 0


def test_a_file_is_named_as_everywhere(folder: Path) -> None:
    (folder / "good.yaml").write_text(GOOD)
    for verb in ("check", "show", "migrate"):
        assert invoke(["config", verb, "--config", "good.yaml"]).exit_code == 0, verb
    (folder / "config.yaml").write_text("models: 3\n")
    assert invoke(["config", "check", "-c", "good.yaml"]).stdout == "good.yaml: fine\n"
    assert invoke(["config", "check", "good.yaml", "-c", "config.yaml"]).exit_code == 1


def test_a_missing_file_is_said_so(folder: Path) -> None:
    result = invoke(["config", "check"])
    assert result.exit_code == 1
    assert result.stderr == "config.yaml cannot be read: No such file or directory\n"
    assert invoke(["config", "check", str(folder / "x"), "--listen", "nonsense"]).exit_code == 1


def test_show_prints_yaml_with_origins(folder: Path) -> None:
    (folder / "config.yaml").write_text(GOOD)
    result = invoke(["config", "show"])
    assert result.exit_code == 0
    assert "    ttl: 300.0  # config.yaml:2" in result.stdout
    rows = json.loads(invoke(["config", "show", "--json", "--all"]).stdout)
    assert {"path": "startPort", "value": 8100, "origin": "default"} in rows


def test_schema_and_reference(folder: Path) -> None:
    assert json.loads(invoke(["config", "schema"]).stdout) == json_schema()
    assert invoke(["config", "schema", "--markdown"]).stdout == reference_page()
    assert list(folder.iterdir()) == []


def test_migrate_shows_and_then_writes(folder: Path) -> None:
    path = folder / "config.yaml"
    path.write_text("# mine\nstartPort: 5800 # old\n" + GOOD)
    dry = invoke(["config", "migrate", "--dry-run"])
    assert "-startPort: 5800 # old\n+startPort: 8100 # old" in dry.stdout
    assert "5800" in path.read_text()
    done = invoke(["config", "migrate"])
    assert done.exit_code == 0
    assert path.read_text() == "# mine\nstartPort: 8100 # old\n" + GOOD
    assert len(list(folder.glob("config.yaml.backup.*"))) == 1
    assert "nothing to change" in invoke(["config", "migrate"]).stdout
    path.write_text("startPort: 5800\n")
    assert "nothing to change" in invoke(["config", "migrate", "--listen", ":9000"]).stdout


def test_diff_tells_what_would_happen(folder: Path) -> None:
    (folder / "config.yaml").write_text(GOOD)
    (folder / "new.yaml").write_text(GOOD.replace("--port", "-c 1 --port") + "  b: {proxy: 'http://127.0.0.1:1'}\n")
    result = invoke(["config", "diff", "new.yaml"])
    assert result.stdout == "added: b\nrestart: a\n"
    told = json.loads(invoke(["config", "diff", "new.yaml", "--json"]).stdout)
    assert told["restart"] == ["a"]
    assert "mean the same" in invoke(["config", "diff", "config.yaml"]).stdout
