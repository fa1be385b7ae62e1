"""Engines as the setup sees them: words, a name, the flags they know."""

from __future__ import annotations

from dataclasses import dataclass

MODERN_TEXT = (
    "--model --host --port --reuse-port --fit --ctx-size --n-gpu-layers --parallel --kv-unified --threads --jinja "
    "--n-cpu-moe --flash-attn --cache-type-k --cache-type-v --main-gpu --split-mode --tensor-split --embeddings "
    "--reranking --pooling --mmproj --model-draft --n-gpu-layers-draft --batch-size --ubatch-size"
)
MODERN = frozenset(MODERN_TEXT.split())


@dataclass(frozen=True)
class Words:
    argv: tuple[str, ...] = ("/opt/llama cpp/llama-server",)
    name: str = "llama-server b7000"
    flags: frozenset[str] = MODERN
    embedded: bool = False


EMBEDDED = Words(("/usr/bin/python3", "-m", "claracore", "engine"), "embedded engine", embedded=True)
