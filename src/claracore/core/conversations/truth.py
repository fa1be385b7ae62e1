"""Did it bring anything that conversations were restored, whatever the engine said of it?

The first answers tell: they come with how many tokens of their prompt the engine did not have to read. None at all is
no proof by itself, since it may be a new conversation. It is one when the engine has said before that the prompt goes
on with what was restored (`chosen`); twice, because a client may forbid it to reuse anything (`cache_prompt: false`).
Of an engine that says nothing of the kind it is taken for granted after one restore after another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from claracore.core.conversations.chosen import ChosenSlot

Works = Literal["yes", "no", "unknown"]

REUSED: Final = 16
"""With fewer tokens than that a prompt goes on with nothing: all of a model's conversations begin alike."""
MOST_MISSES: Final = 3
"""So many restores in a row that brought nothing, and it is taken for granted that none does..."""
MOST_CLEAR_MISSES: Final = 2
"""... or so many that brought nothing to a prompt that goes on with one of them from its first token to its last."""
READ_AGAIN: Final = "the engine says that it restores them, and then reads everything again"
WHOLE: Final = 0.99
"""The part of what was restored that is all of it: an engine tells three digits."""
MOST_OF_IT: Final = 0.5
"""With less than that of it a prompt is another conversation that only begins alike."""


@dataclass(slots=True)
class Truth:
    """What is known of the restores of one model with one fingerprint."""

    works: Works = "unknown"
    why: str = ""
    reused_tokens: int = 0
    misses: int = 0
    """Restores in a row that brought nothing."""
    clear_misses: int = 0
    """Those of them of which the engine itself had said that they would."""
    _open: list[int] = field(default_factory=list)
    """The tokens of each conversation restored last; so many answers tell of it: later ones go on with newer ones."""
    _in_slots: dict[int, int] = field(default_factory=dict)
    """The same by slot, until the engine has taken it for a prompt."""
    _tells: bool = False
    """Whether the engine says which slot it takes for a prompt."""
    _going_on: list[tuple[float, float]] = field(default_factory=list)
    """About how long each prompt is that goes on with what was restored, and with which part of it."""

    @property
    def listens(self) -> bool:
        """Whether what the engine says of its slots tells anything now."""
        return bool(self._in_slots)

    def restored(self, tokens: Mapping[int, int]) -> None:
        """Take in that conversations of so many tokens were restored, by slot, in a server that has just started."""
        self._open = sorted(tokens.values())
        self._in_slots = dict(tokens)
        self._tells, self._going_on = False, []

    def chosen(self, one: ChosenSlot) -> None:
        """Take in what the engine says of a prompt that it is about to read."""
        self._tells = True
        tokens = self._in_slots.pop(one.slot, 0)
        if one.similar and tokens:
            self._going_on.append((one.kept * tokens / one.similar, one.kept))

    def answered(self, prompt: int, cached: int) -> int:
        """Take in an answer; returns the tokens of its prompt that a restore has brought."""
        if not self._open:
            return 0
        least, kept = self._open[0], self._taken(prompt)
        if self._tells and not kept:
            return 0  # a conversation that was not there before, or a later turn
        self._open.pop()
        if cached >= REUSED:
            self.works, self.why, self.misses, self.clear_misses = "yes", "", 0, 0
            self.reused_tokens += cached
            return cached
        if self.works == "unknown" and (kept >= MOST_OF_IT if self._tells else prompt > least):
            self._missed(clear=kept >= WHOLE)
        return 0

    def _taken(self, prompt: int) -> float:
        """Return which part of a restored conversation a prompt of so many tokens begins with; 0 for none."""
        for one in self._going_on:
            size, kept = one
            if abs(size - prompt) <= 8 + prompt / 50:  # both parts are told with three digits
                self._going_on.remove(one)
                return kept
        return 0.0

    def _missed(self, *, clear: bool) -> None:
        self._open = []
        self.misses += 1
        self.clear_misses += clear
        if self.misses >= MOST_MISSES or self.clear_misses >= MOST_CLEAR_MISSES:
            self.refused(READ_AGAIN)

    def refused(self, why: str) -> None:
        """Take in that the engine cannot do it."""
        self.works, self.why, self._open, self._in_slots = "no", why, [], {}
