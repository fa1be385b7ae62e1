"""What a person is told whose model ran out of memory."""

from __future__ import annotations

from claracore.core.memory.allocation_errors import KILLED, AllocationError
from claracore.core.memory.shortage import DeviceShortage, MemoryUser, is_limited, shortage_words
from claracore.core.units import GIB, MIB

FIREFOX = MemoryUser("firefox", int(1.3 * GIB), 77)
CARD = DeviceShortage("gpu0", 12 * GIB, int(7.9 * GIB), (FIREFOX, MemoryUser("Xorg", 50 * MIB, 9)))
WAY_OUT = "give it a smaller context (--ctx-size) or another quantization"


def test_what_it_needs_what_is_there_and_who_has_the_rest() -> None:
    error = AllocationError("CUDA", "gpu0", int(1.2 * GIB), int(7.9 * GIB))
    assert shortage_words(error, CARD, is_ours=False) == (
        f"it needs 9.1 GiB, GPU 0 has 7.9 GiB free of 12.0 GiB: 1.3 GiB by firefox (pid 77); {WAY_OUT}, or end firefox"
    )


def test_models_of_ours_are_named_as_such() -> None:
    error = AllocationError("CUDA", "gpu0", 2 * GIB)
    short = DeviceShortage("gpu0", 12 * GIB, GIB, (FIREFOX, MemoryUser("qwen", 6 * GIB)))
    words = shortage_words(error, short, is_ours=True)
    assert "it could not get 2.0 GiB more, GPU 0 has 1.0 GiB free of 12.0 GiB: 6.0 GiB by model 'qwen', 1.3" in words
    assert words.endswith("or unload 'qwen', or let `claracore setup` plan anew")


def test_what_is_not_known_is_not_said() -> None:
    assert shortage_words(AllocationError("", "gpu"), None, is_ours=False) == f"it ran out of memory; {WAY_OUT}"
    killed = shortage_words(AllocationError(KILLED, "ram"), DeviceShortage("ram", 8 * GIB, GIB), is_ours=False)
    assert killed.startswith("the kernel ended it, because RAM ran out, RAM has 1.0 GiB free of 8.0 GiB; ")


def test_a_limit_of_its_own_is_told_where_there_is_memory() -> None:
    error = AllocationError("RAM", "ram", 3 * GIB)
    short = DeviceShortage("ram", 64 * GIB, 50 * GIB, (FIREFOX,))
    assert is_limited(error, short, GIB)
    assert not is_limited(error, short, 60 * GIB)
    assert not is_limited(AllocationError("CUDA", "gpu0", GIB), CARD, GIB)
    words = shortage_words(error, short, limited=True, is_ours=False)
    assert "or raise the limit that its process has (ulimit, the container's)" in words
    assert "end firefox" not in words
