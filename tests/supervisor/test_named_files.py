from __future__ import annotations

from pathlib import Path

import pytest

from claracore.core.config.model import ModelConfig
from claracore.host.supervisor.named_files import Stamp, stamp_of


def stamp(folder: Path, cmd: str, *env: str) -> Stamp:
    return stamp_of(ModelConfig(id="a", cmd=cmd.replace("HERE", str(folder)), env=env), {"PATH": str(folder)})


@pytest.mark.parametrize(
    ("cmd", "env", "file"),
    [
        ("serve --port 1", "", "serve"),
        ("HERE/serve --port 1", "", "serve"),
        ("serve -m HERE/m.gguf", "", "m.gguf"),
        ("serve --model=HERE/m.gguf", "", "m.gguf"),
        ("serve -m HERE/m-00001-of-00002.gguf", "", "m-00002-of-00002.gguf"),
        ("python HERE/serve.py", "", "serve.py"),
        ("serve", "LLAMA_ARG_MODEL=HERE/m.gguf", "m.gguf"),
    ],
)
def test_a_file_that_comes_or_becomes_another_is_seen(tmp_path: Path, cmd: str, env: str, file: str) -> None:
    values = (env.replace("HERE", str(tmp_path)),) if env else ()
    missing = stamp(tmp_path, cmd, *values)
    path = tmp_path / file
    path.write_text("one")
    path.chmod(0o755)
    there = stamp(tmp_path, cmd, *values)
    path.write_text("two, and longer")
    changed = stamp(tmp_path, cmd, *values)
    path.rename(tmp_path / "aside")
    assert len({missing, there, changed}) == 3
    assert stamp(tmp_path, cmd, *values) == missing


@pytest.mark.parametrize(
    "cmd", ["serve --log-file HERE/x.log", "serve --save HERE", "serve http://x/m.gguf", "serve 'x"]
)
def test_what_the_server_writes_is_no_reason(tmp_path: Path, cmd: str) -> None:
    before = stamp(tmp_path, cmd)
    (tmp_path / "x.log").write_text("tried")
    assert stamp(tmp_path, cmd) == before


def test_a_name_that_promises_very_many_shards_is_one_file(tmp_path: Path) -> None:
    assert len(stamp(tmp_path, "serve -m HERE/m-00001-of-99999.gguf")) == 2


def test_a_blob_of_ollamas_is_a_models_file(tmp_path: Path) -> None:
    blob = tmp_path / f"sha256-{'a' * 64}"
    before = stamp(tmp_path, f"server --model {blob}")
    blob.write_bytes(b"x")
    assert stamp(tmp_path, f"server --model {blob}") != before
