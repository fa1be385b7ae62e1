"""Which of a model server's settings decide how much memory it takes?

A value; `plan.py` chooses one, `memory.py` counts its bytes, `command.py` writes its flags. Defaults are
llama-server's.
"""

from __future__ import annotations

from dataclasses import dataclass

BATCH, MICRO_BATCH = 2048, 512


@dataclass(frozen=True, slots=True)
class Settings:
    """One way to run one model."""

    context: int
    """Tokens of all slots together (`--ctx-size`)."""
    parallel: int = 1
    """Slots (`--parallel`)."""
    unified: bool = False
    """Slots share one cache (`--kv-unified`): each may use the whole context."""
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    batch: int = BATCH
    """Tokens per logical batch (`--batch-size`)."""
    micro_batch: int = MICRO_BATCH
    """Tokens that are computed at once (`--ubatch-size`)."""
    flash_attention: bool = True
    full_window: bool = False
    """Sliding layers keep the whole context (`--swa-full`)."""
    embeddings: bool = False
    """An answer for every token instead of one per slot (`--embeddings`)."""
    gpu_layers: int = 0
    """Layers on GPUs, counted from the output downwards (`--n-gpu-layers`); `dealt_layers` + 1 is everything."""
    cpu_experts: int = 0
    """Routed experts of the first so many layers stay in RAM (`--n-cpu-moe`)."""
    overrides: tuple[str, ...] = ()
    """Each `PATTERN=BUFFER` of `--override-tensor`, which then says what `cpu_experts` only counts."""
    split: tuple[float, ...] = ()
    """Shares of the layers per GPU (`--tensor-split`), or how many each gets; empty for one GPU."""
    predicting: bool = False
    """The model's own prediction layers are loaded and draft (`--spec-type draft-mtp`)."""
    drafted: int = 0
    """Tokens that heads or prediction layers draft at a time: recurrent states are kept as often, to go back."""
    repeating: bool = False
    """What was written before drafts (`--spec-type ngram-mod`)."""
    prompt_cache_mib: int | None = None
    """RAM for earlier conversations (`--cache-ram`); None leaves it to the engine (8192)."""
    checkpoints: int | None = None
    """Copies of sliding or recurrent state per slot (`--ctx-checkpoints`); None leaves it to the engine (32)."""
