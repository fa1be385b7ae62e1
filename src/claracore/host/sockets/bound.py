"""What is a socket that occupies a port?

The values that both platform modules return.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag

from claracore.core.ports.listen import bracketed


class Stage(Enum):
    """Why a socket keeps its local port."""

    LISTENING = "listening"
    BOUND = "bound"
    TIME_WAIT = "TIME_WAIT"


class Reuse(Flag):
    """With which options a server bound its address; with none it must be the only one there."""

    NONE = 0
    ADDRESS = 1  # SO_REUSEADDR
    PORT = 2  # SO_REUSEPORT


@dataclass(frozen=True, slots=True)
class BoundSocket:
    """One socket on a local port.

    `inode` identifies it on Linux (0 in TIME_WAIT, which belongs to nobody); `pid` is known at once elsewhere.
    """

    address: str
    port: int
    stage: Stage
    inode: int = 0
    uid: int | None = None
    pid: int | None = None
    v6only: bool = False

    def reached_by(self, host: str) -> bool:
        """Whether a connection to `host` may end here: same address or a wildcard of a fitting family."""
        if self.address == host:
            return True
        if ":" in host:
            return self.address == "::"
        return self.address in {"0.0.0.0", f"::ffff:{host}"} or (self.address == "::" and not self.v6only)  # noqa: S104 - compared, not bound

    def in_the_way_of(self, host: str) -> bool:
        """Whether it keeps host's address from being bound: a wildcard on either side is enough.

        What is in TIME_WAIT does not: it belongs to nobody, and `hold` knows how to pass it.
        """
        if self.stage is Stage.TIME_WAIT:
            return False
        if host == "0.0.0.0":  # noqa: S104 - compared, not bound
            return ":" not in self.address or self.address.startswith("::ffff:") or self.reached_by("127.0.0.1")
        return host == "::" or self.reached_by(host)

    def __str__(self) -> str:
        return f"{bracketed(self.address)}:{self.port}"
