"""How fast are well-known graphics devices, as their makers tell it?

Bytes per second of memory, and dense 16-bit operations per second (sums in 32 bits). From the makers' data sheets:
nvidia.com (product pages and the architecture white papers), amd.com, intel.com, and apple.com for memory bandwidth.
Devices that are not named here have no prediction.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class GpuSpeed(NamedTuple):
    """Bytes per second; operations per second, None where the maker does not tell them."""

    bandwidth: float
    operations: float | None


TABLE = """
    h200              4800  989
    h100 nvl          3938  835
    h100 pcie         2039  756
    h100              3350  989
    a100.*80gb        2039  312
    a100              1555  312
    l40s               864  362
    l40                864  181
    l4                 300  121
    a40                696  150
    a30                933  165
    a10                600  125
    t4                 320   65
    v100               900  125
    rtx 6000 ada       960  182
    rtx a6000          768  155
    rtx a5000          768  111
    rtx a4000          448   77
    rtx 5090          1792  210
    rtx 5080           960  113
    rtx 5070 ti        896   88
    rtx 5070           672   62
    rtx 5060 ti        448   47
    rtx 4090          1008  165
    rtx 4080 super     736  104
    rtx 4080           717   97
    rtx 4070 ti super  672   88
    rtx 4070 ti        504   80
    rtx 4070 super     504   71
    rtx 4070           504   58
    rtx 4060 ti        288   44
    rtx 4060           272   30
    rtx 3090 ti       1008   80
    rtx 3090           936   71
    rtx 3080 ti        912   68
    rtx 3080           760   60
    rtx 3070 ti        608   43
    rtx 3070           448   41
    rtx 3060 ti        448   32
    rtx 3060           360   26
    rtx 2080 ti        616   54
    rtx 2080           448   40
    rtx 2070           448   30
    rtx 2060           336   26
    mi300x            5300 1307
    mi210             1638  181
    rx 9070            640    -
    rx 7900 xtx        960  123
    rx 7900 xt         800  103
    rx 7900 gre        576   92
    rx 7800 xt         624   75
    rx 7700 xt         432   70
    rx 7600            288   43
    rx 6900 xt         512   46
    rx 6800 xt         512   41
    rx 6800            512   32
    rx 6700 xt         384   26
    arc.*b580          456    -
    arc.*a770          560    -
    arc.*a750          512    -
    m1 ultra           800    -
    m1 max             400    -
    m1 pro             200    -
    m1                  68    -
    m2 ultra           800    -
    m2 max             400    -
    m2 pro             200    -
    m2                 100    -
    m3 ultra           819    -
    m3 max             400    -
    m3 pro             150    -
    m3                 100    -
    m4 max             546    -
    m4 pro             273    -
    m4                 120    -
"""
"""A pattern of the name, GB/s, 10^12 operations/s; of several that fit, the first counts."""


def _rows() -> tuple[tuple[re.Pattern[str], GpuSpeed], ...]:
    found = []
    for line in TABLE.strip().splitlines():
        *name, bandwidth, operations = line.split()
        known = None if operations == "-" else float(operations) * 1e12
        found.append((re.compile(rf"\b{' '.join(name)}\b"), GpuSpeed(float(bandwidth) * 1e9, known)))
    return tuple(found)


ROWS = _rows()


def gpu_speed(name: str) -> GpuSpeed | None:
    """Return how fast the device with this name is; None for one that is not known."""
    words = re.sub(r"[\s_-]+", " ", name.lower())
    laptop = "laptop" in words or "mobile" in words or "max q" in words
    return None if laptop else next((speed for pattern, speed in ROWS if pattern.search(words)), None)
