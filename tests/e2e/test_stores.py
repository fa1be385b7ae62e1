"""Models of other programs, from their folders to answers: at a terminal, over the API, and while ClaraCore runs."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.instance import instance, on_one_processor
from zoo.stores import OllamaFolder, filled, put

WAIT_SECONDS = 120


@pytest.fixture
def home(tmp_path: Path, gemma: Path, smollm2: Path) -> Path:
    """A home with one model of LM Studio's and one of Ollama's."""
    home = tmp_path / "home"
    studio = home / ".lmstudio/models/bartowski/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct-Q4_1.gguf"
    studio.parent.mkdir(parents=True)
    studio.symlink_to(smollm2)
    OllamaFolder(home / ".ollama/models").pull("gemma3:270m", model=gemma.read_bytes())
    return home


def state_of(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """What would show that somebody has changed something in a folder."""
    found = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    return {path: (status.st_ino, status.st_mtime_ns, status.st_size) for path, status in found.items()}


def test_over_the_api_with_one_call_and_nothing_in_a_store_is_touched(tmp_path: Path, home: Path) -> None:
    before = state_of(home)
    with instance(tmp_path, env={"HOME": str(home)}, run_by=on_one_processor()) as running:
        assert "claracore setup" in running.line("no models yet")
        offered = running.ask("GET", "/api/setup/stores").json
        assert (offered["models"], offered["configured"], offered["unusable"]) == (2, 0, [])
        assert [(store["store"], store["models"], store["configured"]) for store in offered["found"]] == [
            ("LM Studio", 1, 0),
            ("Ollama", 1, 0),
        ]
        folders = [store["path"] for store in offered["found"]]
        applied = running.ask("POST", "/api/setup/apply", {"folders": folders})
        assert applied.status == 200, applied.body
        answer = running.chat("gemma3:270m", max_tokens=3)
        assert answer.status == 200, answer.body
        assert answer.json["model"] == "gemma3-270m-q4_k_m"
        again = running.ask("GET", "/api/setup/stores").json
        assert [store["configured"] for store in again["found"]] == [1, 1]
    assert state_of(home) == before


def test_what_ollama_pulls_while_we_run_is_served(tmp_path: Path, gemma: Path) -> None:
    ollama = OllamaFolder(tmp_path / "ollama")
    ollama.pull("first:7b", model=filled(seed=1))
    with instance(tmp_path, "--models-folder", str(ollama.root), run_by=on_one_processor()) as running:
        partial = put(ollama.at(gemma.read_bytes()).with_name("sha256-x-partial"), gemma.read_bytes())
        partial.rename(ollama.at(gemma.read_bytes()))
        ollama.pull("gemma3:270m", model=f"sha256:{ollama.at(gemma.read_bytes()).name.removeprefix('sha256-')}")
        running.line("new in the models folder: gemma3-270m-q4_k_m")
        running.line("configuration: added: gemma3-270m-q4_k_m")
        listed = {row["id"]: row["aliases"] for row in running.ask("GET", "/api/models").json["models"]}
        assert "gemma3:270m" in listed["gemma3-270m-q4_k_m"]


class Typed:
    """A ClaraCore at a terminal."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        pty = pytest.importorskip("pty")
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*on_one_processor(), sys.executable, "-m", "claracore", "--listen", "127.0.0.1:0"],
            cwd=folder,
            env={**os.environ, "XDG_STATE_HOME": str(folder / "state"), **env},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self.text = ""

    def wait_for(self, words: str) -> None:
        """Read until the terminal shows some words."""
        until = time.monotonic() + WAIT_SECONDS
        while words not in self.text:
            ready, _, _ = select.select([self.master], [], [], until - time.monotonic())
            assert ready, self.text
            self.text += os.read(self.master, 65536).decode(errors="replace")

    def enter(self, line: str) -> None:
        os.write(self.master, f"{line}\n".encode())


@contextmanager
def typed(folder: Path, home: Path) -> Iterator[Typed]:
    running = Typed(folder, {"HOME": str(home), "COLUMNS": "200"})
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        os.close(running.master)


def test_a_first_start_at_a_terminal_asks(tmp_path: Path, home: Path) -> None:
    with typed(tmp_path, home) as running:
        running.wait_for("Use them?")
        assert "Found 2 models in LM Studio and Ollama (335 MiB)" in running.text
        running.enter("2")
        running.wait_for("serves 1 model on")
    text = (tmp_path / "config.yaml").read_text()
    assert "gemma3:270m" in text
    assert "smollm2" not in text
    with typed(tmp_path, home) as running:  # it has models now
        running.wait_for("serves 1 model on")
        assert "Use them?" not in running.text


def test_no_at_a_terminal_serves_without_models(tmp_path: Path, home: Path) -> None:
    with typed(tmp_path, home) as running:
        running.wait_for("Use them?")
        running.enter("n")
        running.wait_for("serves 0 models on")
    assert "models:" not in (tmp_path / "config.yaml").read_text()
