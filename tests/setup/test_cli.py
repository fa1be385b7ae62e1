"""What a person sees: `claracore setup`, `fit`, `hardware`."""

from __future__ import annotations

import json
import os
import re
from contextlib import closing
from pathlib import Path

import pytest

from activity.rows import row
from claracore.core.memory.measured import MeasuredCommand
from claracore.core.units import GIB, MIB
from claracore.errors import BadRequest, ClaraCoreError
from claracore.host.activity.database import Activity, activity_path
from claracore.host.footprints.remembered import RememberedCommands
from claracore.host.hardware import ram_speed
from claracore.host.state import default_state_dir
from claracore.host.supervisor.configuration import Sources
from cli.runner import invoke
from fit.llama_cpp import sparse_file
from zoo.families import mmproj
from zoo.synthetic import Shape, shard_images, write

MODELS = Path(__file__).parents[2] / ".models"
GEMMA = MODELS / "gemma/gemma-3-270m-q4_k_m.gguf"


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "160")


def run(*words: str) -> tuple[int, str]:
    result = invoke(words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_setup_dry_run_as_json(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    (tmp_path / "models").mkdir()
    (tmp_path / "models/small.gguf").symlink_to(GEMMA)
    (tmp_path / "models/broken.gguf").write_text("GGU")
    code, text = run("setup", str(tmp_path / "models"), "--config", str(config), "--dry-run", "--json", "--ctx", "4096")
    told = json.loads(text)
    assert code == 0
    assert not config.exists()
    assert (told["written"], told["changed"], told["backup"], told["changes"]) == (False, True, None, None)
    (model,) = told["models"]
    assert (model["context"], model["group"], model["port"], model["placement"]) == (4096, "small-models", 8300, "RAM")
    assert [Path(left["path"]).name for left in told["left_out"]] == ["broken.gguf"]
    assert told["text"].startswith("# yaml-language-server: $schema=")


def test_setup_tells_what_it_did_and_what_changed(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    code, text = run("setup", str(MODELS), "--config", str(config))
    assert code == 0
    assert "2 models configured" in text
    assert "smollm2-135m-instruct-q4_1" in text
    assert "8300" in text
    assert "8301" in text
    assert f"wrote {config}" in text.replace("\n", "")
    config.write_text(re.sub("    name: .*", "    name: Mine", config.read_text(), count=1))
    _, text = run("setup", str(MODELS), "--config", str(config), "--ctx", "2048")
    assert "kept as you wrote it: gemma-3-270m-q4_k_m.name" in text
    assert "+      --ctx-size 2048" in text
    assert "the old file is in" in text
    _, text = run("setup", str(MODELS), "--config", str(config), "--ctx", "2048")
    assert f"nothing to change in {config}" in text.replace("\n", "")


def test_a_folder_without_models_is_told_kindly(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    config = tmp_path / "config.yaml"
    for more in ((), ("--dry-run",)):
        code, text = run("setup", str(tmp_path / "empty"), "--config", str(config), *more)
        assert code == 1
        assert "no model files were found: download some" in text
        assert text.endswith("nothing was written\n")
    (tmp_path / "empty/broken.gguf").write_text("no")
    code, text = run("setup", str(tmp_path / "empty"), "--config", str(config))
    assert code == 1
    assert "none of the files found can be served" in text
    code, text = run("setup", str(tmp_path / "empty"), "--config", str(config), "--json")
    assert code == 1
    assert json.loads(text)["written"] is False
    assert not config.exists()


def test_a_folder_that_is_empty_now_hides_the_models_that_were_in_it(tmp_path: Path) -> None:
    models, config = tmp_path / "models", tmp_path / "config.yaml"
    models.mkdir()
    os.link(GEMMA, models / GEMMA.name)
    run("setup", str(models), "--config", str(config))
    (models / GEMMA.name).unlink()
    code, text = run("setup", str(models), "--config", str(config))
    assert code == 0
    assert "file missing: gemma" in text


ENGINE = """#!/bin/sh
case $1 in
--version) echo "version: 6123 (abcdef0)";;
--help) echo "-m, --model FNAME  model path"; echo "-c, --ctx-size N  context";;
esac
"""


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the engine")
def test_setup_takes_the_engine_that_the_configuration_names(tmp_path: Path) -> None:
    config, server = tmp_path / "config.yaml", tmp_path / "my-server"
    server.write_text(ENGINE)
    server.chmod(0o755)
    config.write_text(f"engine: {server}\n")
    _, text = run("setup", str(MODELS), "--config", str(config), "--dry-run", "--json")
    assert f"{server} --host" in json.loads(text)["text"]
    assert "--jinja" not in json.loads(text)["text"]
    config.write_text(f"engine: {tmp_path}/missing\n")
    _, text = run("setup", str(MODELS), "--config", str(config), "--dry-run")
    assert "the configured engine" in text


def test_fit_shows_the_working_and_one_verdict() -> None:
    code, text = run("fit", str(GEMMA), "--ctx", "8192")
    assert code == 0
    assert "KV cache" in text
    assert "3 layers x 8192 tokens + 15 sliding layers x 2560 tokens" in text
    assert "fits in RAM" in text
    code, text = run("fit", str(GEMMA), "--vram", "2", "--json")
    assert json.loads(text)["verdict"] == "fits on the GPU"


PROGRAM = """#!/bin/sh
if [ "$1" = --help ]; then
    for flag in --fit-print --log-jsonl --ctx-size --parallel; do echo "$flag X   about"; done
    exit
fi
echo '{"type":"fit_memory_breakdown","data":{"rows":[{"kind":"buffer_type","name":"CPU_REPACK","self":MIB}]}}'
echo "Host 0 0 0 "
"""


@pytest.mark.skipif(os.name == "nt", reason="shell scripts stand for the engine")
def test_fit_says_what_llama_cpp_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("llama-server", ENGINE), ("llama-fit-params", PROGRAM.replace("MIB", "5120"))):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    code, text = run("fit", str(GEMMA), "--ctx", "8192", "--ram", "64", "--backend", "cpu")
    assert code == 0
    assert re.search(r"llama.cpp itself says [\d.]+ GiB of RAM \(counted: [\d.]+ (M|G)iB\)", " ".join(text.split()))
    _, text = run("fit", str(GEMMA), "--ctx", "8192", "--ram", "64", "--backend", "cpu", "--json")
    said = json.loads(text)["second_opinion"]
    assert said["outcome"] == "planned anew"
    (row,) = said["devices"]
    assert row["engine"] > 4 * row["counted"]
    code, text = run("fit", str(GEMMA), "--ctx", "8192", "--ram", "4", "--backend", "cpu", "--json")
    assert code == 1
    assert json.loads(text)["second_opinion"]["outcome"] == "planned anew"


def test_without_that_program_fit_says_nothing_of_it() -> None:
    _, text = run("fit", str(GEMMA), "--ctx", "8192", "--json")
    assert json.loads(text)["second_opinion"] is None


def test_fit_shows_the_choices_and_marks_what_setup_writes(tmp_path: Path) -> None:
    model = sparse_file("llama-3.3-70b-Q4_K_M", tmp_path / "llama-3.3-70b-Q4_K_M.gguf")
    words = ("fit", str(model), "--choices", "--vram", "24", "--ram", "128", "--backend", "cuda")
    code, text = run(*words)
    assert code == 0
    table = [line for line in text.splitlines() if " layers in RAM" in line]
    assert len(table) >= 2
    assert [line[0] for line in table].count("*") == 1
    assert "GPU 0" in text
    assert "x slower)" in text
    _, text = run(*words, "--json")
    found = json.loads(text)["choices"]
    assert [choice["recommended"] for choice in found].count(True) == 1
    assert found[0]["times_slower"] == 1.0
    assert found[-1]["context"] == 131072
    for choice in found:
        layers = choice["flags"].index("--n-gpu-layers")
        assert choice["flags"][layers + 1] == str(choice["settings"]["gpu_layers"])
        assert choice["flags"][:2] == ["--ctx-size", str(choice["context"])]


def test_fit_says_of_a_light_model_what_setup_writes(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    model = sparse_file("gemma-3-4b-Q4_K_M", tmp_path / "models/gemma-3-4b-Q4_K_M.gguf")
    machine = ("--vram", "24", "--ram", "64", "--backend", "cuda")
    _, text = run("setup", str(model.parent), "--config", str(tmp_path / "c.yaml"), "--dry-run", "--json", *machine)
    written = json.loads(text)["models"][0]["context"]
    _, text = run("fit", str(model), *machine, "--json")
    assert json.loads(text)["settings"]["context"] == written
    _, text = run("fit", str(model), "--choices", *machine, "--json")
    found = {choice["context"]: choice["recommended"] for choice in json.loads(text)["choices"]}
    assert found == {written: True, 131072: False}


@pytest.mark.parametrize("name", ["qwen3-32b-Q4_K_M", "bge-m3-Q8_0", "bge-reranker-v2-m3-Q8_0"])
def test_fit_counts_the_helpers_beside_a_model_as_setup_does(tmp_path: Path, name: str) -> None:
    (tmp_path / "models").mkdir()
    helpers = ["bge-m3-567m-q8_0", "bge-reranker-v2-m3-568m-q8_0"]
    for one in ("qwen3-32b-Q4_K_M", "bge-m3-Q8_0", "bge-reranker-v2-m3-Q8_0"):
        sparse_file(one, tmp_path / f"models/{one}.gguf")
    machine = ("--vram", "24", "--ram", "64", "--backend", "cuda")
    folder = str(tmp_path / "models")
    _, text = run("setup", folder, "--config", str(tmp_path / "c.yaml"), "--dry-run", "--json", *machine)
    written = {model["id"]: model["context"] for model in json.loads(text)["models"]}
    _, text = run("fit", f"{folder}/{name}.gguf", *machine, "--json")
    context = written[json.loads(text)["id"]]
    assert json.loads(text)["settings"]["context"] == context
    assert json.loads(text)["helpers"] == (helpers if name.startswith("qwen3") else [])
    _, text = run("fit", f"{folder}/{name}.gguf", "--choices", *machine)
    marked = next(line for line in text.splitlines() if line.startswith("*"))
    assert f" {context} " in marked
    assert f"* is what `claracore setup {folder}` writes" in text.replace("\n", "")
    assert ("beside bge-m3-567m-q8_0" in text) is name.startswith("qwen3")


def test_alone_a_model_has_all_memory(tmp_path: Path) -> None:
    machine = ("--vram", "24", "--ram", "64", "--backend", "cuda", "--json")
    model = sparse_file("qwen3-32b-Q4_K_M", tmp_path / "qwen3-32b-Q4_K_M.gguf")
    _, alone = run("fit", str(model), *machine)
    sparse_file("bge-m3-Q8_0", tmp_path / "bge-m3-Q8_0.gguf")
    _, beside = run("fit", str(model), *machine)
    assert json.loads(alone)["settings"]["context"] > json.loads(beside)["settings"]["context"]


def test_there_is_no_choice_of_what_does_not_fit(tmp_path: Path) -> None:
    model = sparse_file("llama-3.3-70b-Q4_K_M", tmp_path / "llama-3.3-70b-Q4_K_M.gguf")
    code, text = run("fit", str(model), "--choices", "--ram", "8", "--backend", "cpu")
    assert code == 1
    assert "does not fit" in text


def test_fit_reads_a_model_among_its_neighbours(tmp_path: Path) -> None:
    shape = Shape("llama", 2, 64, 2, 2, 128, 96, 512, "Q8_0")
    for number, image in enumerate(shard_images(shape.metadata(), shape.tensors(), 2), start=1):
        write(tmp_path / f"Tiny-7B-{number:05d}-of-00002.GGUF", image)
    write(tmp_path / "MMPROJ-tiny-7b.Gguf", mmproj(64))
    code, text = run("fit", str(tmp_path / "Tiny-7B-00002-of-00002.GGUF"), "--json")
    assert code == 0
    assert json.loads(text)["id"] == "tiny-7b-q8_0"
    assert "vision projector" in [row["what"] for row in json.loads(text)["rows"]]
    with pytest.raises(BadRequest, match=r"a projector .* served with tiny-7b-q8_0: name the model's file"):
        run("fit", str(tmp_path / "MMPROJ-tiny-7b.Gguf"))


def test_tables_fit_a_terminal_of_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, text = run("setup", str(MODELS), "--config", str(tmp_path / "config.yaml"), "--dry-run")
    (line,) = [line for line in text.splitlines() if line.startswith("smollm2-135m-instruct-q4_1")]
    assert len(line) <= 80
    assert line.split()[1:4] == ["chat", "Q4_1", "94"]


def test_fit_says_what_is_lacking_with_exit_code_1() -> None:
    code, text = run("fit", str(GEMMA), "--ram", "0.2", "--vram", "0")
    assert code == 1
    assert "does not fit: needs" in text


def test_fit_of_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_text("nothing")
    with pytest.raises(BadRequest, match="not a GGUF file in spite of its name"):
        run("fit", str(tmp_path / "x.gguf"))
    (tmp_path / "notes").write_text("nothing")
    with pytest.raises(BadRequest, match=r"notes cannot be served: not a GGUF file$"):
        run("fit", str(tmp_path / "notes"))
    with pytest.raises(ClaraCoreError, match=r"^/.*/gone\.gguf cannot be used: No such file"):
        run("fit", str(tmp_path / "gone.gguf"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--vram", "nan"),
        ("--vram", "inf"),
        ("--vram", "1e308"),
        ("--ram", "-5"),
        ("--ctx", "0"),
        ("--ctx", "-5"),
        ("--ctx", "99999999999999999999"),
        ("--parallel", "0"),
    ],
)
def test_numbers_that_no_machine_has_are_told_and_plan_nothing(
    option: str, value: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    for words in (("setup", str(MODELS), "--config", str(config)), ("fit", str(GEMMA))):
        result = invoke((*words, f"{option}={value}"))
        assert result.exit_code == 2
        assert f"argument {option}: {value} is not from " in result.output + capfd.readouterr().err
    assert not config.exists()


def test_hardware() -> None:
    code, text = run("hardware")
    assert code == 0
    assert "processor" in text
    told = json.loads(run("hardware", "--json", "--vram", "24", "--backend", "cuda", "--ram", "64")[1])
    assert told["usable"]["gpu_bytes"] == [23 * 1024**3]
    assert told["memory"]["total_bytes"] == 64 * 1024**3


def test_fit_shows_what_was_expected_and_what_was_taken(tmp_path: Path) -> None:
    file = str(GEMMA.absolute())
    _, text = run("fit", file, "--json", "--ctx", "4096", "--backend", "cpu")
    before = json.loads(text)
    assert before["last_load"] is None
    measured = MeasuredCommand("gemma", file, ({"ram": 2 * GIB},), 1.0, {"ram": GIB}, "cpu", 4096)
    RememberedCommands(tmp_path / "state/claracore").add("key", measured, same_run=False)
    _, text = run("fit", file, "--json", "--ctx", "4096", "--backend", "cpu")
    after = json.loads(text)
    (row,) = after["last_load"]["devices"]
    assert (row["device"], row["taken"]) == ("ram", 2 * GIB)
    more = after["total_bytes"] - before["total_bytes"]
    assert more == pytest.approx(row["taken"] - row["expected"], abs=MIB)
    _, text = run("fit", file, "--ctx", "4096", "--backend", "cpu")
    assert "more than counted" in text
    assert "with a context of 4096: RAM 1.1 GiB expected, 2.0 GiB taken" in text


def test_speeds_are_predicted_until_they_were_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ram_speed, "measured_bandwidth", lambda _threads: 30e9)
    config = tmp_path / "config.yaml"
    code, text = run("setup", str(MODELS), "--config", str(config), "--json")
    assert code == 0
    predicted = {model["id"]: model["speed"] for model in json.loads(text)["models"]}
    gemma, smollm2 = (predicted[name] for name in ("gemma-3-270m-q4_k_m", "smollm2-135m-instruct-q4_1"))
    assert (gemma["source"], gemma["answers"]) == ("predicted", 0)
    assert gemma["writing"] < smollm2["writing"]
    path = activity_path(None, Sources(config).key, default_state_dir())
    with closing(Activity(path)) as activity:
        for number in (1, 2, 3):
            activity.add(
                row(
                    id=number, model="gemma-3-270m-q4_k_m", completion_tokens=50, tokens_per_second=gemma["writing"] / 2
                )
            )
    _, text = run("setup", str(MODELS), "--config", str(config), "--json")
    after = {model["id"]: model["speed"] for model in json.loads(text)["models"]}
    assert after["gemma-3-270m-q4_k_m"] == gemma | {
        "writing": gemma["writing"] / 2, "reading": None, "source": "measured", "answers": 3
    }  # fmt: skip
    assert after["smollm2-135m-instruct-q4_1"]["writing"] == pytest.approx(smollm2["writing"] / 2)
    _, text = run("setup", str(MODELS), "--config", str(config))
    assert f" {round(gemma['writing'] / 2)} " in text.replace("\n", " ")
    assert f"~{round(smollm2['writing'] / 2)}" in text


def test_fit_says_about_how_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ram_speed, "measured_bandwidth", lambda _threads: 30e9)
    _, text = run("fit", str(GEMMA))
    assert re.search(r"writes about \d+ and reads about \d+ tokens/s \(predicted\)", text)
    _, text = run("fit", str(GEMMA), "--json")
    assert json.loads(text)["speed"]["source"] == "predicted"
