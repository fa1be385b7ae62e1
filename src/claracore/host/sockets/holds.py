"""Which ports does the kernel keep for us at this moment, and who may join which of them?

The sockets behind `PortKeeper`: a hold for each port, and for each port that is shut the socket that `hold.seal` has
bound aside. Whose port it is, and what the others have, is not known here.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from claracore.host.sockets.bound import Reuse
from claracore.host.sockets.hold import admit, hold, seal, somebody_on, system_can_share


class Holds:
    """Ports that are held; with `keeping` False they are only looked at when they are taken, and none is held."""

    def __init__(self, *, keeping: bool) -> None:
        self.keeping = keeping
        self._sockets: dict[int, socket.socket] = {}
        self._seals: dict[int, socket.socket] = {}

    @property
    def ports(self) -> frozenset[int]:
        """The ports that are held now."""
        return frozenset(self._sockets)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """All sockets that are open for this: holds, and those that shut a port."""
        return (*self._sockets.values(), *self._seals.values())

    @property
    def can_be_joined(self) -> bool:
        """Whether a child that says SO_REUSEPORT could join a hold."""
        return self.keeping and system_can_share()

    def __contains__(self, port: int) -> bool:
        return port in self._sockets

    def __len__(self) -> int:
        return len(self._sockets)

    def take(self, port: int) -> None:
        """Bind a port and keep it, unless it is held already. Raises OSError as `hold` does."""
        if port not in self._sockets:
            holder = hold(port)
            if self.keeping:
                self._sockets[port] = holder
            else:
                holder.close()

    def hand_over(self, port: int, reuse: Reuse) -> None:
        """Let a child have a port: join the hold when it binds with one of these options, else the hold is let go."""
        holder = self._sockets.get(port)
        if reuse is Reuse.NONE or holder is None:
            self.let_go(port)
        else:
            self.unseal(port)
            admit(holder, reuse)

    def seal(self, port: int) -> bool:
        """Let nobody join a port any more, held or not; False where the kernel gives no way to (see `hold.seal`)."""
        if port not in self._seals:
            aside = seal(self._sockets.get(port), port)
            if aside is None:
                return False
            self._seals[port] = aside
        return True

    def unseal(self, port: int) -> None:
        """Undo `seal`: who binds as the hold allows may join."""
        if (aside := self._seals.pop(port, None)) is not None:
            aside.close()

    def shut(self, port: int) -> None:
        """Let nobody join a held port any more after its child has ended, unless somebody was quicker: then let go."""
        if somebody_on(port):
            self.let_go(port)
        else:
            self.seal(port)

    def let_go(self, port: int) -> None:
        """Close the hold and the seal of a port, so that anybody can bind it."""
        self.unseal(port)
        if (holder := self._sockets.pop(port, None)) is not None:
            holder.close()

    def given(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return the open file of each hold and of each seal, by port, for another process to have them as well."""
        held = {port: holder.fileno() for port, holder in self._sockets.items()}
        return held, {port: aside.fileno() for port, aside in self._seals.items()}

    def take_over(self, held: Mapping[int, int], sealed: Mapping[int, int]) -> None:
        """Have holds and seals of another process, as open files by port."""
        self._sockets |= {port: socket.socket(fileno=each) for port, each in held.items()}
        self._seals |= {port: socket.socket(fileno=each) for port, each in sealed.items()}

    def close(self) -> None:
        """Close all holds and seals."""
        for each in self.sockets:
            each.close()
        self._seals.clear()
        self._sockets.clear()
