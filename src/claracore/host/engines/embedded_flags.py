"""Which of llama-server's flags does the embedded engine understand, and which field does each set?

One table, `OPTIONS`: names, argument, fields of `xllamacpp.CommonParams`, conversion, help. Names, meanings and
defaults are those of llama.cpp's tools/server/README.md. The parser, `--help` and the tests read the table; nothing
else lists flags.

Imports nothing heavy: it is on the way of every model's start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from claracore.core.fit.flags import SAVED_CHECKPOINTS
from claracore.host.engines.arguments import (
    CACHE_TYPE,
    COUNT,
    EXPERTS,
    GPU_LAYERS,
    INT,
    ON_OFF,
    ON_OFF_AUTO,
    PRIORITY,
    between,
    choice,
    dense_on_cpu,
    experts_on_cpu,
    file_text,
    lora,
    mebibytes,
    number,
    scaled_lora,
    shares,
    speculation,
    template_arguments,
    unique,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claracore.host.engines.arguments import Convert


class Option(NamedTuple):
    """One row: `flags` without argument set `values`; with one (its name in help is `argument`) `convert` makes it.

    `fields` are dotted paths, all set to the converted value; a leading `+` appends instead (to a list, or to a
    comma-separated text). `optional` arguments are taken only if they convert.
    """

    flags: tuple[str, ...]
    help: str
    values: Mapping[str, object] = {}
    argument: str = ""
    fields: tuple[str, ...] = ()
    convert: Convert = str
    optional: bool = False


def take(flags: str, argument: str, fields: str, convert: Convert, text: str, *, optional: bool = False) -> Option:
    """Make a row for flags with an argument."""
    return Option(tuple(flags.split()), text, {}, argument, tuple(fields.split()), convert, optional)


def switch(flags: str, values: Mapping[str, object], text: str) -> Option:
    """Make a row for flags without an argument."""
    return Option(tuple(flags.split()), text, values)


def pair(
    on: str, off: str, field: str, text: str, *, when_on: object = True, when_off: object = False
) -> tuple[Option, ...]:
    """Make the two rows of a switch with a negation."""
    return switch(on, {field: when_on}, text), switch(off, {field: when_off}, f"not: {text}")


DRAFT = "speculative.draft."

MODEL = (
    take("-m --model", "FNAME", "model.path", str, "model file (GGUF)"),
    take("-mu --model-url", "URL", "model.url", str, "where to download the model"),
    switch("--offline", {"offline": True}, "use only what has been downloaded before"),
    take("-a --alias", "STRING", "model_alias", unique, "name(s) of the model in the API, separated by commas"),
    take("--tags", "STRING", "model_tags", unique, "tags of the model, separated by commas"),
    take("--lora", "FNAME", "+lora_adapters", lora, "LoRA adapter(s), separated by commas"),
    take("--lora-scaled", "FNAME:SCALE", "+lora_adapters", scaled_lora, "LoRA adapter(s) with a scale"),
    switch("--lora-init-without-apply", {"lora_init_without_apply": True}, "load adapters without applying them"),
    switch("--check-tensors", {"check_tensors": True}, "check the model's tensors for invalid values"),
    take("-mm --mmproj", "FILE", "mmproj.path", str, "multimodal projector file"),
    take("-mmu --mmproj-url", "URL", "mmproj.url", str, "where to download the multimodal projector"),
    *pair("--mmproj-auto", "--no-mmproj --no-mmproj-auto", "no_mmproj", "use the multimodal projector of the model",
          when_on=False, when_off=True),
    *pair("--mmproj-offload", "--no-mmproj-offload", "mmproj_use_gpu", "multimodal projector on the GPU"),
    take("--image-min-tokens", "N", "image_min_tokens", INT, "least tokens of an image"),
    take("--image-max-tokens", "N", "image_max_tokens", INT, "most tokens of an image"),
    take("--mtmd-batch-max-tokens", "N", "mtmd_batch_max_tokens", INT, "most tokens of images encoded together"),
    take("--video-fps", "N", "video_fps", number, "frames of a video that are looked at in a second"),
    take("--video-timestamp-interval", "N", "video_timestamp_interval_ms", INT, "milliseconds between timestamps"),
    take("--video-ffmpeg-dir", "DIR", "video_ffmpeg_bin_dir", str, "folder of ffmpeg and ffprobe"),
)  # fmt: skip

MEMORY = (
    take("-c --ctx-size", "N", "n_ctx", COUNT, "size of the context (default: 0, as the model was trained)"),
    take("-n --predict --n-predict", "N", "n_predict", INT, "most tokens to generate (-1: no limit)"),
    take("-b --batch-size", "N", "n_batch", COUNT, "logical batch size (default: 2048)"),
    take("-ub --ubatch-size", "N", "n_ubatch", COUNT, "physical batch size (default: 512)"),
    take("--keep", "N", "n_keep", INT, "tokens of the first prompt to keep when the context is full (-1: all)"),
    take("-np --parallel", "N", "n_parallel", between(-1, 1024, {"auto": -1}), "slots (default: 4, one cache)"),
    *pair("-cb --cont-batching", "-nocb --no-cont-batching", "cont_batching", "continuous batching"),
    *pair("-kvu --kv-unified", "-no-kvu --no-kv-unified", "kv_unified", "one cache shared by all slots"),
    take("-ngl --gpu-layers --n-gpu-layers", "N", "n_gpu_layers", GPU_LAYERS, "layers on the GPU: number, auto or all"),
    take("-sm --split-mode", "{none,layer,row,tensor}", "split_mode", choice(none=0, layer=1, row=2, tensor=3),
         "how to split the model across GPUs"),
    take("-ts --tensor-split", "N0,N1,N2,...", "tensor_split", shares, "proportion of the model for each GPU"),
    take("-mg --main-gpu", "INDEX", "main_gpu", INT, "GPU for the model (split mode none) or for small tensors (row)"),
    take("-fit --fit", "[on|off]", "fit_params", ON_OFF, "fit what was not set into the memory of the devices"),
    take("-fitt --fit-target", "MiB0,MiB1,...", "fit_params_target", mebibytes, "memory to leave free for --fit"),
    take("-fitc --fit-ctx", "N", "fit_params_min_ctx", COUNT, "smallest context that --fit may choose"),
    take("-fa --flash-attn", "[on|off|auto]", "flash_attn_type", ON_OFF_AUTO, "flash attention", optional=True),
    take("-ctk --cache-type-k", "TYPE", "cache_type_k", CACHE_TYPE, "data type of the cache for K"),
    take("-ctv --cache-type-v", "TYPE", "cache_type_v", CACHE_TYPE, "data type of the cache for V"),
    *pair("-kvo --kv-offload", "-nkvo --no-kv-offload", "no_kv_offload", "cache on GPU", when_on=False, when_off=True),
    *pair("--op-offload", "--no-op-offload", "no_op_offload", "operations of host tensors on the GPU",
          when_on=False, when_off=True),
    *pair("--repack", "-nr --no-repack", "no_extra_bufts", "weights repacked for CPU", when_on=False, when_off=True),
    switch("--no-host", {"no_host": True}, "bypass the host buffer"),
    switch("--swa-full", {"swa_full": True}, "full-size cache for sliding-window layers"),
    take("-ctxcp --ctx-checkpoints --swa-checkpoints", "N", "n_ctx_checkpoints", COUNT, "context checkpoints per slot"),
    take("-cms --checkpoint-min-step", "N", "checkpoint_min_step", COUNT, "fewest tokens between two checkpoints"),
    *pair("--cache-idle-slots", "--no-cache-idle-slots", "cache_idle_slots", "idle slots go to the prompt cache"),
    take("-cram --cache-ram", "N", "cache_ram_mib", INT, "size of the prompt cache in MiB (-1: no limit, 0: off)"),
    take("--cache-reuse", "N", "n_cache_reuse", COUNT, "smallest chunk to reuse from the cache by shifting"),
    *pair("--cache-prompt", "--no-cache-prompt", "cache_prompt", "prompt caching"),
    *pair("--context-shift", "--no-context-shift", "ctx_shift", "shift the context when it is full"),
    take("-lm --load-mode", "MODE", "load_mode",
         choice(**{"auto": -1, "none": 0, "mmap": 1, "mlock": 2, "mmap+mlock": 3, "dio": 4}),
         "how to read the model: auto, none, mmap, mlock, mmap+mlock or dio"),
    take("-lzm --lazy-mode", "{on,auto,off}", "lazy_mode", choice(off=0, auto=1, on=2), "read some tensors on demand"),
    switch("--mlock", {"mlock": True}, "keep the model in RAM"),
    *pair("--mmap", "--no-mmap", "mmap", "map the model file into memory"),
    switch("-dio --direct-io", {"direct_io": True}, "read the model past the page cache"),
    take("--numa", "{distribute,isolate,numactl}", "numa", choice(distribute=1, isolate=2, numactl=3), "NUMA strategy"),
    take("-ot --override-tensor", "PATTERN=BUFFER,...", "+tensor_buft_overrides", str, "where matching tensors live"),
    switch("-cmoe --cpu-moe", {"+tensor_buft_overrides": EXPERTS + "=CPU"}, "all experts' weights in RAM"),
    take("-ncmoe --n-cpu-moe", "N", "+tensor_buft_overrides", experts_on_cpu, "experts' weights of N layers in RAM"),
    take("-ncffn --n-cpu-ffn", "N", "+tensor_buft_overrides", dense_on_cpu, "dense FFN weights of N layers in RAM"),
)  # fmt: skip

THREADS = (
    take("-t --threads", "N", "cpuparams.n_threads", INT, "threads for generation (default: -1, by the CPU)"),
    take("-tb --threads-batch", "N", "cpuparams_batch.n_threads", INT, "threads for prompts (default: as --threads)"),
    take("--threads-http", "N", "n_threads_http", INT, "threads for HTTP requests"),
    take("--prio", "N", "cpuparams.priority", PRIORITY, "priority of threads: low(-1) ... realtime(3)"),
    take("--prio-batch", "N", "cpuparams_batch.priority", PRIORITY, "the same for prompts"),
    take("--poll", "<0...100>", "cpuparams.poll", between(0, 100), "how much to poll for work"),
    take("--cpu-strict", "<0|1>", "cpuparams.strict_cpu", choice(**{"0": False, "1": True}), "strict CPU placement"),
)

SERVER = (
    take("--host", "HOST", "hostnames", words, "address(es) to listen on, or a path that ends in .sock"),
    take("--port", "PORT", "port", between(0, 65_535), "port to listen on (default: 8080)"),
    switch("--reuse-port", {"reuse_port": True}, "allow several sockets on the same port (SO_REUSEPORT)"),
    take("--path", "PATH", "public_path", str, "folder of static files to serve"),
    take("--api-prefix", "PREFIX", "api_prefix", str, "prefix of all paths"),
    take("--api-key", "KEY", "+api_keys", words, "API key(s), separated by commas"),
    take("--api-key-file", "FNAME", "+api_keys", lambda text: file_text(text).split(), "file with API keys"),
    take("--ssl-key-file", "FNAME", "ssl_file_key", str, "PEM-encoded TLS key"),
    take("--ssl-cert-file", "FNAME", "ssl_file_cert", str, "PEM-encoded TLS certificate"),
    take("-to --timeout", "N", "timeout_read timeout_write", COUNT, "read and write timeout in seconds"),
    *pair("--ui --webui", "--no-ui --no-webui", "ui", "web interface of the server"),
    switch("--metrics", {"endpoint_metrics": True}, "enable GET /metrics"),
    switch("--props", {"endpoint_props": True}, "enable POST /props"),
    *pair("--slots", "--no-slots", "endpoint_slots", "enable GET /slots"),
    take("--slot-save-path", "PATH", "slot_save_path", str, "folder for saved slots"),
    take("--media-path", "PATH", "media_path", str, "folder of local media files"),
    take("-sps --slot-prompt-similarity", "F", "slot_prompt_similarity", number, "how alike a prompt must be"),
    switch("--embedding --embeddings", {"embedding": True}, "only embeddings"),
    switch("--rerank --reranking", {"embedding": True, "pooling_type": 4}, "enable the reranking endpoint"),
    take("--pooling", "{none,mean,cls,last,rank}", "pooling_type", choice(none=0, mean=1, cls=2, last=3, rank=4),
         "pooling of embeddings"),
    take("--embd-normalize", "N", "embd_normalize", INT, "norm of embeddings: -1 none, 0 max, 1 taxicab, 2 euclidean"),
    take("--sse-ping-interval", "N", "sse_ping_interval", INT, "seconds between pings in a stream (-1: none)"),
    take("-r --reverse-prompt", "PROMPT", "+antiprompt", lambda text: [text], "text that ends an answer"),
    take("--cors-methods", "METHODS", "cors_methods", str, "methods allowed to other origins, separated by commas"),
    take("--cors-headers", "HEADERS", "cors_headers", str, "headers allowed to other origins, separated by commas"),
    *pair("--cors-credentials", "--no-cors-credentials", "cors_credentials", "credentials from other origins"),
    *pair("--warmup", "--no-warmup", "warmup", "warm up with an empty run"),
    take("--sleep-idle-seconds", "N", "sleep_idle_seconds", INT, "free the memory after so long (-1: never)"),
    *pair("--perf", "--no-perf", "no_perf", "internal timings", when_on=False, when_off=True),
    switch("-v --verbose --log-verbose", {"verbosity": 100}, "log everything"),
    take("-lv --verbosity --log-verbosity", "N", "verbosity", INT, "log what is at most this verbose (default: 3)"),
    switch("--log-disable", {"verbosity": -1}, "log nothing"),
)  # fmt: skip

CHAT = (
    *pair("--jinja", "--no-jinja", "use_jinja", "the model's own chat template"),
    take("--chat-template", "TEMPLATE", "chat_template", str, "chat template, or the name of one"),
    take("--chat-template-file", "FNAME", "chat_template", file_text, "file with the chat template"),
    take("--chat-template-kwargs", "JSON", "default_template_kwargs", template_arguments, "arguments of the template"),
    take("--reasoning-format", "FORMAT", "reasoning_format",
         choice(none=0, auto=1, **{"deepseek-legacy": 2, "deepseek": 3}), "none, auto, deepseek or deepseek-legacy"),
    take("-rea --reasoning", "[on|off|auto]", "enable_reasoning", ON_OFF_AUTO, "reasoning"),
    take("--reasoning-budget", "N", "sampling.reasoning_budget_tokens", INT, "most tokens of reasoning (-1: no limit)"),
    take("--reasoning-budget-message", "TEXT", "sampling.reasoning_budget_message", str, "said when it is used up"),
    *pair("--prefill-assistant", "--no-prefill-assistant", "prefill_assistant", "continue an assistant's last message"),
    *pair("--skip-chat-parsing", "--no-skip-chat-parsing", "force_pure_content_parser", "plain content only"),
    switch("-sp --special", {"special": True}, "special tokens in the output"),
)  # fmt: skip

SAMPLING = (
    take("--samplers", "SAMPLERS", "sampling.samplers", str, "samplers in order, separated by ;"),
    take("-s --seed", "SEED", "sampling.seed", lambda text: int(number(text)) & 0xFFFFFFFF, "seed (-1: random)"),
    take("--temp --temperature", "N", "sampling.temp", number, "temperature (default: 0.8)"),
    take("--top-k", "N", "sampling.top_k", INT, "top-k (0: off)"),
    take("--top-p", "N", "sampling.top_p", number, "top-p (1.0: off)"),
    take("--min-p", "N", "sampling.min_p", number, "min-p (0.0: off)"),
    take("--typical --typical-p", "N", "sampling.typ_p", number, "locally typical sampling (1.0: off)"),
    take("--xtc-probability", "N", "sampling.xtc_probability", number, "XTC probability"),
    take("--xtc-threshold", "N", "sampling.xtc_threshold", number, "XTC threshold"),
    take("--repeat-last-n", "N", "sampling.penalty_last_n", INT, "tokens to consider for penalties"),
    take("--repeat-penalty", "N", "sampling.penalty_repeat", number, "penalty for repetition (1.0: off)"),
    take("--presence-penalty", "N", "sampling.penalty_present", number, "presence penalty"),
    take("--frequency-penalty", "N", "sampling.penalty_freq", number, "frequency penalty"),
    take("--dry-multiplier", "N", "sampling.dry_multiplier", number, "DRY multiplier (0.0: off)"),
    take("--dry-base", "N", "sampling.dry_base", number, "DRY base"),
    take("--dry-allowed-length", "N", "sampling.dry_allowed_length", INT, "DRY allowed length"),
    take("--dry-penalty-last-n", "N", "sampling.dry_penalty_last_n", INT, "DRY penalty for the last n tokens"),
    take("--dynatemp-range", "N", "sampling.dynatemp_range", number, "dynamic temperature range"),
    take("--dynatemp-exp", "N", "sampling.dynatemp_exponent", number, "dynamic temperature exponent"),
    take("--mirostat", "N", "sampling.mirostat", between(0, 2), "Mirostat (0: off)"),
    take("--mirostat-lr", "N", "sampling.mirostat_eta", number, "Mirostat learning rate"),
    take("--mirostat-ent", "N", "sampling.mirostat_tau", number, "Mirostat target entropy"),
    switch("--ignore-eos", {"sampling.ignore_eos": True}, "do not stop at the end-of-stream token"),
)

ROPE = (
    take("--rope-scaling", "{none,linear,yarn}", "rope_scaling_type", choice(none=0, linear=1, yarn=2), "RoPE scaling"),
    take("--rope-scale", "N", "rope_freq_scale", lambda text: 1.0 / (number(text) or 1.0), "context scaling factor"),
    take("--rope-freq-base", "N", "rope_freq_base", number, "RoPE base frequency"),
    take("--rope-freq-scale", "N", "rope_freq_scale", number, "RoPE frequency scale"),
    take("--yarn-orig-ctx", "N", "yarn_orig_ctx", COUNT, "YaRN: context the model was trained with"),
    take("--yarn-ext-factor", "N", "yarn_ext_factor", number, "YaRN: extrapolation mix"),
    take("--yarn-attn-factor", "N", "yarn_attn_factor", number, "YaRN: attention magnitude"),
    take("--yarn-beta-slow", "N", "yarn_beta_slow", number, "YaRN: high correction dim"),
    take("--yarn-beta-fast", "N", "yarn_beta_fast", number, "YaRN: low correction dim"),
)

SPECULATIVE = (
    take("-md --model-draft --spec-draft-model", "FNAME", DRAFT + "mparams.path", str, "draft model"),
    take("--spec-type", "TYPE", "speculative.types", speculation, "kinds of speculative decoding"),
    take("--draft --draft-n --draft-max --spec-draft-n-max", "N", DRAFT + "n_max", COUNT, "most tokens to draft"),
    take("--draft-min --draft-n-min --spec-draft-n-min", "N", DRAFT + "n_min", COUNT, "least tokens to draft"),
    take("--draft-p-min --spec-draft-p-min", "P", DRAFT + "p_min", number, "least probability to draft"),
    take("--draft-p-split --spec-draft-p-split", "P", DRAFT + "p_split", number, "probability of a split"),
    take("-ngld --gpu-layers-draft --n-gpu-layers-draft --spec-draft-ngl", "N", DRAFT + "n_gpu_layers", GPU_LAYERS,
         "layers of the draft model on the GPU"),
    take("-devd --device-draft --spec-draft-device", "DEV,...", DRAFT + "devices", str, "devices of the draft model"),
    take("-ctkd --cache-type-k-draft --spec-draft-type-k", "TYPE", DRAFT + "cache_type_k", CACHE_TYPE, "draft cache K"),
    take("-ctvd --cache-type-v-draft --spec-draft-type-v", "TYPE", DRAFT + "cache_type_v", CACHE_TYPE, "draft cache V"),
    take("-td --threads-draft --spec-draft-threads", "N", DRAFT + "cpuparams.n_threads", INT, "threads of the draft"),
    take("-tbd --threads-batch-draft --spec-draft-threads-batch", "N", DRAFT + "cpuparams_batch.n_threads", INT,
         "threads of the draft for prompts"),
)  # fmt: skip

SECTIONS: Mapping[str, tuple[Option, ...]] = {
    "model": MODEL,
    "memory and speed": MEMORY,
    "threads": THREADS,
    "server": SERVER,
    "chat": CHAT,
    "sampling": SAMPLING,
    "rope": ROPE,
    "speculative decoding": SPECULATIVE,
}

OPTIONS: Mapping[str, Option] = {flag: row for rows in SECTIONS.values() for row in rows for flag in row.flags}

FLAGS = frozenset(OPTIONS) | {"-h", "--help", "--usage", "--version", "--exit-on-stdin-eof"}
"""What an engine's abilities are compared with."""
ABILITIES = FLAGS | {SAVED_CHECKPOINTS}
"""What it can do besides."""
