"""What is remembered of models that start with less, by several instances that share a state folder."""

from __future__ import annotations

from pathlib import Path

from claracore.core.config.load import load
from claracore.core.config.model import ModelConfig
from claracore.core.fit.step_down import Lesser
from claracore.host.footprints.lesser import LesserCommands, lessened


def model(model_id: str) -> ModelConfig:
    config = load(f"models: {{{model_id}: {{cmd: 'x --port ${{PORT}} -c 9'}}}}", env={}).config
    assert config is not None
    return config.models[model_id]


def use_less(lessers: LesserCommands, model_id: str) -> None:
    own = model(model_id)
    lessers.offer(lessened(own, f"key of {model_id}", Lesser("x -c 4", {"context": 4}, "context 4", {}), {"gpu0": 9}))
    lessers.lessen(model_id)
    lessers.worked(model_id)


def is_recalled(folder: Path, model_id: str) -> bool:
    return LesserCommands(folder).recall(model(model_id), f"key of {model_id}").cmd == "x -c 4"


def test_what_one_instance_remembers_another_does_not_forget(tmp_path: Path) -> None:
    one, other = LesserCommands(tmp_path), LesserCommands(tmp_path)
    use_less(one, "a")
    use_less(other, "b")
    assert (is_recalled(tmp_path, "a"), is_recalled(tmp_path, "b")) == (True, True)
    one.drop("a")
    assert (is_recalled(tmp_path, "a"), is_recalled(tmp_path, "b")) == (False, True)
