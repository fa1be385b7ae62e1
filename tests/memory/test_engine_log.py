"""Lines of llama.cpp in, bytes by device out."""

from __future__ import annotations

from claracore.core.memory.engine_log import engine_buffers
from claracore.core.units import MIB

CUDA = """\
0.01.152 I load_tensors:   CPU_Mapped model buffer size =   281.81 MiB
0.01.153 I load_tensors:        CUDA0 model buffer size =  4403.50 MiB
llama_context:  CUDA_Host  output buffer size =     2.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =    24.00 MiB
llama_kv_cache: size =   24.00 MiB (  8192 cells,   3 layers,  4/1 seqs), K (f16):   12.00 MiB, V (f16):   12.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =    37.50 MiB
sched_reserve:      CUDA0 compute buffer size =   999.00 MiB
sched_reserve:      CUDA0 compute buffer size =   244.00 MiB
sched_reserve:  CUDA_Host compute buffer size =   160.00 MiB
""".splitlines()
DRAFT = """\
load_tensors:        CUDA1 model buffer size =   100.00 MiB
llama_context:  CUDA_Host  output buffer size =     2.00 MiB
llama_kv_cache:      CUDA1 KV buffer size =    10.00 MiB
llama_kv_cache_recurrent:      CUDA1 RS buffer size =    5.00 MiB
sched_reserve:      CUDA1 compute buffer size =   50.00 MiB
reserve_compute_meta:      CUDA0 compute buffer size =   70.00 MiB
""".splitlines()


def test_buffers_by_device() -> None:
    found = engine_buffers(["noise", *CUDA])
    assert found.on_gpu(0) == (4403.5 + 24 + 37.5 + 244) * MIB
    assert (found.mapped, found.in_ram) == (int(281.81 * MIB), 162 * MIB)
    assert found.on_gpu(1) == 0


def test_a_draft_model_and_a_projector_come_on_top() -> None:
    found = engine_buffers([*CUDA, *DRAFT])
    assert found.on_gpu(0) == (4403.5 + 24 + 37.5 + 244 + 70) * MIB
    assert found.on_gpu(1) == 165 * MIB
    assert found.in_ram == 164 * MIB


def test_on_a_processor() -> None:
    found = engine_buffers(
        [
            "load_tensors:   CPU_Mapped model buffer size =   235.16 MiB",
            "load_tensors:   CPU_REPACK model buffer size =    12.50 MiB",
            "llama_kv_cache:        CPU KV buffer size =    24.00 MiB",
            "sched_reserve:        CPU compute buffer size =    28.75 MiB",
        ]
    )
    assert (found.in_ram, found.mapped) == (65.25 * MIB, int(235.16 * MIB))


def test_unified_memory() -> None:
    found = engine_buffers(
        ["load_tensors:  MTL0_Mapped model buffer size =  4403.50 MiB", "x: MTL0 KV buffer size = 1.00 MiB"]
    )
    assert (found.on_gpu(0), found.in_ram, found.mapped) == (4404.5 * MIB, 0, 4403.5 * MIB)


def test_a_log_that_tells_nothing() -> None:
    assert not engine_buffers(
        ["main: server is listening", "buffer size = 3 MiB", "x: y buffer size = 1.2.3 MiB"]
    ).by_device


def test_what_other_machines_have_and_logs_that_tell_half() -> None:
    model = "load_tensors: RPC[10.0.0.2:50052] model buffer size = 100.00 MiB"
    found = engine_buffers([model, "llama_kv_cache:        CPU KV buffer size =    24.00 MiB"])
    assert found.in_ram == 24 * MIB
    old = [
        "llm_load_tensors:        CPU buffer size =  1918.35 MiB",
        "llama_kv_cache_init:  CPU KV buffer size = 1.00 MiB",
    ]
    assert not engine_buffers(old).by_device
