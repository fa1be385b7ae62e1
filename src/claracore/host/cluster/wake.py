"""How is a machine woken that sleeps?

Wake-on-LAN: one UDP packet to everybody in the network, six bytes FF and then sixteen times the hardware address of the
network card that is to wake. Nobody answers it; whether it has worked is seen when the machine is there.
"""

from __future__ import annotations

import re
import socket
from typing import Final

PORT: Final = 9


def magic_packet(mac: str) -> bytes:
    """Return the packet for a hardware address, such as `aa:bb:cc:dd:ee:ff`. Raises ValueError."""
    address = bytes.fromhex(re.sub(r"[:-]", "", mac))
    if len(address) != 6:
        raise ValueError(f"{mac!r} is no hardware address")
    return b"\xff" * 6 + address * 16


def send_magic_packet(mac: str, broadcast: str, port: int = PORT) -> None:
    """Send the packet. Raises OSError where the network cannot be reached."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(magic_packet(mac), (broadcast, port))
