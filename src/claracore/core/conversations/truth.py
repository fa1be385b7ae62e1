"""Did it bring anything that conversations were restored, whatever the engine said of it?

The first answers tell: they come with how many tokens of their prompt the engine did not have to read. Nothing at all
for a prompt that is long enough to go on with what was restored is no proof, since it may be a new conversation; it is
one when that happens after one restore after another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

Works = Literal["yes", "no", "unknown"]

REUSED: Final = 16
"""With fewer tokens than that a prompt goes on with nothing: all of a model's conversations begin alike."""
MOST_MISSES: Final = 3
"""So many restores in a row that brought nothing, and it is taken for granted that none does."""


@dataclass(slots=True)
class Truth:
    """What is known of the restores of one model with one fingerprint."""

    works: Works = "unknown"
    why: str = ""
    reused_tokens: int = 0
    misses: int = 0
    """Restores in a row that brought nothing."""
    _open: list[int] = field(default_factory=list)
    """The tokens of each conversation restored last; so many answers tell of it: later ones go on with newer ones."""

    def restored(self, tokens: Iterable[int]) -> None:
        """Take in that conversations of so many tokens were restored into a server that has just started."""
        self._open = sorted(tokens)

    def answered(self, prompt: int, cached: int) -> int:
        """Take in an answer; returns the tokens of its prompt that a restore has brought."""
        if not self._open:
            return 0
        least = self._open[0]
        self._open.pop()
        if cached >= REUSED:
            self.works, self.why, self.misses = "yes", "", 0
            self.reused_tokens += cached
            return cached
        if self.works == "unknown" and prompt > least:
            self._open = []
            self.misses += 1
            if self.misses >= MOST_MISSES:
                self.refused("the engine says that it restores them, and then reads everything again")
        return 0

    def refused(self, why: str) -> None:
        """Take in that the engine cannot do it."""
        self.works, self.why, self._open = "no", why, []
