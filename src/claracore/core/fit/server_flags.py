"""What does the command line of a llama-server say about memory?

A table of the flags that matter, with every spelling that builds have had, and the environment variables that stand for
them. Whatever else stands in a command is passed over: this is no check of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from claracore.core.config.prefixes import last_command, name_of, programs_in, script_of
from claracore.core.ports.containers import container_of

VALUES = """
    model            -m --model
    mmproj           -mm --mmproj
    draft            -md --model-draft --spec-draft-model
    lora             --lora
    context          -c --ctx-size
    parallel         -np --parallel
    batch            -b --batch-size
    micro_batch      -ub --ubatch-size
    gpu_layers       -ngl --gpu-layers --n-gpu-layers
    draft_gpu_layers -ngld --gpu-layers-draft --n-gpu-layers-draft --spec-draft-ngl
    tensor_split     -ts --tensor-split
    split_mode       -sm --split-mode
    main_gpu         -mg --main-gpu
    device           -dev --device
    cache_type_k     -ctk --cache-type-k
    cache_type_v     -ctv --cache-type-v
    override_tensor  -ot --override-tensor
    cpu_experts      -ncmoe --n-cpu-moe
    cpu_dense        -ncffn --n-cpu-ffn
    fit              -fit --fit
    drafting         --spec-type
    drafted          --spec-draft-n-max
    remote           -hf -hfr --hf-repo -mu --model-url -dr --docker-repo -mmu --mmproj-url --models-dir --models-preset
"""
SWITCHES = """
    unified          -kvu --kv-unified
    not_unified      -no-kvu --no-kv-unified
    cache_in_ram     -nkvo --no-kv-offload
    projector_in_ram --no-mmproj-offload
    all_experts      -cmoe --cpu-moe
    full_window      --swa-full
    embeddings       --embedding --embeddings --rerank --reranking
"""
FLASH_ATTENTION = frozenset({"-fa", "--flash-attn"})
"""A switch once, with a value since b6325."""
WORDS_OF_A_SWITCH = frozenset({"on", "off", "auto", "true", "false", "enabled", "disabled", "0", "1"})
ENVIRONMENT = {
    "LLAMA_ARG_MODEL": "model", "LLAMA_ARG_MMPROJ": "mmproj", "LLAMA_ARG_CTX_SIZE": "context",
    "LLAMA_ARG_N_PARALLEL": "parallel", "LLAMA_ARG_BATCH": "batch", "LLAMA_ARG_UBATCH": "micro_batch",
    "LLAMA_ARG_N_GPU_LAYERS": "gpu_layers", "LLAMA_ARG_TENSOR_SPLIT": "tensor_split",
    "LLAMA_ARG_SPLIT_MODE": "split_mode", "LLAMA_ARG_MAIN_GPU": "main_gpu", "LLAMA_ARG_DEVICE": "device",
    "LLAMA_ARG_CACHE_TYPE_K": "cache_type_k", "LLAMA_ARG_CACHE_TYPE_V": "cache_type_v",
    "LLAMA_ARG_FLASH_ATTN": "flash_attention", "LLAMA_ARG_N_CPU_MOE": "cpu_experts", "LLAMA_ARG_FIT": "fit",
    "LLAMA_ARG_OVERRIDE_TENSOR": "override_tensor", "LLAMA_ARG_HF_REPO": "remote",
}  # fmt: skip
VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES")
"""Variables that leave a process only some of the devices."""


def _spellings(table: str) -> dict[str, str]:
    rows = [line.split() for line in table.splitlines() if line.strip()]
    return {flag: name for name, *flags in rows for flag in flags}


VALUE_NAMES, SWITCH_NAMES = _spellings(VALUES), _spellings(SWITCHES)


@dataclass(frozen=True, slots=True)
class ServerFlags:
    """The flags of one command line that matter for memory, by our names."""

    values: Mapping[str, str]
    """The last value of each; `on` for a switch."""
    overrides: tuple[str, ...] = ()
    """Each `PATTERN=BUFFER` of --override-tensor, in order."""
    adapters: tuple[str, ...] = ()
    """Files of --lora."""
    visible: tuple[int, ...] | None = None
    """The only devices that the environment leaves it; None for all."""

    def get(self, name: str) -> str | None:
        """Return a value; None when the command does not say."""
        return self.values.get(name)

    def number(self, name: str) -> int | None:
        """Return a value as a whole number; None when the command does not say. Raises ValueError."""
        text = self.values.get(name)
        return None if text is None else int(text)

    def has(self, switch: str) -> bool:
        """Whether a switch is there."""
        return switch in self.values


def server_flags(argv: Sequence[str], env: Mapping[str, str]) -> ServerFlags | None:
    """Return what the command line of a llama-server (or of our own engine) says.

    None for another program, for a container, whose paths are its own, and where the model is fetched from elsewhere.
    Raises ValueError for variables that do not name devices by number.
    """
    words = _llama_words(argv)
    if words is None:
        return None
    values = {name: env[variable] for variable, name in ENVIRONMENT.items() if env.get(variable)}
    overrides = [part for part in values.pop("override_tensor", "").split(",") if part]
    adapters: list[str] = []
    for name, value in _pairs(words):
        if name == "override_tensor":
            overrides += [part for part in value.split(",") if part]
        elif name == "lora":
            adapters += [part for part in value.split(",") if part]
        else:
            values[name] = value
    if "remote" in values or "model" not in values:
        return None
    return ServerFlags(values, tuple(overrides), tuple(adapters), visible_devices(env))


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each flag that matters."""
    for word, following in pairwise([*words, ""]):
        flag = word.replace("_", "-") if word.startswith("--") else word  # as llama.cpp does
        if flag in VALUE_NAMES:
            yield VALUE_NAMES[flag], following
        elif flag in SWITCH_NAMES:
            yield SWITCH_NAMES[flag], "on"
        elif flag in FLASH_ATTENTION:
            yield "flash_attention", following if following in WORDS_OF_A_SWITCH else "on"


def _llama_words(argv: Sequence[str]) -> Sequence[str] | None:
    """Return the words behind the program, where that is a llama-server or our engine; None where it is not."""
    script = script_of(argv)
    if script is not None:
        try:
            return _llama_words(last_command(script))
        except ValueError:
            return None
    if container_of(argv) is not None:
        return None
    begin = behind_llama(argv)
    return None if begin is None else argv[begin:]


def behind_llama(argv: Sequence[str]) -> int | None:
    """Return where the arguments of the llama-server (or of our engine) begin; None for another program."""
    for at in programs_in(argv):
        name = name_of(argv[at])
        if name.startswith("llama"):
            return at + 1
        if name == "claracore" or (name.startswith("python") and "claracore" in argv[at : at + 4]):
            behind = argv[at + 1 : at + 6]
            return at + 2 + behind.index("engine") if "engine" in behind else None
    return None


def visible_devices(env: Mapping[str, str]) -> tuple[int, ...] | None:
    """Return which devices a process with this environment sees; None for all. Raises ValueError for names."""
    for name in VISIBLE:
        text = env.get(name)
        if text is not None:
            return tuple(int(part) for part in text.split(",") if part.strip() not in {"", "-1"})
    return None
