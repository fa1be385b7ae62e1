"""How does each model's server bind its port, so that the port can stay held while the server starts?

A server that was not told to share its port may still set SO_REUSEADDR or SO_REUSEPORT. That is seen when it listens
for the first time; from then on its hold admits it. When it then fails before it is ready although nobody else was on
the port, our own hold may have been in its way: it may look whether the port is free before it binds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from claracore.host.sockets.bound import Reuse

MOST_FAILURES = 2
"""Failures in a row that end the attempts to have a server join. One may be a stranger that has left again."""


class Binding:
    """What is known of the models' servers, by model id, for as long as their commands do not change."""

    def __init__(self) -> None:
        self._seen: dict[str, Reuse] = {}
        self._failures: Counter[str] = Counter()
        """How often in a row a server failed that was to join."""

    def of(self, model_id: str) -> Reuse:
        """Return with which option the model's server was seen to bind; NONE when it cannot or must not join."""
        return self._seen.get(model_id, Reuse.NONE)

    def learn(self, model_id: str, look: Callable[[], Reuse | None]) -> None:
        """Ask `look` how a server that listens has bound its port, where that is not known and worth knowing."""
        if model_id not in self._seen and self._failures[model_id] < MOST_FAILURES:
            reuse = look() or Reuse.NONE
            # Of two options the one that fewer strangers are let in by: a stranger may set both, too.
            self._seen[model_id] = Reuse.ADDRESS if Reuse.ADDRESS in reuse else reuse

    def joined(self, model_id: str) -> None:
        """Note that a server has joined its hold and listens."""
        self._failures.pop(model_id, None)

    def failed(self, model_id: str, *, hung: bool) -> None:
        """Note that a server that was to join has failed; one that hung until its time was up is tried no more."""
        self._failures[model_id] += MOST_FAILURES if hung else 1
        self._seen.pop(model_id, None)

    def forget(self) -> None:
        """Forget everything: the commands may be others now."""
        self._seen.clear()
        self._failures.clear()
