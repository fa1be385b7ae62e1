"""Captured /proc and /sys trees: one text each, `== path` before each file's content."""

from __future__ import annotations

from pathlib import Path

from claracore.host.hardware.tree import Tree


def plant(root: Path, text: str) -> Tree:
    for part in text.lstrip("\n").removeprefix("== ").split("\n== "):
        path, _, content = part.partition("\n")
        file = root / path.strip().lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return Tree(root)


def topology(cores: dict[int, tuple[int, int]]) -> str:
    """cpu -> (package, core)."""
    files = []
    for cpu, (package, core) in cores.items():
        siblings = ",".join(str(other) for other, place in cores.items() if place == (package, core))
        base = f"/sys/devices/system/cpu/cpu{cpu}/topology"
        files.append(f"== {base}/physical_package_id\n{package}\n== {base}/core_id\n{core}")
        files.append(f"== {base}/thread_siblings_list\n{siblings}")
    return "\n".join([f"== /sys/devices/system/cpu/online\n0-{max(cores)}", *files])


MEMINFO = """
== /proc/meminfo
MemTotal:       65536000 kB
MemFree:         1000000 kB
MemAvailable:   60000000 kB
HugePages_Total:       0
"""

V2 = """
== /proc/self/cgroup
0::/user.slice/session.scope
== /proc/self/mountinfo
24 1 0:22 / / rw - ext4 /dev/sda1 rw
30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
"""

# docker run -m 8g --cpus 2.5 on cgroup v2: a namespace of its own, the limit at the mount's root
DOCKER_V2 = """
== /proc/self/cgroup
0::/
== /proc/self/mountinfo
741 700 0:30 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw
== /sys/fs/cgroup/memory.max
8589934592
== /sys/fs/cgroup/memory.current
3221225472
== /sys/fs/cgroup/memory.stat
anon 1073741824
file 2147483648
inactive_file 2147483648
== /sys/fs/cgroup/cpu.max
250000 100000
"""

# docker run -m 4g --cpus 1.5 on cgroup v1: the host's path is not visible inside
DOCKER_V1 = """
== /proc/self/cgroup
11:memory:/docker/4f1a
5:cpu,cpuacct:/docker/4f1a
== /proc/self/mountinfo
800 790 0:33 /docker/4f1a /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory
801 790 0:34 /docker/4f1a /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct
== /sys/fs/cgroup/memory/memory.limit_in_bytes
4294967296
== /sys/fs/cgroup/memory/memory.usage_in_bytes
1073741824
== /sys/fs/cgroup/memory/memory.stat
cache 536870912
total_inactive_file 536870912
== /sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us
150000
== /sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us
100000
"""

# the machine these tests were written on: v1, nested, nothing limited
UNLIMITED_V1 = """
== /proc/self/cgroup
4:memory:/process_api/e4b5e8
1:cpu:/
0::/
== /proc/self/mountinfo
30 24 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 24 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
32 24 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
== /sys/fs/cgroup/memory/memory.limit_in_bytes
9223372036854771712
== /sys/fs/cgroup/memory/process_api/e4b5e8/memory.limit_in_bytes
9223372036854771712
== /sys/fs/cgroup/cpu/cpu.cfs_quota_us
-1
== /sys/fs/cgroup/cpu/cpu.cfs_period_us
100000
"""

AMD_CARD = """
== /sys/class/drm/card0/device/vendor
0x1002
== /sys/class/drm/card0/device/device
0x744c
== /sys/class/drm/card0/device/revision
0xc8
== /sys/class/drm/card0/device/uevent
DRIVER=amdgpu
PCI_CLASS=30000
PCI_ID=1002:744C
PCI_SLOT_NAME=0000:03:00.0
== /sys/class/drm/card0/device/mem_info_vram_total
25753026560
== /sys/class/drm/card0/device/mem_info_vram_used
1054867456
== /sys/class/drm/card0/device/mem_info_gtt_total
33554432000
== /sys/class/drm/card0-DP-1/status
connected
== /usr/share/libdrm/amdgpu.ids
# List of AMDGPU IDs
1.0.0
744C,\tC8,\tAMD Radeon RX 7900 XTX
744C,\tCC,\tAMD Radeon RX 7900 XT
== /sys/class/kfd/kfd/topology/nodes/0/properties
cpu_cores_count 16
simd_count 0
gfx_target_version 0
== /sys/class/kfd/kfd/topology/nodes/1/properties
simd_count 192
gfx_target_version 110000
location_id 768
domain 0
"""

STRIX_HALO = """
== /sys/class/drm/card1/device/vendor
0x1002
== /sys/class/drm/card1/device/device
0x1586
== /sys/class/drm/card1/device/revision
0xc1
== /sys/class/drm/card1/device/uevent
DRIVER=amdgpu
PCI_SLOT_NAME=0000:c5:00.0
== /sys/class/drm/card1/device/mem_info_vram_total
536870912
== /sys/class/drm/card1/device/mem_info_vram_used
268435456
== /sys/class/drm/card1/device/mem_info_gtt_total
67108864000
== /sys/class/drm/card1/device/mem_info_gtt_used
108864000
== /sys/class/kfd/kfd/topology/nodes/1/properties
simd_count 80
gfx_target_version 110501
location_id 50432
domain 0
"""

INTEL = """
== /sys/class/drm/card0/device/vendor
0x8086
== /sys/class/drm/card0/device/device
0x46a6
== /sys/class/drm/card0/device/uevent
PCI_SLOT_NAME=0000:00:02.0
== /sys/class/drm/card1/device/vendor
0x8086
== /sys/class/drm/card1/device/device
0x56a0
== /sys/class/drm/card1/device/uevent
PCI_SLOT_NAME=0000:03:00.0
== /sys/class/drm/card2/device/vendor
0x8086
== /sys/class/drm/card2/device/device
0x56a0
== /sys/class/drm/card2/device/uevent
PCI_SLOT_NAME=0000:04:00.0
== /sys/class/drm/card2/lmem_total_bytes
17095983104
== /sys/class/drm/card2/lmem_avail_bytes
17000000000
== /sys/class/drm/card3/device/vendor
0x1a03
"""

MAC = """\
hw.ncpu: 12
hw.memsize: 38654705664
hw.physicalcpu: 12
hw.logicalcpu: 12
hw.perflevel0.physicalcpu: 8
hw.perflevel1.physicalcpu: 4
machdep.cpu.brand_string: Apple M2 Max
iogpu.wired_limit_mb: 0
"""
