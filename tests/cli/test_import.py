"""`claracore import`: from a store of Ollama's, a folder of LM Studio's, a file of llama-swap's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from claracore.core.config.lines import read_plain
from zoo.stores import OllamaFolder, filled, put

LLAMA_SWAP = """\
# my models
startPort: 5800
macros:
  server: llama-server --port ${PORT}
models:
  # the small one
  qwen:
    cmd: ${server} -m /models/qwen.gguf
    ttl: 60
    aliases: [gpt-4o-mini]
groups:
  all: {swap: true, members: [qwen]}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


def claracore(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    foreign = ("XDG_", "HF_", "OLLAMA", "LLAMA_", "HUGGING")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return subprocess.run(
        [sys.executable, "-m", "claracore", *words],
        cwd=home, env={**environ, "HOME": str(home), **more}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def written(home: Path) -> Path:
    return home / ".config" / "claracore" / "config.yaml"


def test_ollamas_models_are_used_where_they_are_and_its_clients_find_them(home: Path) -> None:
    folder = OllamaFolder(home / ".ollama" / "models")
    folder.pull("c:7b", model=filled(seed=3))
    done = claracore(home, "import", "ollama", "--dry-run", OLLAMA_KEEP_ALIVE="24h")
    assert done.returncode == 0, done.stderr
    assert not written(home).exists()

    done = claracore(home, "import", "ollama", OLLAMA_KEEP_ALIVE="24h", OLLAMA_HOST="127.0.0.1:11500")
    assert done.returncode == 0, done.stderr
    text = written(home).read_text()
    config = read_plain(text)
    assert config["ollama"] == {"listen": "127.0.0.1:11500"}
    assert config["globalTTL"] == 86400
    assert config["models"]["c-7b-q8_0"]["aliases"] == ["c-7b", "c:7b"]
    assert str(folder.at(filled(seed=3))) in text
    assert "stop Ollama's server" in done.stdout
    assert claracore(home, "config", "check").returncode == 0

    again = claracore(home, "import", "ollama", OLLAMA_HOST="127.0.0.1:11500")
    assert again.returncode == 0
    assert "globalTTL stays 86400" in again.stdout
    assert written(home).read_text() == text


def test_lm_studios_models_are_used_where_they_are(home: Path) -> None:
    put(home / ".lmstudio/models/org/A-7B-GGUF/A-7B-Q8_0.gguf", filled(seed=1))
    done = claracore(home, "import", "lm-studio")
    assert done.returncode == 0, done.stderr
    config = read_plain(written(home).read_text())
    assert list(config["models"]) == ["a-7b-q8_0"]
    assert config["globalTTL"] == 3600
    assert "--listen 1234" in done.stdout


@pytest.mark.parametrize("program", ["ollama", "lm-studio"])
def test_where_there_is_nothing_that_is_said(home: Path, program: str) -> None:
    done = claracore(home, "import", program)
    assert done.returncode == 1
    assert "keeps no models here" in done.stderr
    assert not written(home).exists()


def test_a_file_of_llama_swaps_comes_along_with_its_comments(home: Path) -> None:
    old = home / "llama-swap" / "config.yaml"
    old.parent.mkdir()
    old.write_text(LLAMA_SWAP)
    done = claracore(home, "import", "llama-swap", str(old), "--dry-run")
    assert (done.returncode, written(home).exists()) == (0, False)
    assert "+startPort: 8100" in done.stdout

    done = claracore(home, "import", "llama-swap", str(old))
    assert done.returncode == 0, done.stderr
    assert old.read_text() == LLAMA_SWAP
    assert written(home).read_text() == LLAMA_SWAP.replace("startPort: 5800", "startPort: 8100")
    for words in ("port 5800 is ClaraCore's own", "captureBuffer is not set", "--listen 8080"):
        assert words in done.stdout

    written(home).write_text("models: {}\n")
    refused = claracore(home, "import", "llama-swap", str(old))
    assert refused.returncode == 1
    assert "name another with --config" in refused.stderr
    assert written(home).read_text() == "models: {}\n"


def test_a_file_that_cannot_be_used_is_not_written(home: Path) -> None:
    old = home / "old.yaml"
    old.write_text("models:\n  a: {cmd: x, ttl: soon}\n")
    done = claracore(home, "import", "llama-swap", str(old))
    assert done.returncode == 1
    assert "old.yaml:2" in done.stderr
    assert not written(home).exists()
    assert claracore(home, "import", "llama-swap", "nowhere.yaml").returncode == 1
