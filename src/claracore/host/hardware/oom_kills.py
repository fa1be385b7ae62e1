"""How many processes has the kernel ended for want of memory?

Linux counts them in /proc/vmstat, of control groups as well; what its log says is not for everybody to read. Elsewhere
nobody says.
"""

from __future__ import annotations

from claracore.host.hardware.tree import Tree, whole_number

COUNTER = "oom_kill "


def oom_kills(tree: Tree | None = None) -> int | None:
    """Return the count since the machine was started; None where it is not told."""
    for line in ((tree or Tree()).text("/proc/vmstat") or "").splitlines():
        if line.startswith(COUNTER):
            return whole_number(line.removeprefix(COUNTER))
    return None
