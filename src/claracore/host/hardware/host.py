"""How many processors and how much RAM may this process use? (Linux)

Physical cores, because llama.cpp's matrix code gains nothing from hyper-thread siblings; performance cores only,
because a slow core makes all the others wait at every layer. Intel hybrids name theirs in /sys/devices/cpu_core/cpus;
Arm tells by cpu_capacity.
"""

from __future__ import annotations

from claracore.core.fit.machine import Memory, Processor
from claracore.host.hardware.cgroup import Limits
from claracore.host.hardware.tree import Tree, cpu_list

CPUS = "/sys/devices/system/cpu"


def read_processor(tree: Tree, limits: Limits, affinity: frozenset[int]) -> Processor:
    """Read the processors; `affinity` is what the scheduler allows (all that are online when empty)."""
    online = cpu_list(tree.text(f"{CPUS}/online"))
    usable = (online & affinity) or affinity or online
    fast = usable & _performance(tree, usable) or usable
    return Processor(
        name=_name(tree.text("/proc/cpuinfo") or ""),
        logical=len(usable),
        physical_cores=_cores(tree, usable),
        performance_cores=_cores(tree, fast),
        quota=limits.processors,
        source=f"{CPUS}/cpu*/topology",
    )


def read_memory(tree: Tree, limits: Limits) -> Memory:
    """Read RAM from /proc/meminfo, cut down to the cgroup's limit."""
    table = parse_meminfo(tree.text("/proc/meminfo") or "")
    total = table.get("MemTotal", 0)
    available = table.get("MemAvailable", table.get("MemFree", 0))
    if limits.memory_bytes is None or limits.memory_bytes >= total > 0:
        return Memory(total, available, "/proc/meminfo")
    left = max(0, limits.memory_bytes - limits.used_bytes)
    return Memory(limits.memory_bytes, min(available, left) if total else left, f"cgroup limit {limits.source}")


def parse_meminfo(text: str) -> dict[str, int]:
    """Parse `MemTotal:  24684092 kB` lines to bytes."""
    table = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            table[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return table


def _performance(tree: Tree, usable: frozenset[int]) -> frozenset[int]:
    if intel := cpu_list(tree.text("/sys/devices/cpu_core/cpus")):
        return intel
    capacity = {cpu: tree.number(f"{CPUS}/cpu{cpu}/cpu_capacity") for cpu in usable}
    known = {cpu: value for cpu, value in capacity.items() if value is not None}
    if not known:
        return frozenset()
    # "Middle" cores of a three-tier phone chip compute well; the little ones have a third of the capacity or less.
    return frozenset(cpu for cpu, value in known.items() if value * 2 > max(known.values()))


def _cores(tree: Tree, cpus: frozenset[int]) -> int:
    """Count distinct (package, core) pairs; a processor without topology counts as one core."""
    cores = set()
    for cpu in cpus:
        package = tree.number(f"{CPUS}/cpu{cpu}/topology/physical_package_id")
        core = tree.number(f"{CPUS}/cpu{cpu}/topology/core_id")
        siblings = tree.text(f"{CPUS}/cpu{cpu}/topology/thread_siblings_list")
        cores.add((package, core, siblings) if core is not None else (None, cpu, None))
    return len(cores)


def _name(cpuinfo: str) -> str:
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu model", "Processor"):
            return " ".join(value.split())
    return ""
