"""A tuning in the configuration's text, and what a later set-up makes of it."""

from __future__ import annotations

import pytest

from claracore.core.config.edit import EditRefused
from claracore.core.config.load import load
from claracore.core.fit.document import document
from claracore.core.fit.merge import Present, merge
from claracore.core.fit.model_paths import model_paths
from claracore.core.tune.saved import with_tuning
from claracore.core.tune.tuning import Tuning, tuning_of
from claracore.errors import ModelNotFound
from fit.test_merge import machine, setup_of

NOTE = "reads 120 and writes 15.2 tokens/s (before: reads 100 and writes 12.1 tokens/s)"


def saved(text: str, model_id: str, tuning: Tuning) -> str:
    return with_tuning(text, model_id, tuning, NOTE, switch_has_value=True)


def commands(text: str) -> dict[str, str]:
    config = load(text, env={}).config
    assert config is not None
    return {name: model.cmd for name, model in config.models.items()}


def test_only_the_lines_of_the_tuning_change() -> None:
    text = document(setup_of(["smollm2", "gemma"]))
    tuned = saved(text, "gemma", Tuning(threads=3))
    gone = [line for line in text.splitlines() if line not in tuned.splitlines()]
    new = [line for line in tuned.splitlines() if line not in text.splitlines()]
    assert (gone, new) == ([], [f"      # tuned: {NOTE}", "      --threads 3"])
    assert "--threads 3" in commands(tuned)["gemma"]


def test_a_later_set_up_keeps_it_as_a_persons() -> None:
    tuned = saved(document(setup_of(["smollm2", "gemma"])), "gemma", Tuning(threads=3))
    paths = model_paths(commands(tuned))
    later = setup_of(["smollm2", "gemma"], machine(cores=4))
    result = merge(tuned, later, Present(paths, frozenset()), today="2026-11-23", listen_port=5800)
    assert result.kept == ["gemma.cmd"]
    assert result.refreshed == ["smollm2.cmd"]
    assert "--threads 3" in commands(result.text)["gemma"]
    assert f"# tuned: {NOTE}" in result.text


def test_what_a_macro_says_is_overridden_by_what_comes_last() -> None:
    text = "macros:\n  engine: llama-server -t 8\nmodels:\n  a:\n    cmd: ${engine} -m x.gguf --port ${PORT} # mine\n"
    tuned = saved(text, "a", Tuning(threads=3))
    assert commands(tuned)["a"].split()[-2:] == ["--threads", "3"]
    assert "# mine" in tuned
    assert "engine: llama-server -t 8\n" in tuned


@pytest.mark.parametrize("text", ["models: {}\n", "", "models:\n  b: {cmd: x}\n"])
def test_a_model_that_is_not_there(text: str) -> None:
    with pytest.raises(ModelNotFound):
        saved(text, "a", Tuning(threads=3))


def test_a_command_that_is_not_written_here_is_refused() -> None:
    with pytest.raises(EditRefused):
        saved("models:\n  a: {proxy: 'http://127.0.0.1:9'}\n", "a", Tuning(threads=3))


@pytest.mark.parametrize(
    "settings", [{"threads": 0}, {"threads": True}, {"cpu_experts": -1}, {"nothing": 1}, {"flash_attention": 1}]
)
def test_settings_that_are_none(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        tuning_of(settings)


def test_settings_by_name() -> None:
    tuning = Tuning(threads=2, micro_batch=256, cpu_experts=0, flash_attention=False)
    assert tuning_of(tuning.changes) == tuning
    assert tuning.words == "2 threads, prompts by 256 tokens, no experts in RAM, flash attention off"
