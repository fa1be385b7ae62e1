"""Whole generated configurations, as a person would read them. `python tests/fit/test_golden.py` writes them anew."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "golden"
sys.path.insert(0, str(FOLDER.parents[1]))

from claracore.core.config.command import split  # noqa: E402 - the path above is for running as a script
from claracore.core.config.load import load  # noqa: E402
from claracore.core.fit.budget import budget_of  # noqa: E402
from claracore.core.fit.case import Wishes  # noqa: E402
from claracore.core.fit.catalog import Candidate, choose  # noqa: E402
from claracore.core.fit.document import Setup, document  # noqa: E402
from claracore.core.fit.flags import KnownFlags  # noqa: E402
from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor, teamed  # noqa: E402
from claracore.core.gguf.model import Kind, ModelFacts  # noqa: E402
from claracore.core.gguf.projector import ProjectorFacts  # noqa: E402
from claracore.core.units import GIB  # noqa: E402
from fit.shapes import GEMMA, LLAMA_8B, LLAMA_70B, NOMIC, QWEN3_30B_A3B, SMOLLM2  # noqa: E402

FLAGS = (
    "--reuse-port --fit --ctx-size --n-gpu-layers --parallel --kv-unified --threads --jinja --n-cpu-moe --flash-attn "
    "--cache-type-k --cache-type-v --main-gpu --split-mode --tensor-split --embeddings --reranking --model-draft "
    "--n-gpu-layers-draft --mmproj --alias --batch-size --ubatch-size --cache-ram --ctx-checkpoints --device "
    "--no-mmproj-offload --spec-type --spec-draft-model"
)
NEW = KnownFlags(frozenset(FLAGS.split()))
OLD_FLAGS = "--ctx-size --n-gpu-layers --parallel --threads --embeddings --reranking --batch-size --ubatch-size"
OLD = KnownFlags(frozenset(OLD_FLAGS.split()))
RERANKER = replace(NOMIC, kind=Kind.RERANKER, name="bge reranker v2 m3", pooling="rank")
VISION = replace(LLAMA_8B, kind=Kind.VISION, vision=True, tools=True, name="Qwen2.5 VL 7B")
LLAMA_1B = replace(SMOLLM2, name="Llama 3.2 1B Instruct", parameters_active=1_000_000_000)
WORKSTATION = Processor("AMD Ryzen 9 7950X", 32, 16, 16)
RTX_3090 = Gpu("NVIDIA GeForce RTX 3090", "nvidia", Backend.CUDA, 24 * GIB, 23 * GIB, source="NVML")
RTX_3060 = Gpu("NVIDIA GeForce RTX 3060", "nvidia", Backend.CUDA, 12 * GIB, 12 * GIB, source="NVML")
RTX_4060 = Gpu("NVIDIA RTX 4060 Laptop", "nvidia", Backend.VULKAN, 8 * GIB, 8 * GIB, device="Vulkan0")
IRIS = Gpu("Intel Iris Xe", "intel", Backend.VULKAN, 8 * GIB, 8 * GIB, unified=True, device="Vulkan1")
M2 = Gpu("Apple M2 Max", "apple", Backend.METAL, None, None, unified=True)

EVERYTHING: dict[str, ModelFacts] = {
    "gemma-3-270m": GEMMA, "llama-3.1-8b": LLAMA_8B, "llama-3.3-70b": LLAMA_70B, "nomic-embed": NOMIC,
    "bge-reranker": RERANKER, "qwen3-30b-a3b": QWEN3_30B_A3B, "smollm2-135m": SMOLLM2,
}  # fmt: skip


def candidates(models: dict[str, ModelFacts]) -> list[Candidate]:
    return [
        Candidate(
            id=f"{name}-q4_k_m",
            path=f"/home/ann/my models/{name}.gguf",
            facts=facts,
            name=facts.name or name,
            description=f"{facts.kind} model",
            aliases=(name,),
            mmproj_path="/home/ann/my models/mmproj.gguf" if facts.vision else None,
            projector=ProjectorFacts(1300 * 1024**2) if facts.vision else None,
            vocabulary="llama3" if "Llama 3" in (facts.name or "") else None,
        )
        for name, facts in models.items()
    ]


def written(
    hardware: Hardware, models: dict[str, ModelFacts], known_flags: KnownFlags = NEW, *, auto_draft: bool = False
) -> str:
    catalog = choose(candidates(models), budget_of(hardware), Wishes(), known_flags, auto_draft=auto_draft)
    engine = ("/opt/llama.cpp/llama-server",)
    return document(Setup(catalog.chosen, hardware, engine, "llama-server b7000", known_flags, "config.schema.json"))


def texts() -> dict[str, str]:
    big = Memory(128 * GIB, 120 * GIB)
    return {
        "laptop": written(Hardware(Processor("Intel Core i7", 8, 4, 4), Memory(16 * GIB, 12 * GIB)), EVERYTHING),
        "gaming-laptop": written(
            teamed(Hardware(Processor("Intel Core i7", 16, 8, 4), Memory(16 * GIB, 12 * GIB), (RTX_4060, IRIS))),
            EVERYTHING | {"qwen2.5-vl-7b": VISION},
        ),
        "rtx-3090": written(Hardware(WORKSTATION, Memory(64 * GIB, 60 * GIB), (RTX_3090,)), EVERYTHING),
        "two-cards": written(Hardware(WORKSTATION, big, (RTX_3090, RTX_3060)), EVERYTHING),
        "mac": written(Hardware(Processor("Apple M2 Max", 12, 12, 8), big, (M2,), "darwin"), EVERYTHING),
        "old-engine": written(Hardware(WORKSTATION, big, (RTX_3060,)), EVERYTHING, OLD),
        "seeing-and-drafting": written(
            Hardware(WORKSTATION, big, (RTX_3090,)),
            {"qwen2.5-vl-7b": VISION, "llama-3.3-70b": LLAMA_70B, "llama-3.2-1b": LLAMA_1B},
            auto_draft=True,
        ),
        "container": written(
            Hardware(replace(WORKSTATION, quota=2.5), Memory(4 * GIB, 4 * GIB, "cgroup limit")), EVERYTHING
        ),
        "nothing": written(Hardware(WORKSTATION, big), {}),
    }


@pytest.mark.parametrize("name", sorted(texts()))
def test_what_is_written(name: str) -> None:
    text = texts()[name]
    assert text == (FOLDER / f"{name}.yaml").read_text(), "if this is better, run: python tests/fit/test_golden.py"
    result = load(text, env={})
    assert result.findings == ()
    assert result.config is not None
    for model in result.config.models.values():
        words = split(model.cmd)
        assert words[words.index("--model") + 1].startswith("/home/ann/my models/")
        assert all(line.strip().startswith(("#", "-", "${", "/")) for line in model.cmd.strip().splitlines())


if __name__ == "__main__":
    for name, text in texts().items():
        (FOLDER / f"{name}.yaml").write_text(text)
