"""Which model does a selector mean at this moment, and what does the active profile make of a name?

Pure, but for the name of the active profile, which an API call sets. Strategies as llama-swap has them (COMPAT 1.8):
`pin` is the first target; `warm` the first that is ready, else the first that starts, else the first; `spillover` the
least busy of those that run, as long as it has fewer requests than `spillover`; else the next that does not run; else
the least busy of all. Whose server is stopping is chosen last: its requests wait until it has stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.core.config.routing import Selector
    from claracore.http.gateway.targets import Target


@dataclass(slots=True)
class ActiveProfile:
    """The profile that is in force, by name."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A selector with its targets."""

    selector: Selector
    targets: tuple[Target, ...]

    def choose(
        self,
        targets: Sequence[Target],
        state: Callable[[str], ModelState],
        busy: Callable[[str], int],
        turn: int,
    ) -> Target:
        """Return the one of `targets` to use now; `turn` counts up, so that equally good ones take turns."""
        first = targets[0]
        if self.selector.strategy == "pin":
            return first
        states = [(target, state(target.model_id)) for target in targets]
        if self.selector.strategy == "warm":
            for wanted in (ModelState.READY, ModelState.STARTING):
                found = next((target for target, its in states if its is wanted), None)
                if found is not None:
                    return found
            return first
        running = [target for target, its in states if its in (ModelState.READY, ModelState.STARTING)]
        free = [target for target in running if busy(target.model_id) < self.selector.settings.spillover]
        if free:
            return _least_busy(free, busy, turn)
        cold = next((target for target, its in states if its is ModelState.STOPPED), None)
        return cold or _least_busy(running or list(targets), busy, turn)


def _least_busy(targets: list[Target], busy: Callable[[str], int], turn: int) -> Target:
    least = min(busy(target.model_id) for target in targets)
    equal = [target for target in targets if busy(target.model_id) == least]
    return equal[turn % len(equal)]
