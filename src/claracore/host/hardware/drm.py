"""Which AMD and Intel devices are there? (sysfs; AMD's library only for what is missing there)

AMD: `mem_info_vram_*` and `mem_info_gtt_*` of the amdgpu driver (kernel.org, gpu/amdgpu/driver-misc.rst). An APU's
"VRAM" is a carve-out of RAM and GTT is the rest that it may use; both together are what a model can have there, and
both are RAM. Whether it is an APU is read from the KFD topology by its gfx target (LLVM, "AMDGPU Usage", column
"Architecture type"). Intel: discrete cards tell their size in `lmem_total_bytes` where the driver has it; an integrated
one sits at PCI 00:02.0 and shares RAM. A size that no file tells is None, with a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from claracore.core.fit.machine import Backend, Gpu
from claracore.host.hardware.amd import UNNAMED, completed, lacks, load_library
from claracore.host.hardware.c_library import CLibrary
from claracore.host.hardware.tree import Tree, whole_number

DRM = "/sys/class/drm"
KFD = "/sys/class/kfd/kfd/topology/nodes"
AMDGPU_IDS = "/usr/share/libdrm/amdgpu.ids"
AMD, INTEL = 0x1002, 0x8086
CARD = re.compile(r"card\d+")
APU_TARGETS = frozenset(
    (70000, 80001, 80100, 90002, 90012, 100103, 100303, 100305, 100306, 110003, 110500, 110501, 110502, 110503)
)
"""gfx_target_version of parts that LLVM's table calls APU, as KFD writes them: major * 10000 + minor * 100 + step."""


def read_gpus(
    tree: Tree, load: Callable[[], CLibrary | None] = load_library
) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """Read all AMD and Intel devices in card order, and notes about what could not be read."""
    gpus = _read_sysfs(tree)
    found, notes = completed(gpus, load()) if lacks(gpus) else (tuple(gpus), ())
    unknown = tuple(
        f"{gpu.name} ({gpu.address}): its driver does not tell its memory; say --vram GB"
        for gpu in found
        if gpu.total_bytes is None and not gpu.unified
    )
    return found, notes + unknown


def _read_sysfs(tree: Tree) -> list[Gpu]:
    gpus: list[Gpu] = []
    targets = _kfd_targets(tree)
    for card in sorted(filter(CARD.fullmatch, tree.names(DRM)), key=lambda name: int(name[4:])):
        device = f"{DRM}/{card}/device"
        match tree.number(f"{device}/vendor"):
            case vendor if vendor == AMD:
                gpu = _amd(tree, device, targets)
            case vendor if vendor == INTEL:
                gpu = _intel(tree, card, device)
            case _:
                continue
        gpus.append(gpu)
    return gpus


def _amd(tree: Tree, device: str, targets: dict[str, int]) -> Gpu:
    address = _address(tree, device)
    total = tree.number(f"{device}/mem_info_vram_total")
    used = tree.number(f"{device}/mem_info_vram_used")
    unified = targets.get(address) in APU_TARGETS
    source = "sysfs mem_info_vram_total"
    if unified and total is not None:
        total += tree.number(f"{device}/mem_info_gtt_total") or 0
        used = (used or 0) + (tree.number(f"{device}/mem_info_gtt_used") or 0)
        source = "sysfs mem_info_vram_total + mem_info_gtt_total"
    free = None if total is None or used is None else max(0, total - used)
    return Gpu(_amd_name(tree, device), "amd", Backend.ROCM, total, free, unified, address, source)


def _intel(tree: Tree, card: str, device: str) -> Gpu:
    address = _address(tree, device)
    integrated = address.endswith("00:02.0")
    total = tree.number(f"{DRM}/{card}/lmem_total_bytes")
    free = tree.number(f"{DRM}/{card}/lmem_avail_bytes")
    code = tree.number(f"{device}/device")
    kind = "integrated graphics" if integrated else "graphics"
    name = f"Intel {kind} {code:04x}" if code is not None else f"Intel {kind}"
    return Gpu(name, "intel", Backend.SYCL, total, free, integrated, address, "sysfs lmem_total_bytes" if total else "")


def _address(tree: Tree, device: str) -> str:
    """Read the PCI address from uevent, which is a plain file where `device` itself is a link."""
    for line in (tree.text(f"{device}/uevent") or "").splitlines():
        name, _, value = line.partition("=")
        if name == "PCI_SLOT_NAME":
            return value.strip().lower()
    return ""


def kfd_nodes(tree: Tree) -> dict[str, tuple[str, dict[str, str]]]:
    """Return name and properties of each node of the KFD topology that is a device, by PCI address."""
    nodes = {}
    for node in tree.names(KFD):
        table = dict(
            line.split(maxsplit=1) for line in (tree.text(f"{KFD}/{node}/properties") or "").splitlines() if " " in line
        )
        location = whole_number(table.get("location_id"))
        if location is not None:
            domain = whole_number(table.get("domain")) or 0
            nodes[f"{domain:04x}:{location >> 8:02x}:{(location >> 3) & 31:02x}.{location & 7}"] = node, table
    return nodes


def _kfd_targets(tree: Tree) -> dict[str, int]:
    """Map PCI address -> gfx target version, from the KFD topology."""
    targets = {at: whole_number(table.get("gfx_target_version")) for at, (_, table) in kfd_nodes(tree).items()}
    return {address: target for address, target in targets.items() if target}


def device_folder(tree: Tree, address: str) -> str | None:
    """Return the folder in sysfs of the card at a PCI address."""
    folders = (f"{DRM}/{card}/device" for card in tree.names(DRM) if CARD.fullmatch(card))
    return next((folder for folder in folders if _address(tree, folder) == address), None)


def _amd_name(tree: Tree, device: str) -> str:
    if name := tree.text(f"{device}/product_name"):
        return name
    code, revision = tree.number(f"{device}/device"), tree.number(f"{device}/revision")
    if code is None:
        return UNNAMED
    for line in (tree.text(AMDGPU_IDS) or "").splitlines():
        fields = [field.strip() for field in line.split(",", 2)]
        if len(fields) == 3 and fields[0].lower() == f"{code:x}" and fields[1].lower() == f"{revision or 0:x}":
            return fields[2]
    return f"{UNNAMED} {code:04x}"
