"""How does a configuration with hundreds of models look? As one that grew: families, sizes, quantizations."""

from __future__ import annotations

from itertools import islice, product
from pathlib import Path

from ui.stand import ENGINE
from zoo.synthetic import Shape, build

FAMILIES = {
    "Qwen3": "qwen3",
    "Qwen2.5 Coder": "qwen2",
    "Llama 3.1": "llama",
    "Mistral": "llama",
    "Gemma 3": "gemma3",
    "Phi 4": "phi3",
    "Granite 3.3": "granite",
    "SmolLM2": "llama",
    "DeepSeek R1 Distill": "qwen2",
    "OLMo 2": "olmo2",
}
"""What people call them, and their architecture."""
SIZES = ("0.6B", "1.7B", "4B", "8B", "14B", "32B", "70B")
QUANTIZATIONS = ("Q2_K", "Q3_K_M", "IQ4_XS", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16")


def configuration(folder: Path, models: int, *, start_port: int, engine: str = ENGINE) -> str:
    """Return one of so many models (560 at most), and write their files: real headers, and a hole for the weights."""
    lines = [f"startPort: {start_port}", f"macros: {{engine: '{engine}'}}", "models:"]
    for (family, size), quantization in islice(product(product(FAMILIES, SIZES), QUANTIZATIONS), models):
        id_ = f"{family} {size} {quantization}".lower().replace(" ", "-")
        path = folder / f"{id_}.gguf"
        write(path, family, size)
        lines += [
            f"  {id_}:",
            f"    name: {family} {size} {quantization}",
            f'    cmd: ${{engine}} --model "{path}" --ctx-size 4096',
            "    capabilities: {in: [text], out: [text], tools: true, context: 4096}",
        ]
    return "\n".join(lines) + "\n"


def write(path: Path, family: str, size: str) -> None:
    """Write a model's file."""
    shape = Shape(FAMILIES[family], 4, 256, 8, 8, 512, 64, 4096)
    name = {"general.name": f"{family} {size}", "general.basename": family, "general.size_label": size}
    image = build(shape.metadata() | name, shape.tensors())
    with path.open("wb") as stream:
        stream.write(image.header)
        stream.truncate(image.size)
