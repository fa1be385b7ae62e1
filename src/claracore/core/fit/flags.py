"""How are settings written as flags that the engine knows?

An engine is asked for its flags once (`--help`); what it does not know is not written. Flags that changed their form
are told apart by flags that appeared later.
"""

from __future__ import annotations

from dataclasses import dataclass

SWITCHED_FLASH_ATTENTION = frozenset({"--fit", "--models-dir", "--cache-ram"})
"""llama.cpp b6325 turned `--flash-attn` from a switch into `on|off|auto`; these flags came after it."""


@dataclass(frozen=True, slots=True)
class Flag:
    """Words of a command line and the reason for them, as one sentence."""

    words: tuple[str, ...]
    reason: str


SAVED_CHECKPOINTS = "--slot-save-path checkpoints"
"""Among the flags of an engine whose saved conversations bring back sliding windows as well: no word of a command."""


@dataclass(frozen=True, slots=True)
class KnownFlags:
    """The flags an engine knows. None means that it was not asked: then only what every llama-server knows is used."""

    flags: frozenset[str] | None = None

    def knows(self, flag: str) -> bool:
        """Tell whether the engine knows the flag."""
        return flag in (CLASSIC if self.flags is None else self.flags)

    @property
    def flash_attention(self) -> tuple[str, ...]:
        """The words that switch flash attention on; empty when the engine has none."""
        if not self.knows("--flash-attn"):
            return ()
        if self.flags is None or self.flags & SWITCHED_FLASH_ATTENTION:
            return ("--flash-attn", "on")
        return ("--flash-attn",)


CLASSIC_TEXT = (
    "--model --host --port --ctx-size --n-gpu-layers --parallel --threads --batch-size --ubatch-size --embeddings "
    "--reranking --pooling --mmproj --jinja --alias --tensor-split --split-mode --main-gpu --cache-type-k "
    "--cache-type-v --flash-attn --model-draft --n-gpu-layers-draft"
)
CLASSIC = frozenset(CLASSIC_TEXT.split())
"""What llama-server has known since 2024."""
