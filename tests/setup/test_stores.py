"""`claracore setup` without folders: the models of other programs are listed, asked for, taken where they are."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from claracore.cli import stores
from claracore.cli.stores import ask, offer_stores
from claracore.errors import BadRequest
from claracore.host.library.cache import ReadingCache
from claracore.host.library.store_places import Whereabouts
from claracore.host.library.stores import StoreFinder
from cli.runner import Result, invoke
from zoo.families import LORA, mmproj
from zoo.stores import HubRepository, OllamaFolder, filled, put
from zoo.synthetic import TensorSpec, build


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, a system without stores and no disks beside it; we are in an empty folder."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    for variable in [name for name in os.environ if name.startswith(("XDG_", "HF_", "OLLAMA", "LLAMA_", "HUGGING"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("psutil.disk_partitions", list)
    around = Whereabouts(home, os.environ, root=tmp_path / "root")
    monkeypatch.setattr("claracore.host.library.stores.user_whereabouts", lambda _: around)
    return home


@pytest.fixture
def studio(home: Path) -> Path:
    folder = home / ".lmstudio/models"
    put(folder / "org/A-7B-GGUF/A-7B-Q8_0.gguf", filled(seed=1))
    put(folder / "org/B-7B-GGUF/B-7B-Q8_0.gguf", filled(seed=2))
    return folder


@pytest.fixture
def ollama(home: Path) -> OllamaFolder:
    folder = OllamaFolder(home / ".ollama/models")
    folder.pull("c:7b", model=filled(seed=3))
    return folder


def run(*words: str) -> Result:
    result = invoke(["setup", "--config", "config.yaml", *words])
    if result.exception is not None:
        raise result.exception
    return result


def ids(text: str) -> list[str]:
    return [model["id"] for model in json.loads(text)["models"]]


def test_without_a_terminal_they_are_listed_and_nothing_is_written(studio: Path, ollama: OllamaFolder) -> None:
    result = run()
    assert result.exit_code == 0
    assert "Found 3 models in LM Studio and Ollama (" in result.output
    assert str(studio) in result.output
    assert str(ollama.root) in result.output
    assert "`claracore setup --yes`" in result.output
    assert list(Path().iterdir()) == []


def test_json_without_folders_is_what_was_found(home: Path, studio: Path, ollama: OllamaFolder) -> None:
    size = len(filled())
    before = sorted(home.rglob("*"))
    result = run("--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["found"] == [
        {"store": "LM Studio", "path": str(studio), "models": 2, "bytes": 2 * size},
        {"store": "Ollama", "path": str(ollama.root), "models": 1, "bytes": size},
    ]
    assert sorted(home.rglob("*")) == before
    assert list(Path().iterdir()) == []


def test_json_in_a_home_without_models() -> None:
    result = run("--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"found": [], "unusable": [], "left_out": []})


def test_nothing_found_says_where_was_looked() -> None:
    result = run()
    assert result.exit_code == 0
    assert "no models were found where LM Studio, Ollama" in result.output
    with pytest.raises(BadRequest, match="no models were found where LM Studio"):
        run("--yes")


def test_yes_takes_all_where_they_are_and_twice_changes_nothing(studio: Path, ollama: OllamaFolder) -> None:
    before = {path: path.stat() for folder in (studio, ollama.root) for path in folder.rglob("*")}
    told = json.loads(run("--yes", "--json").stdout)
    assert [model["id"] for model in told["models"]] == ["a-7b-q8_0", "b-7b-q8_0", "c-7b-q8_0"]
    assert told["models"][2]["path"] == str(ollama.at(filled(seed=3)))
    assert [store["store"] for store in told["found"]] == ["LM Studio", "Ollama"]
    text = Path("config.yaml").read_text()
    assert 'aliases: ["c-7b", "c:7b"]' in text
    assert "nothing to change in config.yaml" in run("--yes").output
    assert Path("config.yaml").read_text() == text
    after = {path: path.stat() for folder in (studio, ollama.root) for path in folder.rglob("*")}
    assert {path: (status.st_mtime_ns, status.st_ino) for path, status in before.items()} == {
        path: (status.st_mtime_ns, status.st_ino) for path, status in after.items()
    }


@pytest.mark.usefixtures("studio")
def test_dry_run_writes_nothing() -> None:
    assert "would write config.yaml" in run("--yes", "--dry-run").output
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("name", ["ollama", "Ollama", "OLLAMA"])
@pytest.mark.usefixtures("studio", "ollama")
def test_those_of_one_program(name: str) -> None:
    assert ids(run("--store", name, "--json").stdout) == ["c-7b-q8_0"]


@pytest.mark.usefixtures("studio", "ollama")
def test_those_of_some_programs_and_a_folder(tmp_path: Path) -> None:
    put(tmp_path / "mine/D-7B.gguf", filled(seed=4))
    words = ["--store", "lm-studio", str(tmp_path / "mine"), "--json"]
    assert ids(run(*words).stdout) == ["a-7b-q8_0", "b-7b-q8_0", "d-7b-q8_0"]
    with pytest.raises(BadRequest, match="--store jan: it keeps no models here that were found; LM Studio and Ollama"):
        run("--store", "jan")


@pytest.mark.usefixtures("studio")
def test_folders_that_are_named_are_all_that_is_looked_at(tmp_path: Path) -> None:
    put(tmp_path / "mine/D-7B.gguf", filled(seed=4))
    assert ids(run(str(tmp_path / "mine"), "--json").stdout) == ["d-7b-q8_0"]


class Terminal:
    """stdin and stdout of somebody who types."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0
        monkeypatch.setattr(stores, "on_terminal", lambda: True)
        monkeypatch.setattr("builtins.input", self.answer)

    def answer(self) -> str:
        self.asked += 1
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)


