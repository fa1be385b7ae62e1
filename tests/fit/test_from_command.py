"""Command lines in, settings and bytes by place out; held against what ClaraCore planned and an H200 took."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.config.command import split
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.from_command import CommandCase, CommandEstimate, estimate_command
from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor
from claracore.core.fit.overrides import MOVED
from claracore.core.fit.places import RAM
from claracore.core.fit.server_flags import ServerFlags, server_flags
from claracore.core.fit.settings import Settings
from claracore.core.gguf.projector import ProjectorFacts
from claracore.core.units import GIB
from claracore.host.engines.llama_flags import LLAMA_FLAGS
from fit.test_measured import PLAIN, expected, facts, named

TODAY = KnownFlags(LLAMA_FLAGS)
OLD = KnownFlags(frozenset({"--model", "--flash-attn", "--cache-type-k"}))
LLAMA = facts("llama-3.1-8b-Q4_K_M")
EXPERTS = facts("gpt-oss-20b-mxfp4")


def machine(*gpus: int, ram: int = 256) -> Hardware:
    """A machine with GPUs of so many GiB."""
    cards = tuple(
        Gpu(f"card {number}", "nvidia", Backend.CUDA, size * GIB, size * GIB, device=f"CUDA{number}")
        for number, size in enumerate(gpus)
    )
    return Hardware(Processor("", 8, 8, 8), Memory(ram * GIB, ram * GIB), cards)


def flags_of(text: str, env: dict[str, str] | None = None) -> ServerFlags:
    found = server_flags(split(text), env or {})
    assert found is not None
    return found


def estimated(text: str, hardware: Hardware, known: KnownFlags = TODAY, **more: Any) -> CommandEstimate:
    return estimate_command(CommandCase(flags_of(text), more.pop("of", LLAMA), hardware, known, **more))


@pytest.mark.parametrize("shape", PLAIN, ids=named)
def test_a_command_that_was_written_means_what_was_planned(shape: dict[str, Any]) -> None:
    of = facts(shape["shape"].split(",")[0])
    found = estimated(shape["command"], machine(139), of=of)
    planned = Settings(**{**shape["settings"], "split": ()})
    assert found.settings == replace(planned, prompt_cache_mib=None, checkpoints=None)
    assert found.estimate.on(0) == expected(shape).on(0)
    assert found.estimate.on(RAM) == expected(shape).on(RAM)


def test_short_and_old_spellings_mean_the_same() -> None:
    long = (
        "llama-server --model m --ctx-size 8192 --n-gpu-layers 20 --parallel 2 --cache-type-k q8_0 --cache-type-v q8_0 "
        "--flash-attn on --batch-size 1024 --ubatch-size 256 --kv-unified"
    )
    short = "/opt/b1/llama-server -fa -m m -c 8192 -ngl 20 -np 2 -ctk q8_0 -ctv q8_0 -b 1024 -ub 256 -kvu"
    hardware = machine(24)
    assert estimated(long, hardware) == estimated(short, hardware)
    assert estimated(short.replace("-ngl", "--gpu_layers"), hardware) == estimated(short, hardware)


def test_the_last_one_counts_and_the_environment_is_overruled() -> None:
    given = flags_of("llama-server -m m -c 1 -c 4096", {"LLAMA_ARG_CTX_SIZE": "9", "LLAMA_ARG_N_PARALLEL": "3"})
    assert (given.number("context"), given.number("parallel")) == (4096, 3)


@pytest.mark.parametrize(
    "text",
    [
        "claracore engine -m m",
        "python -P -m claracore engine -m m",
        "sudo -u ann /x/llama-server -m m",
        "sh -c 'cd /x && exec llama-server -m m'",
        "env A=b nice -n 5 llama-server.exe -m m",
    ],
)
def test_programs_that_are_known(text: str) -> None:
    assert flags_of(text).get("model") == "m"


@pytest.mark.parametrize(
    "text",
    [
        "vllm serve m",
        "docker run --rm ghcr.io/ggml-org/llama.cpp:server -m /models/m.gguf",
        "llama-server -hf ggml-org/x",
        "llama-server -m m -mu http://x",
        "llama-server --port 1",
        "claracore serve -m m",
        "sh -c 'x",
        "",
    ],
)
def test_what_cannot_be_counted(text: str) -> None:
    try:
        words = split(text)
    except ValueError:
        words = text.split()
    assert server_flags(words, {}) is None


def test_an_engine_with_fit_takes_all_it_can_unless_told() -> None:
    whole = estimated("llama-server -m m", machine(80)).settings
    assert (whole.context, whole.gpu_layers, whole.parallel, whole.unified) == (131072, 33, 4, True)
    shorter = estimated("llama-server -m m", machine(8))
    assert fills(shorter, 8)
    assert shorter.settings.gpu_layers == 33
    fewer = estimated("llama-server -m m -c 131072", machine(12))
    assert fewer.settings.context == 131072
    assert 0 < fewer.settings.gpu_layers < 33
    assert fills(fewer, 12, slack=0.75)
    assert estimated("llama-server -m m -c 131072 --fit off", machine(12)).settings.gpu_layers == 33
    experts = estimated("llama-server -m m -c 65536", machine(8), of=EXPERTS)
    assert experts.settings.cpu_experts > 0
    assert fills(experts, 8, slack=0.75)
    assert estimated("llama-server -m m", machine(ram=12)).settings.context < 131072


def fills(found: CommandEstimate, gib: int, slack: float = 0.05) -> bool:
    return (gib - 1 - slack) * GIB <= found.estimate.on(0) <= (gib - 1) * GIB


def test_an_engine_before_fit_keeps_everything_in_ram_with_a_short_context() -> None:
    settings = estimated("llama-server -m m", machine(80), OLD).settings
    assert (settings.context, settings.gpu_layers, settings.parallel, settings.flash_attention) == (4096, 0, 1, False)


def test_devices() -> None:
    two = machine(24, 8)
    base = "llama-server -m m -c 8192 -ngl 99 --fit off "
    shared = estimated(base, two)
    assert shared.settings.split == (24.0 * GIB, 8.0 * GIB)
    assert shared.estimate.on(0) > 2 * shared.estimate.on(1) > 0
    for more, used in [
        ("--device CUDA1", {1}),
        ("-dev cuda0,CUDA1 -ts 0,1", {1}),
        ("-sm none -mg 1", {1}),
        ("-sm none", {0}),
        ("--device none", set()),
        ("-ngl 0", set()),
        ("-ts 1,1", {0, 1}),
    ]:
        cost = estimated(base + more, two).estimate
        assert {index for index in (0, 1) if cost.on(index)} == used, more
    hidden = estimate_command(CommandCase(flags_of(base, {"CUDA_VISIBLE_DEVICES": "1"}), LLAMA, two, TODAY)).estimate
    assert hidden.on(0) == 0
    assert hidden.on(1) > 0


@pytest.mark.parametrize("more", ["--device CUDA7", "-c many", "-ctk q3", "-ot (=CPU", "-ot x=CUDA9", "-np x"])
def test_what_no_engine_takes_is_an_error(more: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        estimated(f"llama-server -m m {more}", machine(24), tensors=[("blk.0.attn_q.weight", 1)])


def test_cache_and_projector_in_ram() -> None:
    base = "llama-server -m m -c 8192 --mmproj p --fit off "
    on, off = (
        estimated(base + more, machine(24), projector=ProjectorFacts(GIB)).estimate
        for more in ("", "-nkvo --no-mmproj-offload")
    )
    assert {row.place for row in off.rows if row.what in {"KV cache", "vision projector"}} == {RAM}
    assert off.total == on.total


def tensors(layers: int) -> list[tuple[str, int]]:
    """Names as they are in a mixture of experts; each layer's experts as large as counted there."""
    sizes = EXPERTS.tensor_bytes.experts
    names = ("up", "down", "gate")
    return [(f"blk.{n}.ffn_{part}_exps.weight", sizes[n] // 3) for n in range(layers) for part in names]


def test_experts_by_pattern_are_experts_by_number() -> None:
    rows = tensors(EXPERTS.layers)
    base = "llama-server -m m -c 8192 --fit off "

    def found(more: str) -> CommandEstimate:
        return estimated(base + more, machine(24), of=EXPERTS, tensors=rows)

    assert found(r"-ot '\.ffn_.*_exps\.=CPU'") == found("--cpu-moe") == found("-ncmoe 99")
    assert found(r"-ot 'blk\.[0-5]\.ffn_.*_exps=CPU'") == found("--n-cpu-moe 6")
    last = found(r"-ot 'blk\.23\.ffn_.*_exps=CPU'")
    assert last.settings.cpu_experts == 0
    (moved,) = (row for row in last.estimate.rows if row.what == MOVED)
    assert (moved.place, moved.bytes) == (RAM, EXPERTS.tensor_bytes.experts[23] // 3 * 3)
    assert last.estimate.total == pytest.approx(found("").estimate.total)


def test_a_draft_model_and_adapters_are_counted() -> None:
    base = "llama-server -m m -c 8192 --fit off "
    alone = estimated(base, machine(24)).estimate
    both = estimated(base + "-md d", machine(24), draft=facts("gemma-3-4b-Q4_K_M"), adapter_bytes=GIB).estimate
    drafted = sum(row.bytes for row in both.rows if row.what.startswith("draft: "))
    assert both.total == alone.total + GIB + drafted
    assert drafted > 2 * GIB


WORDS = st.sampled_from(
    ["-m", "m", "-c", "8192", "0", "-ngl", "all", "-ts", "1,2", "/", "-ot", "a=CPU", "exps=CUDA1", "-fa", "off", "-np",
     "-1", "--device", "none", "CUDA0", "-ncffn", "3", "-sm", "none", "-mg", "-ctk", "q8_0", "--fit", "999999999999"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=12))
def test_whatever_is_written_is_counted_or_refused(words: list[str]) -> None:
    flags = server_flags(["llama-server", *words], {})
    if flags is None:
        return
    try:
        found = estimate_command(CommandCase(flags, EXPERTS, machine(24, 24), TODAY, tensors(24)))
    except ValueError:
        return
    assert found.estimate.total > 0
    assert all(row.bytes > 0 for row in found.estimate.rows)
