"""`claracore --models-folder DIR`, from files to answers, with real models."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.instance import configured, instance, on_one_processor

HEADER_BYTES = 24
"""Magic, version, number of tensors, number of keys."""


def embedder(source: Path, target: Path) -> None:
    """Copy a llama model that says of itself that its vectors are to be averaged, as embedding models do.

    The new keys take 64 bytes, so that the tensors behind the header stay aligned.
    """
    pooling, padding = b"llama.pooling_type", b"test.padding.."
    keys = b"".join(
        struct.pack("<Q", len(key)) + key + struct.pack("<II", 4, value) for key, value in ((pooling, 1), (padding, 0))
    )
    assert len(keys) == 64
    with source.open("rb") as file, target.open("wb") as copy:
        magic, version, tensors, count = struct.unpack("<4sIQQ", file.read(HEADER_BYTES))
        copy.write(struct.pack("<4sIQQ", magic, version, tensors, count + 2) + keys)
        shutil.copyfileobj(file, copy)


def test_two_chat_models_and_one_that_embeds(tmp_path: Path, smollm2: Path, gemma: Path) -> None:
    models = tmp_path / "my models"
    models.mkdir()
    (models / smollm2.name).symlink_to(smollm2)
    (models / gemma.name).symlink_to(gemma)
    embedder(smollm2, models / "SmolLM2-135M-Embedding-Q4_1.gguf")
    with instance(
        tmp_path, "--models-folder", str(models), "--parallel", "1", "--ram", "16", run_by=on_one_processor()
    ) as running:
        kinds = {row["id"]: row for row in running.ask("GET", "/api/models").json["models"]}
        assert sorted(kinds) == ["gemma-3-270m-q4_k_m", "smollm2-135m-embedding-q4_1", "smollm2-135m-instruct-q4_1"]
        for name in ("smollm2-135m-instruct-q4_1", "gemma-3-270m-q4_k_m"):
            answer = running.chat(name, max_tokens=4, temperature=0)
            assert answer.status == 200, answer.body
            assert answer.json["choices"][0]["message"]["content"]
            assert answer.json["usage"]["completion_tokens"] <= 4
        question = {"model": "smollm2-135m-embedding-q4_1", "input": ["one cat", "two cats", "tax law"]}
        answer = running.ask("POST", "/v1/embeddings", question)
        assert answer.status == 200, answer.body
        vectors = [row["embedding"] for row in answer.json["data"]]
        assert [len(vector) for vector in vectors] == [576] * 3
        alike, unlike = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])
        assert alike > unlike
        # All three fit at the same time, so all three stay.
        assert sorted(running.running()) == sorted(kinds)
        assert all(row["port"] >= 8300 for row in running.running().values()), "they are light"
    text = (tmp_path / "config.yaml").read_text()
    assert text.count("--parallel 1") == 3
    assert "16 GiB of RAM" in text


@pytest.mark.parametrize("what", ["nothing", "only broken files", "a loop of symlinks", "a locked folder"])
def test_without_models_it_starts_says_so_and_serves_what_appears(tmp_path: Path, smollm2: Path, what: str) -> None:
    models = tmp_path / "models"
    models.mkdir()
    match what:
        case "only broken files":
            (models / "page.gguf").write_text("<html>404</html>")
            (models / "half.gguf").write_bytes(smollm2.read_bytes()[:5000])
        case "a loop of symlinks":
            (models / "up").symlink_to("..")
            (models / "self.gguf").symlink_to("self.gguf")
        case "a locked folder":
            (models / "locked").mkdir(mode=0o000)
    with instance(tmp_path, "--models-folder", str(models), run_by=on_one_processor()) as running:
        assert running.ask("GET", "/api/setup/browse").json["followed"] == [str(models)]
        assert running.line("no models yet")
        assert running.ask("GET", "/v1/models").json["data"] == []
        answer = running.chat("anything")
        assert answer.status == 404
        shutil.copy(smollm2, models / "Late-135M.Q4_1.gguf")
        running.line("added: late-135m-q4_1")
        assert [row["id"] for row in running.ask("GET", "/v1/models").json["data"]] == ["late-135m-q4_1"]
        output = "\n".join(running.lines)
    assert "Traceback" not in output
    if what == "only broken files":
        assert "not a GGUF file in spite of its name" in output.replace("│", " ")


def test_the_second_start_changes_nothing(tmp_path: Path, smollm2: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / smollm2.name).symlink_to(smollm2)
    for _ in range(2):
        with instance(tmp_path, "--models-folder", str(models), run_by=on_one_processor()) as running:
            assert running.ask("GET", "/health").status == 200
        text = (tmp_path / "config.yaml").read_text()
    assert list(tmp_path.glob("config.yaml.backup.*")) == []
    assert "1 models configured" not in "\n".join(running.lines)
    assert text.count("smollm2-135m-instruct-q4_1:") == 1


def test_a_scan_tells_how_far_it_is(tmp_path: Path, smollm2: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / smollm2.name).symlink_to(smollm2)
    with instance(tmp_path, "--config", str(configured(tmp_path, "models: {}\n"))) as running:
        connection = running.connect()
        connection.request("GET", "/api/stream?topics=setup")
        stream = connection.getresponse()
        wish = {"folders": [str(models)], "options": {"parallel": 2, "ram_gb": 8, "realtime": True}}
        found = running.ask("POST", "/api/setup/scan", wish)
        assert found.status == 200, found.body
        assert [model["id"] for model in found.json["models"]] == ["smollm2-135m-instruct-q4_1"]
        assert "--parallel 2" in found.json["yaml"]
        told = next(line for line in stream if line.startswith(b"data: ") and b'"done"' in line)
        assert json.loads(told.removeprefix(b"data: ")) == {"done": 1, "total": 1, "file": smollm2.name}
        connection.close()
        written = running.ask("POST", "/api/setup/apply", {**wish, "hash": found.json["hash"]})
        assert written.status == 200, written.body
        assert written.json["changes"]["added"] == ["smollm2-135m-instruct-q4_1"]


def test_a_bare_start_writes_where_people_expect_and_says_so(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path / "cfg"), "XDG_DATA_HOME": str(tmp_path / "data")}
    own, models = tmp_path / "cfg/claracore/config.yaml", tmp_path / "data/claracore/models"
    with instance(tmp_path, env=env) as running:
        assert running.line("configuration: ") == f"configuration: {own}"
        assert running.line("downloads go to ") == f"downloads go to {models}"
        assert running.ask("GET", "/api/downloads").json["folder"] == str(models)
    assert own.is_file()
    assert not (tmp_path / "config.yaml").exists()

    (tmp_path / "config.yaml").write_text("startPort: 8100\n")
    with instance(tmp_path, env=env) as running:
        assert running.line("configuration: ") == f"configuration: {tmp_path / 'config.yaml'}"
        assert running.ask("GET", "/api/downloads").json["folder"] == str(tmp_path / "downloads")


def test_without_a_folder_of_its_own_it_begins_where_it_stands_and_says_why(tmp_path: Path) -> None:
    with instance(tmp_path, env={"XDG_CONFIG_HOME": "/dev/null/none"}) as running:
        line = running.line("configuration: ")
        assert line.startswith(f"configuration: {tmp_path / 'config.yaml'} (not in your configuration folder: ")
        assert "/dev/null is no folder" in line
    assert (tmp_path / "config.yaml").is_file()


def test_where_nothing_can_be_written_the_ways_out_are_told(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CONFIG_HOME": "/dev/null/none", "XDG_STATE_HOME": str(tmp_path)}
    words = [sys.executable, "-m", "claracore", "--listen", "127.0.0.1:0"]
    done = subprocess.run(words, cwd="/proc", env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "nowhere to keep a configuration" in done.stderr
    assert "--config FILE" in done.stderr
    assert done.stderr.count("\n") == 1
