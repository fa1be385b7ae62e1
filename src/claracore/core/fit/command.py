"""How is a placement written as a command line, with a reason beside every number?

The command is text for `models.ID.cmd`: one option a line, the reason in a comment line above it (config drops lines
that start with #). Words are quoted by POSIX rules, which is how config splits them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from claracore.core.fit.case import EMBEDDERS, pooling
from claracore.core.fit.drafting import own_drafting_flags
from claracore.core.fit.flags import Flag, KnownFlags
from claracore.core.fit.places import RAM
from claracore.core.fit.settings import MICRO_BATCH
from claracore.core.fit.yamltext import comment
from claracore.core.gguf.model import Kind
from claracore.core.units import gib

if TYPE_CHECKING:
    from claracore.core.fit.machine import Hardware, Processor
    from claracore.core.fit.plan import Placement
    from claracore.core.gguf.model import ModelFacts

SAFE = re.compile(r"(?:[A-Za-z0-9_@%+=:,./{}-]|\$\{)+")
ESCAPED = re.compile(r'["\\`]|\$(?!\{)')
"""What POSIX wants behind a backslash in double quotes; `${...}` is a macro and no variable of a shell."""
MACRO = "llama-server"
REASON = re.compile(
    r"context: |all \d+ layers and the output fit on |the experts of \d+ of |\d+ of \d+ layers fit on |"
    r"everything computes on the processor|of \d+ layers, the experts of these |fits there alone, |the only fast one|"
    r"those that work well together|layers on each GPU, |fits on GPU \d+ alone, |copies of its state that |"
    r"MiB of RAM that earlier |attention without a buffer |half the cache for |a small cache for values |"
    r"an input must fit into one batch|inputs are read in parts |tokens of a prompt that are read at once|"
    r"requests at a time|layers with a window keep |one cache for all slots|the projector computes where the model does"
)
"""How the reasons begin that are written here above flags of a placement."""


def is_reason(text: str) -> bool:
    """Tell whether a comment in a command is one that was generated above a flag of a placement."""
    return REASON.match(text) is not None


def quoted(word: str) -> str:
    """Quote one word so that POSIX splitting gives it back unchanged; `${...}` stays as it is."""
    if SAFE.fullmatch(word):
        return word
    return quoted_path(word)


def quoted_path(path: str) -> str:
    """Quote a path: always, because the next one a person writes here may have a space."""
    return '"' + ESCAPED.sub(r"\\\g<0>", path) + '"'


def engine_command(argv: Sequence[str], known_flags: KnownFlags) -> str:
    """Return the text of the engine's macro: what every model's command begins with."""
    words = [*map(quoted, argv), "--host", "127.0.0.1", "--port", "${PORT}"]
    # Answers then name the model as the configuration does, and not by the path of its file.
    words += ["--alias", '"${MODEL_ID}"'] * known_flags.knows("--alias")
    # The port's holder and the server can then share it, so that no stranger can take it in between.
    words += ["--reuse-port"] * known_flags.knows("--reuse-port")
    # The placement is already worked out; the engine would load the vocabulary twice to do it again.
    words += ["--fit", "off"] * known_flags.knows("--fit")
    return " ".join(words)


def flags(
    facts: ModelFacts, placement: Placement, known_flags: KnownFlags, hardware: Hardware, *, jinja: bool = True
) -> list[Flag]:
    """Return the flags of a placement with their reasons, most telling first; unknown flags are left out."""
    found = [
        Flag(("--ctx-size", str(placement.settings.context)), f"context: {placement.context_reason}"),
        *_placement_flags(facts, placement, known_flags, hardware),
        *_cache_flags(placement, known_flags),
        *_window_flags(placement),
        *_kind_flags(facts, placement),
        *_batch_flags(facts, placement),
        *_slot_flags(placement),
        *own_drafting_flags(placement.settings),
        *_extra_flags(placement),
        _thread_flag(hardware.processor),
    ]
    if jinja and facts.chat_template and facts.kind not in EMBEDDERS:
        found.append(Flag(("--jinja",), "the model brings a chat template, which is needed for tools"))
    return known(found, known_flags)


def known(found: Sequence[Flag], known_flags: KnownFlags) -> list[Flag]:
    """Return those of the flags that the engine knows, in their order."""
    return [flag for flag in found if known_flags.knows(flag.words[0])]


def projector_flags(placement: Placement, hardware: Hardware) -> list[Flag]:
    """Return the flags of a projector beside the model: it would go to a GPU even when the model does not."""
    if placement.settings.gpu_layers or not hardware.has_devices:
        return []
    return [Flag(("--no-mmproj-offload",), "the projector computes where the model does, on the processor")]


def command(path: str, found: Sequence[Flag], *, mmproj: str | None = None, macro: str = MACRO) -> str:
    """Return the whole command as text with comment lines, ending in a newline."""
    lines = [f"${{{macro}}} --model {quoted_path(path)}"]
    if mmproj is not None:
        lines += ["# the projector that makes pictures (or sound) readable", f"--mmproj {quoted_path(mmproj)}"]
    for flag in found:
        lines += [*comment(flag.reason, 0), " ".join(map(quoted, flag.words))]
    return "\n".join(lines) + "\n"


def _placement_flags(
    facts: ModelFacts, placement: Placement, known_flags: KnownFlags, hardware: Hardware
) -> list[Flag]:
    settings, cost = placement.settings, placement.estimate
    if not settings.gpu_layers:
        return _processor_flags(known_flags, hardware)
    used = ", ".join(
        f"{gib(cost.on(index))} of {gib(placement.budget.gpus[index])} on GPU {index}" for index in placement.gpus
    )
    found = [Flag(("--n-gpu-layers", str(settings.gpu_layers)), f"{placement.reason}: {used}")]
    if settings.overrides:
        reason = f"what does not fit on the GPUs, tensor by tensor: {gib(cost.on(RAM))} of RAM"
        found.append(Flag(("--override-tensor", ",".join(settings.overrides)), reason))
    elif settings.cpu_experts:
        reason = f"of {facts.layers} layers, the experts of these stay in RAM: {gib(cost.on(RAM))} there"
        found.append(Flag(("--n-cpu-moe", str(settings.cpu_experts)), reason))
    return [*found, *_device_flags(placement, known_flags, hardware)]


def _processor_flags(known_flags: KnownFlags, hardware: Hardware) -> list[Flag]:
    """Keep an engine that could use graphics devices from doing so unasked: today's takes them for all layers."""
    if not hardware.has_devices:
        return []
    reason = "everything computes on the processor, nothing is put on a graphics device"
    words = ("--device", "none") if known_flags.knows("--device") else ("--n-gpu-layers", "0")
    return [Flag(words, reason)]


