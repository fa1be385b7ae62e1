"""What does the kernel say about a TCP port and about processes?

The one door to the platform: Linux asks netlink and /proc, every other system asks psutil. Both sides offer the same
functions; all other modules import them from here.
"""

from __future__ import annotations

import sys

if sys.platform == "linux":
    from claracore.host.sockets.kernel_linux import (
        ancestors,
        children,
        family,
        hides,
        holder_pid,
        led_by,
        network_namespace,
        owned_by,
        pids,
        process_start,
        process_token,
        reuse_of,
        stop_sharing,
        user_name,
        user_of,
    )
    from claracore.host.sockets.sock_diag import listening_ports, other_end, sockets_on
else:
    from claracore.host.sockets.kernel_portable import (
        ancestors,
        children,
        family,
        hides,
        holder_pid,
        led_by,
        listening_ports,
        network_namespace,
        other_end,
        owned_by,
        pids,
        process_start,
        process_token,
        reuse_of,
        sockets_on,
        stop_sharing,
        user_name,
        user_of,
    )

__all__ = [
    "ancestors",
    "children",
    "family",
    "hides",
    "holder_pid",
    "led_by",
    "listening_ports",
    "network_namespace",
    "other_end",
    "owned_by",
    "pids",
    "process_start",
    "process_token",
    "reuse_of",
    "sockets_on",
    "stop_sharing",
    "user_name",
    "user_of",
]
