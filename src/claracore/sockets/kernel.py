"""What does the kernel say about a TCP port and about processes?

The one door to the platform: Linux asks netlink and /proc, every other system asks psutil. Both sides offer the same
functions; all other modules import them from here.
"""

from __future__ import annotations

import sys

if sys.platform == "linux":
    from claracore.sockets.kernel_linux import (
        children,
        family,
        holder_pid,
        network_namespace,
        owned_by,
        process_start,
        process_token,
        reuse_of,
        sockets_on,
        user_name,
    )
else:
    from claracore.sockets.kernel_portable import (
        children,
        family,
        holder_pid,
        network_namespace,
        owned_by,
        process_start,
        process_token,
        reuse_of,
        sockets_on,
        user_name,
    )

__all__ = [
    "children",
    "family",
    "holder_pid",
    "network_namespace",
    "owned_by",
    "process_start",
    "process_token",
    "reuse_of",
    "sockets_on",
    "user_name",
]