def _device_flags(placement: Placement, known_flags: KnownFlags, hardware: Hardware) -> list[Flag]:
    """Say which devices are used, and in which shares; by name where the engine has told its names."""
    names = [hardware.gpus[index].device for index in placement.gpus if index < len(hardware.gpus)]
    named = all(names) and known_flags.knows("--device")
    rest = len(hardware.gpus) + len(hardware.idle) - len(placement.gpus)
    found = []
    if named and rest > 0:
        alone = "fits there alone, which is faster than a split" if len(hardware.gpus) > 1 else "the only fast one"
        reason = alone if len(names) == 1 else "those that work well together"
        found.append(Flag(("--device", ",".join(names)), reason))
    if len(placement.gpus) > 1:
        used = [placement.settings.split[index] for index in placement.gpus] if found else placement.settings.split
        shares = ",".join(f"{share:g}" for share in used)
        found.append(Flag(("--tensor-split", shares), "layers on each GPU, counted out by their bytes"))
    elif len(placement.budget.gpus) > 1 and not found:
        index = placement.gpus[0]
        words = ("--split-mode", "none", "--main-gpu", str(index))
        found.append(Flag(words, f"fits on GPU {index} alone, which is faster than a split"))
    return found


def _extra_flags(placement: Placement) -> list[Flag]:
    settings, found = placement.settings, []
    if settings.checkpoints is not None:
        reason = "copies of its state that each slot keeps in RAM, to go back in a conversation (32 without this)"
        found.append(Flag(("--ctx-checkpoints", str(settings.checkpoints)), reason))
    if settings.prompt_cache_mib is not None:
        reason = "MiB of RAM that earlier conversations may take (8192 without this, in each server)"
        found.append(Flag(("--cache-ram", str(settings.prompt_cache_mib)), reason))
    return found