BOTH = ["LM Studio", "Ollama"]


@pytest.mark.parametrize(
    ("answer", "chosen"), [("", BOTH), ("Y", BOTH), ("2", ["Ollama"]), ("2, 1", BOTH), ("n", []), ("no", [])]
)
@pytest.mark.usefixtures("studio", "ollama")
def test_what_is_asked_on_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str, chosen: list[str]) -> None:
    Terminal(monkeypatch, answer)
    found = StoreFinder().find(ReadingCache())
    assert [store.store for store in ask(found)] == chosen


@pytest.mark.usefixtures("studio", "ollama")
def test_an_answer_that_cannot_be_understood_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch, "perhaps", "3", "0", "1")
    result = run()
    assert terminal.asked == 4
    assert "2 models configured" in result.output
    assert "numbers go from 1 to 2" in result.output


@pytest.mark.usefixtures("studio")
def test_no_answer_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    Terminal(monkeypatch)
    assert "nothing was written" in run().output
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("studio")
def test_a_service_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda: pytest.fail("asked"))
    assert offer_stores() == []
    with patch.object(sys, "stdin", None):
        assert offer_stores() == []


def test_a_terminal_with_nobody_at_it_is_not_waited_for(studio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docker run --tty --detach` makes one."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    monkeypatch.setattr(stores, "on_terminal", lambda: True)
    monkeypatch.setattr(stores, "ANSWER_SECONDS", 0.05)
    with open(slave) as nobody, patch.object(sys, "stdin", nobody):  # noqa: PTH123 - a descriptor
        assert offer_stores() == []
        os.write(master, b"\n")
        monkeypatch.setattr(stores, "ANSWER_SECONDS", 60)
        assert offer_stores() == [studio]
    os.close(master)


def test_projectors_and_adapters_of_ollamas_come_into_the_command(home: Path) -> None:
    ollama = OllamaFolder(home / ".ollama/models")
    eyes, adapter = filled(mmproj(64), seed=8), filled(build(LORA, [TensorSpec("a.lora_a", (64, 8))]), seed=9)
    ollama.pull("see:7b", model=filled(seed=1), projector=eyes)
    ollama.pull("pirate:7b", model=filled(seed=2), adapter=adapter)
    run("--yes")
    text = Path("config.yaml").read_text()
    assert f'--mmproj "{ollama.at(eyes)}"' in text
    assert f"--lora {ollama.at(adapter)}" in text
    assert run("--yes").output.rstrip().endswith("nothing to change in config.yaml")


def test_fit_reads_a_blob_by_the_name_that_its_store_gives_it(ollama: OllamaFolder) -> None:
    blob = ollama.at(filled(seed=3))
    told = json.loads(invoke(["fit", str(blob), "--json"]).stdout)
    assert told["id"] == "c-7b-q8_0"


def test_a_pull_that_replaces_the_bytes_keeps_the_entry(ollama: OllamaFolder) -> None:
    """`ollama pull` of a newer version: the manifest names other bytes, the old ones are gone."""
    run("--yes")
    text = Path("config.yaml").read_text()
    Path("config.yaml").write_text(text.replace("c-7b-q8_0", "mine"))
    ollama.at(filled(seed=3)).unlink()
    ollama.pull("c:7b", model=filled(seed=5))
    told = json.loads(run("--yes", "--json").stdout)
    assert [model["id"] for model in told["models"]] == ["mine"]
    assert told["changes"]["added"] == told["changes"]["vanished"] == []
    assert str(ollama.at(filled(seed=5))) in Path("config.yaml").read_text()


def test_another_revision_of_the_hubs_cache_keeps_the_entry(home: Path) -> None:
    repository = HubRepository.of(home / ".cache/huggingface/hub", "org/A-7B-GGUF")
    old = repository.fetch("A-7B-Q8_0.gguf", filled(seed=1), "0" * 40)
    run("--yes")
    new = repository.fetch("A-7B-Q8_0.gguf", filled(seed=2), "f" * 40)
    for _ in range(2):
        told = json.loads(run("--yes", "--json").stdout)
        assert [(model["id"], model["path"]) for model in told["models"]] == [("a-7b-q8_0", str(new))]
        assert told["changes"]["added"] == []
        old.unlink(missing_ok=True)


def test_an_entry_for_a_copy_is_the_models(home: Path, ollama: OllamaFolder) -> None:
    run("--yes")
    put(home / ".lmstudio/models/org/C-7B-GGUF/C-7B-Q8_0.gguf", filled(seed=3))
    told = json.loads(run("--yes", "--json").stdout)
    assert [model["id"] for model in told["models"]] == ["c-7b-q8_0"]
    assert told["changes"]["added"] == []
    assert told["models"][0]["path"] == str(ollama.at(filled(seed=3)))
