"""Engines as the setup sees them: words, a name, the flags they know."""

from __future__ import annotations

from claracore.host.engines.abilities import Abilities
from claracore.host.engines.find import Engine

MODERN_TEXT = (
    "--model --host --port --reuse-port --fit --ctx-size --n-gpu-layers --parallel --kv-unified --threads --jinja "
    "--n-cpu-moe --flash-attn --cache-type-k --cache-type-v --main-gpu --split-mode --tensor-split --embeddings "
    "--reranking --pooling --mmproj --model-draft --n-gpu-layers-draft --batch-size --ubatch-size"
)
MODERN = frozenset(MODERN_TEXT.split())


LLAMA_SERVER = Engine(("/opt/llama cpp/llama-server",), "llama-server b7000", "7000", Abilities(MODERN), embedded=False)
EMBEDDED = Engine(
    ("/usr/bin/python3", "-m", "claracore", "engine"), "embedded engine", "", Abilities(MODERN), embedded=True
)