def _cache_flags(placement: Placement, known_flags: KnownFlags) -> list[Flag]:
    settings = placement.settings
    if settings.cache_type_k == "f16":
        # An engine where flash attention is a switch does without it unless told; the memory was counted with it.
        switch = (
            known_flags.flash_attention if settings.flash_attention and len(known_flags.flash_attention) == 1 else ()
        )
        return (
            [Flag(switch, "attention without a buffer for all scores; newer engines decide this by themselves")]
            if switch
            else []
        )
    words = ("--cache-type-k", settings.cache_type_k, "--cache-type-v", settings.cache_type_v)
    found = [Flag(words, "half the cache for next to no loss; more context fits in the same memory")]
    if known_flags.flash_attention:
        found.append(Flag(known_flags.flash_attention, "a small cache for values works with flash attention only"))
    return found


def _window_flags(placement: Placement) -> list[Flag]:
    if not placement.settings.full_window:
        return []
    return [Flag(("--swa-full",), "layers with a window keep the whole context, so that conversations survive swaps")]


def _kind_flags(facts: ModelFacts, placement: Placement) -> list[Flag]:
    match facts.kind:
        case Kind.RERANKER:
            found = [Flag(("--reranking",), "ranks documents: served at /v1/rerank")]
        case Kind.EMBEDDING:
            found = [Flag(("--embeddings",), "makes embeddings: served at /v1/embeddings")]
            if facts.pooling in (None, "none"):
                reason = "the file does not say how the vectors of tokens become one: usual for such models"
                found.append(Flag(("--pooling", pooling(facts)), reason))
        case _:
            return []
    size = str(placement.settings.micro_batch)
    whole = placement.settings.micro_batch >= placement.settings.context
    reason = "an input must fit into one batch" if whole else "inputs are read in parts of this many tokens"
    return [*found, Flag(("--batch-size", size, "--ubatch-size", size), reason)]


def _batch_flags(facts: ModelFacts, placement: Placement) -> list[Flag]:
    """Read prompts in longer parts where the experts in RAM are copied to a card for each of them."""
    settings = placement.settings
    if facts.kind in EMBEDDERS or settings.micro_batch == MICRO_BATCH:
        return []
    words = ("--batch-size", str(settings.batch), "--ubatch-size", str(settings.micro_batch))
    return [Flag(words, "tokens of a prompt that are read at once: experts in RAM go to the card once for all of them")]


def _slot_flags(placement: Placement) -> list[Flag]:
    settings = placement.settings
    found = [Flag(("--parallel", str(settings.parallel)), _slot_reason(settings.parallel, unified=settings.unified))]
    if settings.unified:
        found.append(Flag(("--kv-unified",), "one cache for all slots: each may use the whole context"))
    return found


def _slot_reason(parallel: int, *, unified: bool) -> str:
    if parallel == 1:
        return "requests at a time: one, which has the whole context"
    return f"requests at a time{'' if unified else '; each has an equal part of the context'}"


def _thread_flag(processor: Processor) -> Flag:
    threads = processor.threads
    if processor.quota is not None and threads == max(1, int(processor.quota)):
        reason = f"threads: this container may use {processor.quota:g} processors"
    elif processor.performance_cores < processor.physical_cores:
        reason = f"threads: the performance cores, of {processor.physical_cores} cores in all"
    else:
        reason = f"threads: physical cores, of {processor.logical} logical processors"
    return Flag(("--threads", str(threads)), reason)
