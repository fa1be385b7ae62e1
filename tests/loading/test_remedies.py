"""What is offered to a person whose model did not start, and what each changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from claracore.core.config.load import load
from claracore.core.config.model import ModelConfig
from claracore.core.fit.step_down import Lesser
from claracore.core.loading.failure_kinds import FailureKind
from claracore.core.loading.remedies import FileBeside, Remedy, changed_command, less_memory, of_kind, other_files
from claracore.core.memory.allocation_errors import AllocationError
from claracore.core.memory.engine_log import EngineBuffers
from claracore.errors import Conflict, Explained, ModelFailed
from claracore.host.setup.remedies import remedies_of, with_remedy
from claracore.host.supervisor.ran_out import RanOutOfMemory, SeenShortage, StartShown

Q8, Q4, Q2 = (FileBeside(f"/m/Qwen3-8B-{name}.gguf", size) for name, size in (("Q8_0", 9), ("Q4_K_M", 5), ("Q2_K", 3)))
PHI = FileBeside("/m/phi-4-Q4_K_M.gguf", 1)


def labels(remedies: object) -> list[str]:
    return [one.label for one in remedies]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("ways", "context", "wanted"),
    [
        ([({"context": 4096}, "4096 tokens of context instead of 8192")], 8192, ["Context of 4096 tokens"]),
        (
            [({"context": 4096}, "a"), ({"context": 8192, "gpu_layers": 12}, "12 of 33 layers on the GPU")],
            8192,
            ["Context of 4096 tokens", "Move a part to RAM"],
        ),
        ([], 10000, ["Context of 4864 tokens"]),
        ([], None, ["Context of 8192 tokens"]),
        ([], 1500, []),
    ],
    ids=["counted", "to-ram", "half", "as-the-model-has", "nothing-left"],
)
def test_less_memory(ways: list[tuple[Mapping[str, int], str]], context: int | None, wanted: list[str]) -> None:
    assert labels(less_memory(ways, context)) == wanted


def test_other_quantizations_lie_beside() -> None:
    beside = [Q8, Q4, Q2, PHI]
    assert labels(other_files(Q8.path, beside, smaller=True)) == ["Use Q4_K_M", "Use Q2_K"]
    assert labels(other_files(Q4.path, beside, smaller=True)) == ["Use Q2_K"]
    assert labels(other_files("/m/Qwen3-8B-Q5_K_M.gguf", beside, smaller=True)) == ["Use Q8_0", "Use Q4_K_M"]
    assert labels(other_files(Q4.path, beside, smaller=False)) == ["Use Q8_0", "Use Q2_K"]
    assert labels(other_files(PHI.path, beside, smaller=False)) == []
    (small,) = other_files(Q4.path, beside, smaller=True)
    assert small.file == (Q4.path, Q2.path)


@pytest.mark.parametrize(
    ("kind", "evidence", "wanted"),
    [
        (FailureKind.FLAG, "error: invalid argument: --no-mmap", ["Take --no-mmap out"]),
        (FailureKind.VALUE, 'error while handling argument "--ctx-size": stoi', ["Take --ctx-size out"]),
        (FailureKind.TIME, "GET /health on 127.0.0.1:1 answered 503", ["Give it 240 s"]),
        (FailureKind.CUT, "--flag", []),
        (FailureKind.FLAG, "error: invalid argument: 7", []),
    ],
)
def test_what_follows_from_the_kind(kind: FailureKind, evidence: str, wanted: list[str]) -> None:
    assert labels(of_kind(kind, evidence, 120.0)) == wanted


def without(flag: str) -> Remedy:
    return Remedy("flag", "", "", without_flag=flag)


@pytest.mark.parametrize(
    ("cmd", "remedy", "wanted"),
    [
        ("s -m x --no-mmap --ctx-size 5", without("--no-mmap"), "s -m x --ctx-size 5"),
        ("s --device CUDA0 -m x", without("--device"), "s -m x"),
        ("s --device=CUDA0 -m x", without("--device"), "s -m x"),
        ('s --name "a b" -m x', without("--name"), "s -m x"),
        ("s\n  --fast\n  -m x\n", without("--fast"), "s\n  \n  -m x\n"),
        ("s --fast-more --fast", without("--fast"), "s --fast-more "),
        ("s -m x", Remedy("context", "", "", {"context": 512}), "s -m x\n--ctx-size 512\n"),
        ("s -m '/m/a b.gguf'", Remedy("f", "", "", file=("/m/a b.gguf", "/m/c.gguf")), "s -m '/m/c.gguf'"),
    ],
)
def test_a_command_with_a_remedy(cmd: str, remedy: Remedy, wanted: str) -> None:
    assert changed_command(cmd, remedy) == wanted


def test_what_stands_in_a_macro_is_left_to_the_person() -> None:
    with pytest.raises(Conflict, match="macro"):
        changed_command("${engine} -m x", without("--no-mmap"))


TEXT = """\
# mine
models:
  a:
    cmd: | # here
      llama-server --port ${PORT} -m %s --ctx-size 8192 --fit off
  b: {cmd: 'x --port ${PORT}'}
"""


def configured(path: Path) -> tuple[str, ModelConfig]:
    text = TEXT % path
    config = load(text, env={}).config
    assert config is not None
    return text, config.models["a"]


def test_a_shortage_offers_context_and_the_smaller_file(tmp_path: Path) -> None:
    for name, size in (("q-Q8_0", 900), ("q-Q4_K_M", 500), ("other", 1)):
        (tmp_path / f"{name}.gguf").write_bytes(bytes(size))
    text, model = configured(tmp_path / "q-Q8_0.gguf")
    shown = StartShown(AllocationError("RAM", "ram", 7), EngineBuffers())
    seen = SeenShortage(words="it needs 9; try", ways=(Lesser("", {"context": 4096}, "4096 tokens instead", {}),))
    failure = RanOutOfMemory("a", "exit code 1", (), shown).told(seen)
    assert failure.explained == Explained(FailureKind.MEMORY, "it needs 9", "", "Try")
    found = remedies_of(model, failure)
    assert labels(found) == ["Context of 4096 tokens", "Use Q4_K_M"]
    assert with_remedy(text, "a", found[0]) == text.replace("8192", "4096")
    assert with_remedy(text, "a", found[1]) == text.replace("q-Q8_0", "q-Q4_K_M")


def test_more_time_is_an_option_of_the_model(tmp_path: Path) -> None:
    text, model = configured(tmp_path / "m.gguf")
    failure = ModelFailed("a", "late")
    failure.explained = Explained(FailureKind.TIME, "", "", "")
    (more,) = remedies_of(model, failure)
    changed = load(with_remedy(text, "a", more), env={}).config
    assert changed is not None
    assert changed.models["a"].health_check_timeout_seconds == 2 * model.health_check_timeout_seconds


def test_nothing_is_offered_for_what_is_not_known(tmp_path: Path) -> None:
    _text, model = configured(tmp_path / "m.gguf")
    assert remedies_of(model, ModelFailed("a", "it died")) == []
