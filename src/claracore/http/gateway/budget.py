"""How much memory may the bodies of requests take that cannot be sent on yet?

Pure. One budget for all of them, whoever keeps the bytes and why: the model is not named yet, a filter needs the whole
body, the model loads, the body may have to be sent again, the application has asked for it. Each request has a share,
which remembers what it took, so that giving it back twice is harmless.
"""

from __future__ import annotations

from claracore.core.units import gib
from claracore.errors import PayloadTooLarge
from claracore.http.wire.answers import NoRoomForBody

PIECE_BYTES = 64
"""What a piece takes besides its bytes: a body that comes byte by byte takes sixty times its length."""
RETRY_AFTER_SECONDS = 5


class BodyBudget:
    """Bytes that all bodies together may take; `taken` is what they take now."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def share(self) -> Share:
        """Return the share of one more request: nothing yet."""
        return Share(self)


class Share:
    """What one request has taken of the budget. Whoever takes gives back when the request is over, or before."""

    __slots__ = ("_budget", "taken")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self.taken = 0

    def take(self, size: int) -> None:
        """Take so much more. Raises `NoRoomForBody`, or `PayloadTooLarge` when waiting would not help."""
        budget = self._budget
        if self.taken + size > budget.limit:
            raise PayloadTooLarge(
                f"the body takes more than the {gib(budget.limit)} that there are for all bodies; name 'model' at "
                "its beginning, send less, or let the server have more: bodyBuffer"
            )
        if budget.taken + size > budget.limit:
            raise NoRoomForBody(
                f"the bodies of other requests take all of the {gib(budget.limit)} that there are for them; try "
                "again later, name 'model' at the beginning of the body, or let the server have more: bodyBuffer",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        budget.taken += size
        self.taken += size

    def take_if_idle(self, size: int) -> bool:
        """Take so much more if three quarters of all are free even then; return whether they are."""
        there = self._budget.taken + size <= self._budget.limit // 4
        if there:
            self._budget.taken += size
            self.taken += size
        return there

    def give_back(self, down_to: int = 0) -> None:
        """Give back all but `down_to` bytes."""
        if self.taken > down_to:
            self._budget.taken -= self.taken - down_to
            self.taken = down_to
