"""Our estimate against llama.cpp's for synthetic models up to 70B, which it measures without allocating them.

The files are holes with a true header. Only architectures that need no tensors beyond what the zoo writes can be
loaded.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from claracore.fit.cache import cache_bytes
from claracore.fit.compute import compute_bytes
from claracore.fit.memory import estimate
from claracore.fit.settings import Settings
from claracore.library.scan import scan
from fit.oracle import ask
from zoo.families import GEMMAS, LLAMAS, MISTRALS, QWENS, Member
from zoo.synthetic import write

MIB = 1024**2
LOADABLE = {"llama", "qwen2", "smollm3", "gemma"}
MEMBERS = [
    member
    for member in (*LLAMAS, *MISTRALS, *QWENS, *GEMMAS)
    if member.shape.arch in LOADABLE and not member.shape.experts and member.kind.servable
]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.file)
def test_what_llama_cpp_would_take(member: Member, tmp_path: Path) -> None:
    arch = member.shape.arch
    image = member.shape.image({"tokenizer.ggml.model": "no_vocab", f"{arch}.attention.layer_norm_rms_epsilon": 1e-5})
    path = write(tmp_path / "model.gguf", image)
    (model,) = scan([path]).models
    context = min(8192, member.context)
    answer = ask(path, n_ctx=context)
    assert answer.complete, "".join(answer.lines)
    settings = Settings(context)
    assert sum(cache_bytes(model.facts, settings)) / MIB == pytest.approx(sum(answer.cache_mib), abs=0.1)
    assert compute_bytes(model.facts, settings) / MIB == pytest.approx(answer.compute_mib, rel=0.02)
    assert estimate(model.facts, settings).total / MIB == pytest.approx(answer.total_mib, rel=0.02)
